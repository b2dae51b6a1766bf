#include "lib/oci/json_reader.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

namespace bulwark::oci {

using base::Code;
using base::Error;
using Json = nlohmann::ordered_json;

namespace {

// Objects whose keys are data, not names of fields: Go reads them into maps, by exact key.
bool KeysAreData(std::string_view member) {
  constexpr std::string_view kMaps[] = {"annotations", "labels",  "Labels",
                                        "sysctl",      "Volumes", "ExposedPorts"};
  return std::find(std::begin(kMaps), std::end(kMaps), member) != std::end(kMaps);
}

// Builds the value from the library's events. The library's own builder finds a repeated key by a linear search, which
// makes an object of n keys cost n² and lets the last one win.
class Reader : public nlohmann::json_sax<Json> {
 public:
  Reader(const JsonLimits& limits, Json& root) : limits_(limits), root_(root) {}

  std::optional<Error>& error() { return error_; }

  bool null() override { return Add(Json(nullptr)) != nullptr; }
  bool boolean(bool value) override { return Add(Json(value)) != nullptr; }
  bool number_integer(number_integer_t value) override { return Add(Json(value)) != nullptr; }
  bool number_unsigned(number_unsigned_t value) override { return Add(Json(value)) != nullptr; }
  bool number_float(number_float_t value, const string_t& text) override {
    // The library turns integers beyond 64 bits into floating point: silently another number.
    if (text.find_first_of(".eE") == string_t::npos) {
      return Fail(Code::kInvalidArgument, "integer {} does not fit 64 bits", text.substr(0, 40));
    }
    return Add(Json(value)) != nullptr;
  }
  bool string(string_t& value) override { return Add(Json(std::move(value))) != nullptr; }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return Open(Json::object(), KeysAreData(key_)); }
  bool start_array(std::size_t) override { return Open(Json::array(), true); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }

  bool key(string_t& name) override {
    Level& level = levels_.back();
    const bool is_new = level.keys.insert(level.keys_are_data ? name : FoldKey(name)).second;
    if (!is_new) {
      return Fail(Code::kInvalidArgument, "key \"{}\" occurs twice (case does not count)",
                  name.substr(0, 80));
    }
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Fail(Code::kInvalidArgument, "malformed JSON at byte {}", position);
  }

 private:
  struct Level {
    Json* container;
    bool keys_are_data;
    std::unordered_set<std::string> keys;
  };

  template <typename... Args>
  bool Fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
    if (!error_.has_value()) error_ = Error::Make(code, format, std::forward<Args>(args)...);
    return false;
  }

  // Null beyond the limit.
  Json* Add(Json value) {
    if (++nodes_ > limits_.nodes) {
      Fail(Code::kResourceExhausted, "more than {} JSON values", limits_.nodes);
      return nullptr;
    }
    if (levels_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& container = *levels_.back().container;
    if (container.is_array()) {
      auto& array = *container.get_ptr<Json::array_t*>();
      return &array.emplace_back(std::move(value));
    }
    // A vector of pairs underneath: appending keeps the order and searches nothing.
    auto& members = static_cast<Json::object_t::Container&>(*container.get_ptr<Json::object_t*>());
    return &members.emplace_back(std::move(key_), std::move(value)).second;
  }

  bool Open(Json empty, bool keys_are_data) {
    if (levels_.size() >= limits_.depth) {
      return Fail(Code::kResourceExhausted, "JSON nested deeper than {}", limits_.depth);
    }
    Json* container = Add(std::move(empty));
    if (container == nullptr) return false;
    levels_.push_back(Level{container, keys_are_data, {}});
    key_.clear();
    return true;
  }

  bool Close() {
    levels_.pop_back();
    return true;
  }

  const JsonLimits& limits_;
  Json& root_;
  std::vector<Level> levels_;
  std::string key_;  // of the member being read
  size_t nodes_ = 0;
  std::optional<Error> error_;
};

void AppendFolded(std::string& folded, std::string_view key, size_t& at) {
  if (key.compare(at, 3, "\xE2\x84\xAA") == 0) {  // U+212A KELVIN SIGN
    folded.push_back('k');
    at += 3;
  } else if (key.compare(at, 2, "\xC5\xBF") == 0) {  // U+017F LATIN SMALL LETTER LONG S
    folded.push_back('s');
    at += 2;
  } else {
    const char c = key[at++];
    folded.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
}

}  // namespace

std::string FoldKey(std::string_view key) {
  std::string folded;
  folded.reserve(key.size());
  for (size_t at = 0; at < key.size();) AppendFolded(folded, key, at);
  return folded;
}

base::Status ReadJson(std::string_view text, const JsonLimits& limits, Json& json) {
  if (text.size() > limits.bytes) {
    return Error::Make(Code::kResourceExhausted, "JSON of {} bytes, limit {}", text.size(),
                       limits.bytes);
  }
  if (text.substr(0, 3) == "\xEF\xBB\xBF") {  // the library would skip it, Go refuses it
    return Error(Code::kInvalidArgument, "malformed JSON at byte 0: byte order mark");
  }
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return Error::Make(Code::kInvalidArgument, "malformed JSON at byte {}: NUL", nul);  // the library would stop there
  }
  Reader reader(limits, json);
  try {
    const bool complete = Json::sax_parse(text.begin(), text.end(), &reader);
    if (complete && !reader.error().has_value()) return base::OkStatus();
  } catch (const std::exception& exception) {
    return Error::Make(Code::kInternal, "reading JSON: {}", exception.what());
  }
  if (reader.error().has_value()) return std::move(*reader.error());
  return Error(Code::kInvalidArgument, "malformed JSON");
}

}  // namespace bulwark::oci
