#include "plugin/config/config_parser.h"

#include <toml++/toml.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <optional>
#include <utility>

#include "lib/base/closest_name.h"
#include "lib/base/file_io.h"
#include "plugin/audit/record.h"

namespace bulwark::config {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::Status;

// sun_path of unix(7) has 108 bytes, the last of which is 0.
constexpr size_t kSocketPathBytesMax = 107;
constexpr size_t kPathBytesMax = 4095;
constexpr size_t kDirectoriesMax = 16;

// One value of the file and where it is.
struct Value {
  const std::string& path;
  std::string name;  // "gate.socket"
  const toml::node& node;

  template <typename... Args>
  Error MakeError(fmt::format_string<Args...> format, Args&&... args) const {
    return At(path, node.source(), fmt::format("{}: {}", name, fmt::format(format, std::forward<Args>(args)...)));
  }

  static Error At(const std::string& path, const toml::source_region& where, std::string_view message) {
    return Error::Make(Code::kInvalidArgument, "{}:{}:{}: {}", path, where.begin.line, where.begin.column, message);
  }
};

Result<std::string> ReadPath(const Value& value, size_t bytes_max) {
  const toml::value<std::string>* text = value.node.as_string();
  if (text == nullptr) return value.MakeError("expected a path in quotes");
  const std::string& path = text->get();
  if (path.empty() || path.front() != '/') return value.MakeError("expected an absolute path, found {:?}", path);
  if (path.size() > bytes_max) return value.MakeError("the path is longer than {} bytes", bytes_max);
  if (path.find('\0') != std::string::npos) return value.MakeError("the path holds a zero byte");
  return path;
}

Status SetPath(const Value& value, std::string* out) {
  ASSIGN_OR_RETURN(*out, ReadPath(value, kPathBytesMax));
  return base::OkStatus();
}

Status SetSocket(const Value& value, std::string* out) {
  ASSIGN_OR_RETURN(*out, ReadPath(value, kSocketPathBytesMax));
  return base::OkStatus();
}

Status SetPaths(const Value& value, std::vector<std::string>* out) {
  const toml::array* array = value.node.as_array();
  if (array == nullptr) return value.MakeError("expected an array of paths");
  if (array->empty() || array->size() > kDirectoriesMax) {
    return value.MakeError("expected 1 to {} paths, found {}", kDirectoriesMax, array->size());
  }
  out->clear();
  for (const toml::node& item : *array) {
    ASSIGN_OR_RETURN(std::string path, ReadPath(Value{value.path, value.name, item}, kPathBytesMax));
    out->push_back(std::move(path));
  }
  return base::OkStatus();
}

Result<int64_t> ReadInteger(const Value& value, int64_t least, int64_t most) {
  const toml::value<int64_t>* number = value.node.as_integer();
  if (number == nullptr) return value.MakeError("expected a whole number without quotes");
  if (number->get() < least || number->get() > most) {
    return value.MakeError("expected a number from {} to {}, found {}", least, most, number->get());
  }
  return number->get();
}

Status SetInteger(const Value& value, int least, int most, int* out) {
  ASSIGN_OR_RETURN(const int64_t number, ReadInteger(value, least, most));
  *out = static_cast<int>(number);
  return base::OkStatus();
}

// The audit log's own limits, so that --check-config never calls good what the daemon then refuses.
Status SetSegmentBytes(const Value& value, bool may_be_zero, int64_t* out) {
  ASSIGN_OR_RETURN(const int64_t bytes, ReadInteger(value, 0, INT64_MAX));
  if (!(bytes == 0 && may_be_zero) && !audit::IsLogSegmentSize(static_cast<uint64_t>(bytes))) {
    return value.MakeError("expected {}a multiple of {} from {} to {}, found {}", may_be_zero ? "0 or " : "",
                           audit::kLogSegmentBytesUnit, audit::kLogSegmentBytesMin, audit::kLogSegmentBytesMax, bytes);
  }
  *out = bytes;
  return base::OkStatus();
}

Status SetLevel(const Value& value, base::LogLevel* out) {
  static constexpr std::string_view kWords[] = {"debug", "info", "warn", "error"};
  const toml::value<std::string>* text = value.node.as_string();
  const auto found = std::find(std::begin(kWords), std::end(kWords), text == nullptr ? std::string() : text->get());
  if (found == std::end(kWords)) return value.MakeError("expected one of \"debug\", \"info\", \"warn\", \"error\"");
  *out = static_cast<base::LogLevel>(found - std::begin(kWords));
  return base::OkStatus();
}

struct Key {
  std::string_view section;
  std::string_view name;
  Status (*set)(const Value& value, Config* config);
};

constexpr Key kKeys[] = {
    {"log", "level", [](const Value& v, Config* c) { return SetLevel(v, &c->log.level); }},
    {"containerd", "address", [](const Value& v, Config* c) { return SetSocket(v, &c->containerd.address); }},
    {"containerd", "timeout_ms",
     [](const Value& v, Config* c) { return SetInteger(v, 100, 60'000, &c->containerd.timeout_ms); }},
    {"gate", "socket", [](const Value& v, Config* c) { return SetSocket(v, &c->gate.socket); }},
    {"gate", "workers", [](const Value& v, Config* c) { return SetInteger(v, 1, 64, &c->gate.workers); }},
    {"gate", "queue_max", [](const Value& v, Config* c) { return SetInteger(v, 1, 65'536, &c->gate.queue_max); }},
    {"api", "socket", [](const Value& v, Config* c) { return SetSocket(v, &c->api.socket); }},
    {"policy", "directory", [](const Value& v, Config* c) { return SetPath(v, &c->policy.directory); }},
    {"evidence", "directory", [](const Value& v, Config* c) { return SetPath(v, &c->evidence.directory); }},
    {"profiles", "directories", [](const Value& v, Config* c) { return SetPaths(v, &c->profiles.directories); }},
    {"audit", "directory", [](const Value& v, Config* c) { return SetPath(v, &c->audit.directory); }},
    {"audit", "segment_bytes",
     [](const Value& v, Config* c) { return SetSegmentBytes(v, false, &c->audit.segment_bytes); }},
    {"audit", "reserve_bytes",
     [](const Value& v, Config* c) { return SetSegmentBytes(v, true, &c->audit.reserve_bytes); }},
    {"state", "database", [](const Value& v, Config* c) { return SetPath(v, &c->state.database); }},
    {"spool", "directory", [](const Value& v, Config* c) { return SetPath(v, &c->spool.directory); }},
};

Error UnknownKey(const std::string& path, const toml::key& key, std::string_view where,
                 const std::vector<std::string_view>& known) {
  const std::string_view closest = base::ClosestName(key.str(), known);
  const std::string hint = closest.empty()
                               ? fmt::format("expected one of: {}", fmt::join(known, ", "))
                               : fmt::format("did you mean \"{}\"?", closest);
  return Value::At(path, key.source(), fmt::format("unknown key {:?}{}; {}", key.str().substr(0, 60), where, hint));
}

Status CheckVersion(const std::string& path, const toml::table& root) {
  const toml::node* version = root.get("version");
  if (version == nullptr) {
    return Error::Make(Code::kInvalidArgument, "{}:1:1: the key \"version\" is missing; write version = 1", path);
  }
  if (auto number = ReadInteger(Value{path, "version", *version}, 1, 1); !number) return std::move(number).error();
  return base::OkStatus();
}

Status ApplySection(const std::string& path, std::string_view section, const toml::node& node, Config* config) {
  const toml::table* table = node.as_table();
  if (table == nullptr) return Value{path, std::string(section), node}.MakeError("expected a section [{}]", section);
  for (const auto& [key, value] : *table) {
    const auto found = std::find_if(std::begin(kKeys), std::end(kKeys), [&, name = key.str()](const Key& k) {
      return k.section == section && k.name == name;
    });
    if (found == std::end(kKeys)) {
      std::vector<std::string_view> known;
      for (const Key& k : kKeys) {
        if (k.section == section) known.push_back(k.name);
      }
      return UnknownKey(path, key, fmt::format(" in [{}]", section), known);
    }
    RETURN_IF_ERROR(found->set(Value{path, fmt::format("{}.{}", section, key.str()), value}, config));
  }
  return base::OkStatus();
}

std::vector<std::string_view> SectionNames() {
  std::vector<std::string_view> names = {"version"};
  for (const Key& key : kKeys) {
    if (names.back() != key.section) names.push_back(key.section);
  }
  return names;
}

Result<toml::table> ParseToml(const std::string& path, std::string_view text) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& e) {
    return Value::At(path, e.source(), fmt::format("not valid TOML: {}", e.description()));
  } catch (const std::exception& e) {
    return Error::Make(Code::kInvalidArgument, "{}:1:1: not valid TOML: {}", path, e.what());
  }
}

}  // namespace

Result<Config> ParseConfig(const std::string& path, std::string_view text) {
  if (text.size() > kConfigBytesMax) {
    return Error::Make(Code::kInvalidArgument, "{}:1:1: larger than {} bytes", path, kConfigBytesMax);
  }
  ASSIGN_OR_RETURN(const toml::table root, ParseToml(path, text));
  RETURN_IF_ERROR(CheckVersion(path, root));
  const std::vector<std::string_view> sections = SectionNames();
  Config config;
  for (const auto& [key, value] : root) {
    if (key == "version") continue;
    if (std::find(sections.begin(), sections.end(), key.str()) == sections.end()) return UnknownKey(path, key, "", sections);
    RETURN_IF_ERROR(ApplySection(path, key.str(), value, &config));
  }
  return config;
}

Result<Config> LoadConfig(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path, kConfigBytesMax));
  return ParseConfig(path, text);
}

std::vector<std::string> ConfigKeys() {
  std::vector<std::string> keys = {"version"};
  for (const Key& key : kKeys) keys.push_back(fmt::format("{}.{}", key.section, key.name));
  std::sort(keys.begin(), keys.end());
  return keys;
}

}  // namespace bulwark::config
