#include "shim/runtime_options.h"

#include <ctype.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

namespace bulwark::shim {
namespace {

using containerd::runc::Options;

constexpr std::string_view kGoogleUrlPrefix = "type.googleapis.com/";
constexpr size_t kTomlBytesMax = size_t{64} << 10;

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

// Only what may follow a value: blanks and a comment.
bool IsRestOfLine(std::string_view text) {
  text = Trim(text);
  return text.empty() || text.front() == '#';
}

bool ParseString(std::string_view text, std::string* out) {
  if (text.empty() || (text.front() != '"' && text.front() != '\'')) return false;
  const char quote = text.front();
  for (size_t i = 1; i < text.size(); ++i) {
    const char c = text[i];
    if (c == quote) return IsRestOfLine(text.substr(i + 1));
    if (quote == '"' && c == '\\') {
      // Names and paths need no other escapes; what we do not understand we refuse.
      if (++i == text.size() || (text[i] != '\\' && text[i] != '"')) return false;
      out->push_back(text[i]);
      continue;
    }
    if (static_cast<unsigned char>(c) < 0x20) return false;
    out->push_back(c);
  }
  return false;
}

bool ParseBool(std::string_view text, bool* out) {
  for (const auto& [word, value] :
       {std::pair<std::string_view, bool>{"true", true}, {"false", false}}) {
    if (text.substr(0, word.size()) == word && IsRestOfLine(text.substr(word.size()))) {
      *out = value;
      return true;
    }
  }
  return false;
}

bool ParseUint32(std::string_view text, uint32_t* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && IsRestOfLine(text.substr(static_cast<size_t>(end - text.data())));
}

// 1: set, 0: the value does not fit the key, -1: no such key.
int SetOption(std::string_view lower_key, std::string_view value, Options* options) {
  bool flag = false;
  uint32_t number = 0;
  std::string text;
  const auto set_flag = [&](void (Options::*set)(bool)) {
    if (!ParseBool(value, &flag)) return 0;
    (options->*set)(flag);
    return 1;
  };
  const auto set_number = [&](void (Options::*set)(uint32_t)) {
    if (!ParseUint32(value, &number)) return 0;
    (options->*set)(number);
    return 1;
  };
  const auto set_text = [&](std::string* (Options::*field)()) {
    if (!ParseString(value, &text)) return 0;
    *(options->*field)() = std::move(text);
    return 1;
  };
  if (lower_key == "nopivotroot") return set_flag(&Options::set_no_pivot_root);
  if (lower_key == "nonewkeyring") return set_flag(&Options::set_no_new_keyring);
  if (lower_key == "systemdcgroup") return set_flag(&Options::set_systemd_cgroup);
  if (lower_key == "iouid") return set_number(&Options::set_io_uid);
  if (lower_key == "iogid") return set_number(&Options::set_io_gid);
  if (lower_key == "shimcgroup") return set_text(&Options::mutable_shim_cgroup);
  if (lower_key == "binaryname") return set_text(&Options::mutable_binary_name);
  if (lower_key == "root") return set_text(&Options::mutable_root);
  if (lower_key == "criuimagepath") return set_text(&Options::mutable_criu_image_path);
  if (lower_key == "criuworkpath") return set_text(&Options::mutable_criu_work_path);
  // Keys that only tell which type this is, or that upstream has retired.
  if (lower_key == "typeurl" || lower_key == "configpath" || lower_key == "criupath") return 1;
  return -1;
}

base::Status ParseTomlLine(std::string_view line, size_t number, Options* options) {
  line = Trim(line);
  if (IsRestOfLine(line)) return base::OkStatus();
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos) {
    return base::Error::Make(base::Code::kInvalidArgument,
                             "parse runtime options: line {}: expected KEY = VALUE", number);
  }
  std::string key(Trim(line.substr(0, equals)));
  if (key.size() >= 2 && key.front() == '"' && key.back() == '"')
    key = key.substr(1, key.size() - 2);
  std::string lower = key;
  for (char& c : lower) c = static_cast<char>(tolower(static_cast<unsigned char>(c)));
  const int outcome = SetOption(lower, Trim(line.substr(equals + 1)), options);
  if (outcome < 0) {
    return base::Error::Make(base::Code::kInvalidArgument,
                             "parse runtime options: line {}: unknown key {}", number, key);
  }
  if (outcome == 0) {
    return base::Error::Make(base::Code::kInvalidArgument,
                             "parse runtime options: line {}: bad value for {}", number, key);
  }
  return base::OkStatus();
}

}  // namespace

base::Result<Options> ParseTomlOptions(std::string_view toml) {
  if (toml.size() > kTomlBytesMax) {
    return base::Error(base::Code::kInvalidArgument, "parse runtime options: body over 64 KiB");
  }
  Options options;
  for (size_t number = 1; !toml.empty(); ++number) {
    const size_t newline = toml.find('\n');
    RETURN_IF_ERROR(ParseTomlLine(toml.substr(0, newline), number, &options));
    toml = newline == std::string_view::npos ? std::string_view() : toml.substr(newline + 1);
  }
  return options;
}

base::Result<Options> ParseRuntimeOptions(const containerd::wire::Any& any) {
  std::string_view type = any.type_url();
  if (type.substr(0, kGoogleUrlPrefix.size()) == kGoogleUrlPrefix) {
    type.remove_prefix(kGoogleUrlPrefix.size());
  }
  if (type.empty()) return Options();
  if (type == "containerd.runc.v1.Options") {
    Options options;
    if (!options.ParseFromString(any.value())) {
      return base::Error(base::Code::kInvalidArgument,
                         "parse runtime options: malformed containerd.runc.v1.Options");
    }
    return options;
  }
  if (type == "runtimeoptions.v1.Options") {
    containerd::runc::RuntimeOptions generic;
    if (!generic.ParseFromString(any.value())) {
      return base::Error(base::Code::kInvalidArgument,
                         "parse runtime options: malformed runtimeoptions.v1.Options");
    }
    if (generic.config_body().empty() && !generic.config_path().empty()) {
      return base::Error(
          base::Code::kInvalidArgument,
          "parse runtime options: ConfigPath is not supported, give BinaryName, Root "
          "and SystemdCgroup as options of the runtime");
    }
    return ParseTomlOptions(generic.config_body());
  }
  return base::Error::Make(base::Code::kInvalidArgument, "parse runtime options: unknown type {}",
                           type);
}

std::string OptionsJson(const Options& options) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  const auto put = [&json](const char* key, const auto& value, bool present) {
    if (present) json[key] = value;
  };
  put("no_pivot_root", options.no_pivot_root(), options.no_pivot_root());
  put("no_new_keyring", options.no_new_keyring(), options.no_new_keyring());
  put("shim_cgroup", options.shim_cgroup(), !options.shim_cgroup().empty());
  put("io_uid", options.io_uid(), options.io_uid() != 0);
  put("io_gid", options.io_gid(), options.io_gid() != 0);
  put("binary_name", options.binary_name(), !options.binary_name().empty());
  put("root", options.root(), !options.root().empty());
  put("systemd_cgroup", options.systemd_cgroup(), options.systemd_cgroup());
  put("criu_image_path", options.criu_image_path(), !options.criu_image_path().empty());
  put("criu_work_path", options.criu_work_path(), !options.criu_work_path().empty());
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string RuntimeBinary(const Options& options) {
  return options.binary_name().empty() ? "runc" : options.binary_name();
}

std::string RuntimeRoot(const Options& options, std::string_view containerd_namespace) {
  std::string root = options.root().empty() ? "/run/containerd/runc" : options.root();
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  root += '/';
  root += containerd_namespace;
  return root;
}

}  // namespace bulwark::shim
