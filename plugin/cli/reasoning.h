// The steps of a decision, as a list for people.
#pragma once

#include <string>
#include <string_view>

#include "bulwark/v1/audit_record.pb.h"

namespace bulwark::cli {

void PrintReasoning(const google::protobuf::RepeatedPtrField<v1::ReasonStep>& steps);

// The text with control characters (C0, C1 and DEL) as '?'. Details and evidence may quote what an image's author chose,
// and must not move the cursor of whoever reads them.
std::string Printable(std::string_view text);

}  // namespace bulwark::cli
