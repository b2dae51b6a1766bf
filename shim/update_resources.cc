#include "shim/update_resources.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "lib/oci/json_document.h"

namespace bulwark::shim {
namespace {

constexpr std::array<std::string_view, 8> kUpdatable = {
    "memory", "cpu", "pids", "blockIO", "hugepageLimits", "rdma", "unified", "network"};

}  // namespace

base::Result<std::string> UpdatableResources(std::string_view resources_json) {
  auto document = oci::JsonDocument::Parse(resources_json);
  if (!document) return std::move(document).error().Wrap("update container: resources");
  if (!document->root().IsObject()) {
    return base::Error::Make(base::Code::kInvalidArgument,
                             "update container: resources: want object, got {}",
                             document->root().TypeName());
  }
  auto kept = oci::JsonDocument::EmptyObject();
  for (const auto& [key, value] : document->json().items()) {
    // By exact name: a key of another case would be "devices" to a runtime written in Go.
    if (std::find(kUpdatable.begin(), kUpdatable.end(), key) != kUpdatable.end()) {
      kept.json()[key] = value;
    }
  }
  return kept.Dump();
}

}  // namespace bulwark::shim
