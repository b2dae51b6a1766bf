// The steps of a decision, as a list for people.
#pragma once

#include "bulwark/v1/audit_record.pb.h"

namespace bulwark::cli {

void PrintReasoning(const google::protobuf::RepeatedPtrField<v1::ReasonStep>& steps);

}  // namespace bulwark::cli
