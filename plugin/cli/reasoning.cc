#include "plugin/cli/reasoning.h"

#include <stdio.h>

namespace bulwark::cli {

void PrintReasoning(const google::protobuf::RepeatedPtrField<v1::ReasonStep>& steps) {
  for (const v1::ReasonStep& step : steps) {
    printf("  %s %-10s %-24s %s\n", step.satisfied() ? "pass" : "FAIL", step.check().c_str(), step.code().c_str(),
           step.detail().c_str());
    for (const std::string& evidence : step.evidence()) printf("  %16s looked at %s\n", "", evidence.c_str());
  }
}

}  // namespace bulwark::cli
