#include "shim/command/args.h"

#include <array>
#include <optional>

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;

constexpr size_t kIdentifierCharsMax = 76;

struct TextFlag {
  std::string_view name;
  std::string Args::*field;
};
struct BoolFlag {
  std::string_view name;
  bool Args::*field;
};
constexpr std::array<TextFlag, 6> kTextFlags = {{{"namespace", &Args::containerd_namespace},
                                                 {"id", &Args::id},
                                                 {"address", &Args::address},
                                                 {"publish-binary", &Args::publish_binary},
                                                 {"bundle", &Args::bundle},
                                                 {"socket", &Args::socket}}};
constexpr std::array<BoolFlag, 4> kBoolFlags = {{{"debug", &Args::is_debug},
                                                 {"v", &Args::show_version},
                                                 {"version", &Args::show_version},
                                                 {"info", &Args::show_info}}};

// Go's strconv.ParseBool.
std::optional<bool> ParseBool(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

std::optional<Action> ParseAction(std::string_view word) {
  if (word == "start") return Action::kStart;
  if (word == "delete") return Action::kDelete;
  return std::nullopt;
}

// One pass over the words of a command line.
class Parser {
 public:
  Parser(int argc, const char* const* argv) {
    for (int i = 0; i < argc; ++i) words_.emplace_back(argv[i]);
  }

  base::Result<Args> Parse() {
    if (!words_.empty()) args_.program = words_[0];
    at_ = 1;
    while (at_ < words_.size() && IsFlag(words_[at_])) {
      const std::string_view word = words_[at_++];
      if (word == "--") break;
      RETURN_IF_ERROR(TakeFlag(word.substr(word[1] == '-' ? 2 : 1)));
    }
    RETURN_IF_ERROR(TakeAction());
    RETURN_IF_ERROR(Check());
    return std::move(args_);
  }

 private:
  static bool IsFlag(std::string_view word) { return word.size() >= 2 && word[0] == '-'; }

  base::Status TakeFlag(std::string_view flag) {
    const size_t equals = flag.find('=');
    const std::string_view name = flag.substr(0, equals);
    std::optional<std::string_view> value;
    if (equals != std::string_view::npos) value = flag.substr(equals + 1);
    for (const BoolFlag& known : kBoolFlags) {
      if (known.name == name) return TakeBool(known, value);
    }
    for (const TextFlag& known : kTextFlags) {
      if (known.name == name) return TakeText(known, value);
    }
    SkipUnknown(name, value.has_value());
    return base::OkStatus();
  }

  base::Status TakeBool(const BoolFlag& flag, std::optional<std::string_view> value) {
    const std::optional<bool> parsed = value ? ParseBool(*value) : true;
    if (!parsed) {
      return Error::Make(Code::kInvalidArgument, "parse flag -{}: \"{}\" is not a boolean",
                         flag.name, *value);
    }
    args_.*flag.field = *parsed;
    return base::OkStatus();
  }

  base::Status TakeText(const TextFlag& flag, std::optional<std::string_view> value) {
    if (!value) {
      if (at_ == words_.size()) {
        return Error::Make(Code::kInvalidArgument, "parse flag -{}: value missing", flag.name);
      }
      value = words_[at_++];
    }
    args_.*flag.field = std::string(*value);
    return base::OkStatus();
  }

  // A flag of a containerd to come. Whether the next word is its value cannot be known; a word that
  // is neither a flag nor an action can be nothing else.
  void SkipUnknown(std::string_view name, bool has_value) {
    args_.unknown_flags.emplace_back(name);
    if (!has_value && at_ < words_.size() && !IsFlag(words_[at_]) && !ParseAction(words_[at_]))
      ++at_;
  }

  base::Status TakeAction() {
    if (at_ == words_.size() || words_[at_].empty()) return base::OkStatus();
    const std::optional<Action> action = ParseAction(words_[at_]);
    if (!action) {
      return Error::Make(Code::kInvalidArgument, "parse arguments: unknown action \"{}\"",
                         words_[at_]);
    }
    args_.action = *action;
    return base::OkStatus();
  }

  base::Status Check() const {
    if (args_.show_version || args_.show_info) return base::OkStatus();
    if (args_.containerd_namespace.empty()) {
      return Error(Code::kInvalidArgument, "parse arguments: shim namespace cannot be empty");
    }
    if (!IsIdentifier(args_.containerd_namespace)) {
      return Error::Make(Code::kInvalidArgument,
                         "parse flag -namespace: \"{}\" is not an identifier",
                         args_.containerd_namespace);
    }
    if (args_.id.empty() && args_.action == Action::kServe) return base::OkStatus();
    if (!IsIdentifier(args_.id)) {
      return Error::Make(Code::kInvalidArgument, "parse flag -id: \"{}\" is not an identifier",
                         args_.id);
    }
    return base::OkStatus();
  }

  std::vector<std::string_view> words_;
  size_t at_ = 0;
  Args args_;
};

bool IsAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

}  // namespace

bool IsIdentifier(std::string_view text) {
  if (text.empty() || text.size() > kIdentifierCharsMax) return false;
  bool separator_allowed = false;
  for (const char c : text) {
    if (IsAlphanumeric(c)) {
      separator_allowed = true;
    } else if (separator_allowed && (c == '.' || c == '_' || c == '-')) {
      separator_allowed = false;
    } else {
      return false;
    }
  }
  return separator_allowed;
}

base::Result<Args> ParseArgs(int argc, const char* const* argv) {
  return Parser(argc, argv).Parse();
}

}  // namespace bulwark::shim
