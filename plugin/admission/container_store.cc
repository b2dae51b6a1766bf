#include "plugin/admission/container_store.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <array>
#include <functional>
#include <utility>

namespace bulwark::admission {
namespace {

using base::Code;
using base::Error;

constexpr int kVersion = 1;  // user_version of the database; 0 is a new one
constexpr char kSchema[] = R"sql(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS containers (
  ns TEXT NOT NULL, id TEXT NOT NULL, decision_id TEXT NOT NULL,
  reference TEXT NOT NULL, index_digest TEXT NOT NULL, manifest_digest TEXT NOT NULL, config_digest TEXT NOT NULL,
  chain_id TEXT NOT NULL, sandbox_id TEXT NOT NULL, pod_namespace TEXT NOT NULL, pod_name TEXT NOT NULL,
  pod_uid TEXT NOT NULL, container_name TEXT NOT NULL,
  PRIMARY KEY (ns, id)) STRICT;
PRAGMA user_version = 1;
)sql";

constexpr char kPut[] =
    "INSERT OR REPLACE INTO containers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
constexpr char kGet[] = "SELECT * FROM containers WHERE ns = ?1 AND id = ?2";
constexpr char kRemove[] = "DELETE FROM containers WHERE ns = ?1 AND id = ?2 AND (?3 = '' OR decision_id = ?3)";

// The columns in table order, as pointers to members of one container.
std::array<std::string*, 13> Columns(AdmittedContainer& container) {
  return {&container.containerd_namespace,   &container.id,
          &container.decision_id,            &container.image.reference,
          &container.image.index_digest,     &container.image.manifest_digest,
          &container.image.config_digest,    &container.image.chain_id,
          &container.sandbox_id,             &container.pod_namespace,
          &container.pod_name,               &container.pod_uid,
          &container.container_name};
}

Error SqliteError(sqlite3* database, std::string_view attempted) {
  return Error::Make(Code::kInternal, "{}: {}", attempted, sqlite3_errmsg(database));
}

struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

base::Result<Statement> Prepare(sqlite3* database, const char* sql) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(database, sql, -1, &raw, nullptr) != SQLITE_OK) {
    return SqliteError(database, "prepare a statement on the state database");
  }
  return Statement(raw);
}

// Why the database cannot be used, with a next step only where it is the file's fault.
Error OpenError(sqlite3* database, const std::string& path) {
  const char* reason = sqlite3_errmsg(database);
  switch (sqlite3_errcode(database) & 0xff) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return Error::Make(Code::kDataLoss, "{} is not a state database, or is damaged ({}): move it away and restart",
                         path, reason);
    case SQLITE_FULL:
      return Error::Make(Code::kResourceExhausted, "open state database {}: no space left ({})", path, reason);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Error::Make(Code::kUnavailable, "open state database {}: another process has it locked ({})", path, reason);
    default:
      return Error::Make(Code::kInternal, "open state database {}: {}", path, reason);
  }
}

// Before anything is written: a newer version may keep in it what this one would destroy.
base::Status CheckVersion(sqlite3* database, const std::string& path) {
  int version = 0;
  const auto read = [](void* out, int, char** values, char**) {
    *static_cast<int*>(out) = values[0] == nullptr ? 0 : atoi(values[0]);
    return 0;
  };
  if (sqlite3_exec(database, "PRAGMA user_version", read, &version, nullptr) != SQLITE_OK) {
    return OpenError(database, path);
  }
  if (version < 0 || version > kVersion) {
    return Error::Make(Code::kFailedPrecondition,
                       "state database {} has version {}, this bulwarkd knows up to {}: install the release that wrote it",
                       path, version, kVersion);
  }
  return base::OkStatus();
}

void BindText(const Statement& statement, int index, const std::string& value) {
  sqlite3_bind_text(statement.get(), index, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
}

}  // namespace

base::Result<std::unique_ptr<ContainerStore>> ContainerStore::Open(const std::string& path) {
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2(path.c_str(), &raw,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW, nullptr);
  std::unique_ptr<ContainerStore> store(new ContainerStore(raw));
  if (opened != SQLITE_OK) return OpenError(raw, path);
  if (chmod(path.c_str(), 0600) != 0) return Error::FromErrno("restrict state database {}", path);
  sqlite3_busy_timeout(raw, 2000);
  RETURN_IF_ERROR(CheckVersion(raw, path));
  if (sqlite3_exec(raw, kSchema, nullptr, nullptr, nullptr) != SQLITE_OK) return OpenError(raw, path);
  return store;
}

ContainerStore::~ContainerStore() { sqlite3_close(database_); }

base::Status ContainerStore::Put(const AdmittedContainer& container) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const Statement statement, Prepare(database_, kPut));
  AdmittedContainer copy = container;
  int index = 1;
  for (const std::string* column : Columns(copy)) BindText(statement, index++, *column);
  if (sqlite3_step(statement.get()) != SQLITE_DONE) {
    return SqliteError(database_, fmt::format("store container {}", container.id));
  }
  return base::OkStatus();
}

base::Result<AdmittedContainer> ContainerStore::Get(const std::string& containerd_namespace, const std::string& id) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const Statement statement, Prepare(database_, kGet));
  BindText(statement, 1, containerd_namespace);
  BindText(statement, 2, id);
  const int stepped = sqlite3_step(statement.get());
  if (stepped == SQLITE_DONE) {
    return Error::Make(Code::kNotFound, "container {} in containerd namespace {} was not admitted here", id,
                       containerd_namespace);
  }
  if (stepped != SQLITE_ROW) return SqliteError(database_, fmt::format("look up container {}", id));
  AdmittedContainer container;
  int index = 0;
  for (std::string* column : Columns(container)) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement.get(), index));
    column->assign(text == nullptr ? "" : text, static_cast<size_t>(sqlite3_column_bytes(statement.get(), index)));
    ++index;
  }
  return container;
}

base::Status ContainerStore::Remove(const std::string& containerd_namespace, const std::string& id,
                                    const std::string& decision_id) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const Statement statement, Prepare(database_, kRemove));
  BindText(statement, 1, containerd_namespace);
  BindText(statement, 2, id);
  BindText(statement, 3, decision_id);
  if (sqlite3_step(statement.get()) != SQLITE_DONE) {
    return SqliteError(database_, fmt::format("forget container {}", id));
  }
  return base::OkStatus();
}

}  // namespace bulwark::admission
