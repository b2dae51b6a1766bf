#include "plugin/cli/reasoning.h"

#include <stdio.h>

namespace bulwark::cli {

void PrintReasoning(const google::protobuf::RepeatedPtrField<v1::ReasonStep>& steps) {
  for (const v1::ReasonStep& step : steps) {
    printf("  %s %-10s %-24s %s\n", step.satisfied() ? "pass" : "FAIL", Printable(step.check()).c_str(),
           Printable(step.code()).c_str(), Printable(step.detail()).c_str());
    for (const std::string& evidence : step.evidence()) {
      printf("  %16s looked at %s\n", "", Printable(evidence).c_str());
    }
  }
}

std::string Printable(std::string_view text) {
  std::string printable;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F in UTF-8.
    const bool is_c1 = c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (is_c1) ++i;
    printable += is_c1 || c < 0x20 || c == 0x7F ? '?' : text[i];
  }
  return printable;
}

}  // namespace bulwark::cli
