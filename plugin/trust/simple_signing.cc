#include "plugin/trust/simple_signing.h"

#include <utility>

#include "lib/oci/digest.h"
#include "lib/oci/json_document.h"

namespace bulwark::trust {
namespace {

using base::Code;
using base::Error;

constexpr std::string_view kType = "cosign container image signature";

base::Status CheckMembers(oci::JsonValue object, size_t count, std::string_view name) {
  if (object.size() == count) return base::OkStatus();
  return Error::Make(Code::kInvalidArgument, "\"{}\" has {} members instead of {}", name, object.size(), count);
}

}  // namespace

base::Result<SimpleSigningPayload> ParseSimpleSigning(std::string_view bytes) {
  ASSIGN_OR_RETURN(const oci::JsonDocument document,
                   oci::JsonDocument::Parse(bytes, {.bytes = kPayloadBytesMax, .depth = 8, .nodes = 1000}));
  if (!document.root().IsObject()) return Error(Code::kInvalidArgument, "payload is not a JSON object");
  ASSIGN_OR_RETURN(const oci::JsonValue critical, document.root().GetObject("critical"));
  for (size_t i = 0; i < document.root().size(); ++i) {
    const std::string_view key = document.root().KeyAt(i);
    if (key != "critical" && key != "optional") return Error(Code::kInvalidArgument, "payload has an unknown member");
  }
  RETURN_IF_ERROR(CheckMembers(critical, 3, "critical"));
  ASSIGN_OR_RETURN(const oci::JsonValue identity, critical.GetObject("identity"));
  ASSIGN_OR_RETURN(const oci::JsonValue image, critical.GetObject("image"));
  RETURN_IF_ERROR(CheckMembers(identity, 1, "identity"));
  RETURN_IF_ERROR(CheckMembers(image, 1, "image"));
  ASSIGN_OR_RETURN(const std::string type, critical.GetString("type"));
  if (type != kType) return Error::Make(Code::kInvalidArgument, "payload type is not \"{}\"", kType);
  SimpleSigningPayload payload;
  ASSIGN_OR_RETURN(payload.docker_reference, identity.GetString("docker-reference"));
  ASSIGN_OR_RETURN(payload.manifest_digest, image.GetString("docker-manifest-digest"));
  RETURN_IF_ERROR(oci::CheckDigest(payload.manifest_digest));
  ASSIGN_OR_RETURN(const oci::JsonValue optional, document.root().GetObjectOr("optional"));
  for (size_t i = 0; i < optional.size(); ++i) {
    if (auto value = optional.at(i).AsString()) payload.optional.emplace(optional.KeyAt(i), *value);
  }
  return payload;
}

}  // namespace bulwark::trust
