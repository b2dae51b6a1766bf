// The shape of a runtime spec: which parts are objects, and which keys they have. Finds keys that Go would read as
// fields of the spec although their case differs, for every part that is judged or edited. Pure.
#pragma once

#include "lib/base/result.h"
#include "lib/oci/json_document.h"

namespace bulwark::oci {

// kInvalidArgument if a part is of the wrong kind, or has a key that folds to one of the spec's but is not spelled so.
base::Status CheckSpecKeys(JsonValue spec);
base::Status CheckProcessKeys(JsonValue process);

}  // namespace bulwark::oci
