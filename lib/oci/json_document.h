// JSON from outside (image manifests, configs, runtime specs, signed payloads, scan reports), parsed strictly and kept
// losslessly: unknown fields, key order and every 64-bit integer survive Parse() followed by Dump().
//
// Refused, because Go's decoder (containerd, runc, every producer we read) and ours could otherwise see different
// documents (encoding/json "Unmarshal": keys match case-insensitively and the last one wins; RFC 8259 §4):
//   - a key that occurs twice in an object;
//   - two keys of an object that differ only by case, by Go's folding (which also equates U+212A with k and U+017F with
//     s), except where keys are data rather than field names: below "annotations", "labels", "Labels", "sysctl",
//     "Volumes" and "ExposedPorts";
//   - invalid UTF-8, a byte order mark, anything but white space after the value, integers beyond 64 bits;
//   - documents above the limits, in time and memory linear in the bytes read up to the limit.
//
// Nothing here throws or blocks. A JsonDocument may be read by several threads at once, as long as none writes.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace bulwark::oci {

// Bounds on one document. A node is a value of any kind; `depth` counts nested arrays and objects.
struct JsonLimits {
  size_t bytes = 4u << 20;
  size_t depth = 64;
  size_t nodes = 200'000;
};

// A value inside a document: a pointer, cheap to copy, valid while the document lives unchanged. A default constructed
// one is "absent": it behaves like null. Absent and null are the same to every function below, as they are to Go.
class JsonValue {
 public:
  JsonValue() = default;
  explicit JsonValue(const nlohmann::ordered_json* json) : json_(json) {}

  bool IsNull() const;  // null or absent
  bool IsObject() const;
  bool IsArray() const;
  bool IsString() const;
  bool IsBool() const;
  bool IsInteger() const;  // fits int64 or uint64; 1.0 is not one
  bool IsNumber() const;

  // The value, or kInvalidArgument naming the type wanted and the type found. Views point into the document.
  base::Result<std::string_view> AsString() const;
  base::Result<bool> AsBool() const;
  base::Result<int64_t> AsInt64() const;    // also kInvalidArgument when out of range
  base::Result<uint64_t> AsUint64() const;  // the same
  base::Result<double> AsDouble() const;
  base::Result<std::vector<std::string>> AsStringArray() const;  // null or absent: empty

  // Elements of an array or members of an object; 0 for anything else.
  size_t size() const;
  // Precondition: index < size(). Of an object, the members in document order.
  JsonValue at(size_t index) const;
  std::string_view KeyAt(size_t index) const;  // precondition: IsObject()

  // The member of that exact name; absent if there is none or this is no object. Linear in the members.
  JsonValue Find(std::string_view key) const;
  // Find() along "a.b.c"; for fixed paths in code, never for keys from outside.
  JsonValue FindPath(std::string_view dotted) const;

  // Required members: kInvalidArgument naming the key if it is absent, null or of another type.
  base::Result<JsonValue> GetObject(std::string_view key) const;
  base::Result<JsonValue> GetArray(std::string_view key) const;
  base::Result<std::string> GetString(std::string_view key) const;
  base::Result<int64_t> GetInt64(std::string_view key) const;
  base::Result<uint64_t> GetUint64(std::string_view key) const;
  base::Result<bool> GetBool(std::string_view key) const;

  // Optional members: the fallback if absent or null, kInvalidArgument naming the key if of another type.
  base::Result<std::string> GetStringOr(std::string_view key, std::string_view fallback) const;
  base::Result<int64_t> GetInt64Or(std::string_view key, int64_t fallback) const;
  base::Result<uint64_t> GetUint64Or(std::string_view key, uint64_t fallback) const;
  base::Result<bool> GetBoolOr(std::string_view key, bool fallback) const;
  base::Result<double> GetDoubleOr(std::string_view key, double fallback) const;
  base::Result<std::vector<std::string>> GetStringArrayOr(std::string_view key) const;  // empty if absent
  // Members of an object whose values are all strings, in document order (annotations, labels); empty if absent.
  base::Result<std::vector<std::pair<std::string, std::string>>> GetStringMapOr(std::string_view key) const;
  // Absent if absent or null; kInvalidArgument if it is there and is no object (array).
  base::Result<JsonValue> GetObjectOr(std::string_view key) const;
  base::Result<JsonValue> GetArrayOr(std::string_view key) const;

  // "object", "array", "string", "number", "boolean", "null".
  std::string_view TypeName() const;
  // Compact JSON text; "null" for absent.
  std::string Dump() const;

 private:
  const nlohmann::ordered_json* json_ = nullptr;
};

class JsonDocument {
 public:
  // kInvalidArgument for everything listed above except size, with the byte offset; kResourceExhausted beyond limits.
  static base::Result<JsonDocument> Parse(std::string_view text, const JsonLimits& limits = {});
  // {} as a start for a document of our own.
  static JsonDocument EmptyObject();

  JsonDocument(JsonDocument&&) noexcept;
  JsonDocument& operator=(JsonDocument&&) noexcept;
  ~JsonDocument();

  JsonDocument Clone() const;
  JsonValue root() const { return JsonValue(json_.get()); }

  // Compact JSON text; ends without a newline. Invalid UTF-8 put in by a caller is replaced by U+FFFD.
  std::string Dump() const;

  // For code in lib/ that edits documents and includes <nlohmann/json.hpp> itself.
  nlohmann::ordered_json& json() { return *json_; }
  const nlohmann::ordered_json& json() const { return *json_; }

 private:
  explicit JsonDocument(std::unique_ptr<nlohmann::ordered_json> json);
  std::unique_ptr<nlohmann::ordered_json> json_;  // never null, except after being moved from
};

// The key as Go's decoder compares it: ASCII letters lowered, U+212A as k, U+017F as s.
std::string FoldKey(std::string_view key);

// kInvalidArgument if `object` has a key that is not one of `known` but folds to one: Go would read it as that field.
// Anything but an object passes.
base::Status RefuseCaseVariants(JsonValue object, const std::vector<std::string_view>& known,
                                std::string_view where);

}  // namespace bulwark::oci
