// Text to nlohmann value, under the rules of json_document.h; the only place that sees the library's parser.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "lib/base/result.h"
#include "lib/oci/json_document.h"

namespace bulwark::oci {

// Replaces `json`, which is unspecified after an error. Errors as JsonDocument::Parse.
base::Status ReadJson(std::string_view text, const JsonLimits& limits, nlohmann::ordered_json& json);

}  // namespace bulwark::oci
