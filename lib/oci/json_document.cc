#include "lib/oci/json_document.h"

#include <nlohmann/json.hpp>

#include "lib/oci/json_reader.h"

namespace bulwark::oci {

using base::Code;
using base::Error;
using base::Result;
using Json = nlohmann::ordered_json;

namespace {

Error WrongType(std::string_view wanted, JsonValue found) {
  return Error::Make(Code::kInvalidArgument, "expected {}, found {}", wanted, found.TypeName());
}

// Keys may come from outside; an error message quotes only so much of them.
std::string Quote(std::string_view key) {
  return fmt::format("\"{}\"", key.substr(0, 80));
}

// Names the member in the error of its getter.
template <typename T>
Result<T> OfMember(std::string_view key, Result<T> result) {
  if (!result.has_value()) return std::move(result).error().Wrap("member {}", Quote(key));
  return result;
}

std::string DumpJson(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

bool JsonValue::IsNull() const { return json_ == nullptr || json_->is_null(); }
bool JsonValue::IsObject() const { return json_ != nullptr && json_->is_object(); }
bool JsonValue::IsArray() const { return json_ != nullptr && json_->is_array(); }
bool JsonValue::IsString() const { return json_ != nullptr && json_->is_string(); }
bool JsonValue::IsBool() const { return json_ != nullptr && json_->is_boolean(); }
bool JsonValue::IsInteger() const { return json_ != nullptr && json_->is_number_integer(); }
bool JsonValue::IsNumber() const { return json_ != nullptr && json_->is_number(); }

Result<std::string_view> JsonValue::AsString() const {
  if (!IsString()) return WrongType("string", *this);
  return std::string_view(*json_->get_ptr<const std::string*>());
}

Result<bool> JsonValue::AsBool() const {
  if (!IsBool()) return WrongType("boolean", *this);
  return *json_->get_ptr<const bool*>();
}

Result<int64_t> JsonValue::AsInt64() const {
  if (!IsInteger()) return WrongType("integer", *this);
  if (!json_->is_number_unsigned()) return *json_->get_ptr<const Json::number_integer_t*>();
  const uint64_t value = *json_->get_ptr<const Json::number_unsigned_t*>();
  if (value > static_cast<uint64_t>(INT64_MAX)) {
    return Error::Make(Code::kInvalidArgument, "integer {} is too large", value);
  }
  return static_cast<int64_t>(value);
}

Result<uint64_t> JsonValue::AsUint64() const {
  if (!IsInteger()) return WrongType("integer", *this);
  if (json_->is_number_unsigned()) return *json_->get_ptr<const Json::number_unsigned_t*>();
  const int64_t value = *json_->get_ptr<const Json::number_integer_t*>();
  if (value < 0) return Error::Make(Code::kInvalidArgument, "integer {} is negative", value);
  return static_cast<uint64_t>(value);
}

Result<double> JsonValue::AsDouble() const {
  if (!IsNumber()) return WrongType("number", *this);
  return json_->get<double>();
}

Result<std::vector<std::string>> JsonValue::AsStringArray() const {
  std::vector<std::string> strings;
  if (IsNull()) return strings;
  if (!IsArray()) return WrongType("array", *this);
  strings.reserve(size());
  for (size_t i = 0; i < size(); ++i) {
    ASSIGN_OR_RETURN(const std::string_view text, at(i).AsString());
    strings.emplace_back(text);
  }
  return strings;
}

size_t JsonValue::size() const { return IsObject() || IsArray() ? json_->size() : 0; }

JsonValue JsonValue::at(size_t index) const {
  BULWARK_CHECK(index < size());
  if (IsArray()) return JsonValue(&(*json_->get_ptr<const Json::array_t*>())[index]);
  const auto member = json_->get_ptr<const Json::object_t*>()->begin() +
                      static_cast<std::ptrdiff_t>(index);
  return JsonValue(&member->second);
}

std::string_view JsonValue::KeyAt(size_t index) const {
  BULWARK_CHECK(IsObject() && index < size());
  const auto member = json_->get_ptr<const Json::object_t*>()->begin() +
                      static_cast<std::ptrdiff_t>(index);
  return member->first;
}

JsonValue JsonValue::Find(std::string_view key) const {
  if (!IsObject()) return {};
  for (const auto& [name, value] : *json_->get_ptr<const Json::object_t*>()) {
    if (name == key) return JsonValue(&value);
  }
  return {};
}

JsonValue JsonValue::FindPath(std::string_view dotted) const {
  JsonValue value = *this;
  while (!dotted.empty()) {
    const size_t dot = dotted.find('.');
    value = value.Find(dotted.substr(0, dot));
    dotted = dot == std::string_view::npos ? std::string_view() : dotted.substr(dot + 1);
  }
  return value;
}

Result<JsonValue> JsonValue::GetObject(std::string_view key) const {
  const JsonValue value = Find(key);
  if (!value.IsObject()) return WrongType("object", value).Wrap("member {}", Quote(key));
  return value;
}

Result<JsonValue> JsonValue::GetArray(std::string_view key) const {
  const JsonValue value = Find(key);
  if (!value.IsArray()) return WrongType("array", value).Wrap("member {}", Quote(key));
  return value;
}

Result<std::string> JsonValue::GetString(std::string_view key) const {
  ASSIGN_OR_RETURN(const std::string_view text, OfMember(key, Find(key).AsString()));
  return std::string(text);
}

Result<int64_t> JsonValue::GetInt64(std::string_view key) const {
  return OfMember(key, Find(key).AsInt64());
}

Result<uint64_t> JsonValue::GetUint64(std::string_view key) const {
  return OfMember(key, Find(key).AsUint64());
}

Result<bool> JsonValue::GetBool(std::string_view key) const {
  return OfMember(key, Find(key).AsBool());
}

Result<std::string> JsonValue::GetStringOr(std::string_view key, std::string_view fallback) const {
  if (Find(key).IsNull()) return std::string(fallback);
  return GetString(key);
}

Result<int64_t> JsonValue::GetInt64Or(std::string_view key, int64_t fallback) const {
  if (Find(key).IsNull()) return fallback;
  return GetInt64(key);
}

Result<uint64_t> JsonValue::GetUint64Or(std::string_view key, uint64_t fallback) const {
  if (Find(key).IsNull()) return fallback;
  return GetUint64(key);
}

Result<bool> JsonValue::GetBoolOr(std::string_view key, bool fallback) const {
  if (Find(key).IsNull()) return fallback;
  return GetBool(key);
}

Result<double> JsonValue::GetDoubleOr(std::string_view key, double fallback) const {
  if (Find(key).IsNull()) return fallback;
  return OfMember(key, Find(key).AsDouble());
}

Result<std::vector<std::string>> JsonValue::GetStringArrayOr(std::string_view key) const {
  return OfMember(key, Find(key).AsStringArray());
}

Result<std::vector<std::pair<std::string, std::string>>> JsonValue::GetStringMapOr(
    std::string_view key) const {
  std::vector<std::pair<std::string, std::string>> pairs;
  ASSIGN_OR_RETURN(const JsonValue map, GetObjectOr(key));
  pairs.reserve(map.size());
  for (size_t i = 0; i < map.size(); ++i) {
    ASSIGN_OR_RETURN(const std::string_view text, OfMember(map.KeyAt(i), map.at(i).AsString()));
    pairs.emplace_back(std::string(map.KeyAt(i)), std::string(text));
  }
  return pairs;
}

Result<JsonValue> JsonValue::GetObjectOr(std::string_view key) const {
  if (Find(key).IsNull()) return JsonValue();
  return GetObject(key);
}

Result<JsonValue> JsonValue::GetArrayOr(std::string_view key) const {
  if (Find(key).IsNull()) return JsonValue();
  return GetArray(key);
}

std::string_view JsonValue::TypeName() const {
  return json_ == nullptr ? "null" : std::string_view(json_->type_name());
}

std::string JsonValue::Dump() const { return json_ == nullptr ? "null" : DumpJson(*json_); }

JsonDocument::JsonDocument(std::unique_ptr<Json> json) : json_(std::move(json)) {}
JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument&&) noexcept = default;
JsonDocument::~JsonDocument() = default;

Result<JsonDocument> JsonDocument::Parse(std::string_view text, const JsonLimits& limits) {
  auto json = std::make_unique<Json>();
  RETURN_IF_ERROR(ReadJson(text, limits, *json));
  return JsonDocument(std::move(json));
}

JsonDocument JsonDocument::EmptyObject() {
  return JsonDocument(std::make_unique<Json>(Json::object()));
}

JsonDocument JsonDocument::Clone() const { return JsonDocument(std::make_unique<Json>(*json_)); }

std::string JsonDocument::Dump() const { return DumpJson(*json_); }

base::Status RefuseCaseVariants(JsonValue object, const std::vector<std::string_view>& known,
                                std::string_view where) {
  if (!object.IsObject()) return base::OkStatus();
  for (size_t i = 0; i < object.size(); ++i) {
    const std::string_view key = object.KeyAt(i);
    const std::string folded = FoldKey(key);
    for (const std::string_view name : known) {
      if (key != name && folded == FoldKey(name)) {
        return Error::Make(Code::kInvalidArgument, "{}: key {} would be read as \"{}\"", where,
                           Quote(key), name);
      }
    }
  }
  return base::OkStatus();
}

}  // namespace bulwark::oci
