#include "plugin/audit/envelope.h"

namespace bulwark::audit {

base::Result<std::string> Envelope::Encode(v1::AuditRecord record) const {
  const auto set = [](std::string* field, const Id128& id) {
    field->assign(reinterpret_cast<const char*>(id.data()), id.size());
  };
  record.set_schema_version(kRecordSchemaVersion);
  set(record.mutable_node_id(), node_id);
  set(record.mutable_log_epoch(), log_epoch);
  set(record.mutable_boot_id(), boot_id);
  record.clear_sequence();
  record.set_wall_ns(clock->WallNanos());
  record.set_mono_ns(clock->BootNanos());
  const size_t size = BoundRecord(&record);
  std::string encoded;
  if (size + 11 > kRecordBytesMax || !record.SerializeToString(&encoded)) {
    return base::Error::Make(base::Code::kInvalidArgument, "encode audit record of {} bytes", size);
  }
  return encoded;
}

}  // namespace bulwark::audit
