#include "shim/exec_spec.h"

#include <strings.h>

#include <nlohmann/json.hpp>

namespace bulwark::shim {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kTerminal[] = "terminal";
constexpr int kDepthMax = 64;

}  // namespace

base::Result<std::string> WithTerminal(std::string_view process_json, bool terminal) {
  if (process_json.size() > kProcessSpecBytesMax) {
    return base::Error(base::Code::kResourceExhausted, "parse process spec: over 3 MiB");
  }
  int spellings = 0;
  bool is_too_deep = false;
  const auto inspect = [&](int depth, Json::parse_event_t event, Json& parsed) {
    is_too_deep = is_too_deep || depth > kDepthMax;
    if (event == Json::parse_event_t::key && depth == 1 &&
        strcasecmp(parsed.get_ref<const std::string&>().c_str(), kTerminal) == 0) {
      ++spellings;
    }
    return true;
  };
  Json document = Json::parse(process_json, inspect, /*allow_exceptions=*/false);
  if (!document.is_object() || is_too_deep) {
    return base::Error(base::Code::kInvalidArgument, "parse process spec: not a JSON object");
  }
  const auto present = document.find(kTerminal);
  const bool is_plain = present != document.end();
  if (spellings > 1 || (spellings == 1 && !is_plain)) {
    return base::Error(base::Code::kInvalidArgument,
                       "parse process spec: key \"terminal\" is ambiguous");
  }
  const bool said = is_plain && present->is_boolean() && present->get<bool>();
  if (said == terminal) return std::string(process_json);
  document[kTerminal] = terminal;
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace bulwark::shim
