#include "shim/command/spec_summary.h"

#include <exception>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <utility>
#include <vector>

namespace bulwark::shim {
namespace {

using base::Code;
using base::Error;

constexpr std::string_view kGroupAnnotation = "io.containerd.runc.v2.group";
constexpr std::string_view kSandboxIdAnnotation = "io.kubernetes.cri.sandbox-id";
constexpr std::string_view kContainerTypeAnnotation = "io.kubernetes.cri.container-type";

// An input iterator that tells how far the lexer has read: the callbacks carry no positions, and
// the text of "process" is wanted as it stands.
class TrackingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  TrackingIterator(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  TrackingIterator& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  TrackingIterator operator++(int) {
    TrackingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const TrackingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const TrackingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

// The places in the document whose keys are read. Everything else is kSkipped, with all that is in
// it.
enum class Place {
  kSkipped,
  kRoot,
  kAnnotations,
  kProcess,
  kUser,
  kLinux,
  kNamespaces,
  kNamespace,
};

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto lower = [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    };
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

// Keys that are read at a place. Go matches struct fields without regard to case, also by two
// non-ASCII letters that fold to ASCII (U+017F to s, U+212A to k); keys of maps, such as
// annotations, it matches exactly.
std::span<const std::string_view> KeysReadAt(Place place) {
  static constexpr std::string_view kRootKeys[] = {"annotations", "process", "linux"};
  static constexpr std::string_view kProcessKeys[] = {"user", "terminal"};
  static constexpr std::string_view kUserKeys[] = {"uid", "gid"};
  static constexpr std::string_view kLinuxKeys[] = {"namespaces"};
  static constexpr std::string_view kNamespaceKeys[] = {"type", "path"};
  switch (place) {
    case Place::kRoot:
      return kRootKeys;
    case Place::kProcess:
      return kProcessKeys;
    case Place::kUser:
      return kUserKeys;
    case Place::kLinux:
      return kLinuxKeys;
    case Place::kNamespace:
      return kNamespaceKeys;
    case Place::kSkipped:
    case Place::kAnnotations:
    case Place::kNamespaces:
      return {};
  }
  return {};
}

std::string FoldToAscii(std::string_view key) {
  std::string folded;
  for (size_t i = 0; i < key.size(); ++i) {
    if (key.substr(i, 2) == "\xc5\xbf") {
      folded.push_back('s');
      i += 1;
    } else if (key.substr(i, 3) == "\xe2\x84\xaa") {
      folded.push_back('k');
      i += 2;
    } else {
      folded.push_back(key[i]);
    }
  }
  return folded;
}

class Reader : public nlohmann::json_sax<nlohmann::json> {
 public:
  Reader(const char* begin, const char* const* furthest, SpecSummary& summary)
      : begin_(begin), furthest_(furthest), summary_(summary) {}

  const std::string& refusal() const { return refusal_; }
  bool is_too_deep() const { return is_too_deep_; }

  bool start_object(size_t) override {
    if (levels_.size() >= kSpecDepthMax) return RefuseDepth();
    Level level{PlaceOfObject(), {}, {}};
    if (!refusal_.empty()) return false;
    if (level.place == Place::kProcess) process_begin_ = *furthest_ - 1;
    if (level.place == Place::kNamespace) namespace_ = {};
    levels_.push_back(std::move(level));
    return true;
  }

  bool end_object() override {
    const Place place = levels_.back().place;
    levels_.pop_back();
    if (place == Place::kProcess) {
      summary_.process_json.assign(process_begin_,
                                   static_cast<size_t>(*furthest_ - process_begin_));
    }
    if (place == Place::kNamespace && namespace_.type == "pid" && namespace_.path.empty()) {
      summary_.has_private_pid_namespace = true;
    }
    return true;
  }

  bool start_array(size_t) override {
    if (levels_.size() >= kSpecDepthMax) return RefuseDepth();
    Place place = Place::kSkipped;
    if (IsMember(Place::kLinux, "namespaces")) {
      place = Place::kNamespaces;
    } else if (IsMemberRead()) {
      return RefuseType();
    }
    levels_.push_back(Level{place, {}, {}});
    return true;
  }

  bool end_array() override {
    levels_.pop_back();
    return true;
  }

  bool key(string_t& name) override {
    Level& level = levels_.back();
    if (level.place == Place::kSkipped) return true;
    if (!level.seen.insert(name).second)
      return Refuse("key \"" + Printable(name) + "\" occurs twice");
    for (const std::string_view read : KeysReadAt(level.place)) {
      if (name != read && EqualsIgnoringCase(FoldToAscii(name), read)) {
        return Refuse("key \"" + Printable(name) + "\" could be taken for \"" + std::string(read) +
                      "\"");
      }
    }
    level.key = name;
    return true;
  }

  bool string(string_t& value) override {
    if (levels_.empty()) return RefuseType();
    const Level& level = levels_.back();
    if (level.place == Place::kAnnotations) {
      TakeAnnotation(level.key, value);
      return true;
    }
    if (IsMember(Place::kNamespace, "type")) {
      namespace_.type = value;
      return true;
    }
    if (IsMember(Place::kNamespace, "path")) {
      namespace_.path = value;
      return true;
    }
    return !IsMemberRead() || RefuseType();
  }

  bool boolean(bool value) override {
    if (IsMember(Place::kProcess, "terminal")) {
      summary_.terminal = value;
      return true;
    }
    return !IsMemberRead() || RefuseType();
  }

  bool number_unsigned(number_unsigned_t value) override {
    const bool is_uid = IsMember(Place::kUser, "uid");
    if (is_uid || IsMember(Place::kUser, "gid")) {
      if (value > UINT32_MAX) return RefuseType();
      (is_uid ? summary_.uid : summary_.gid) = static_cast<uint32_t>(value);
      return true;
    }
    return !IsMemberRead() || RefuseType();
  }

  // Go takes null as "not given".
  bool null() override { return !levels_.empty() || RefuseType(); }
  bool number_integer(number_integer_t) override { return !IsMemberRead() || RefuseType(); }
  bool number_float(number_float_t, const string_t&) override {
    return !IsMemberRead() || RefuseType();
  }
  bool binary(binary_t&) override { return RefuseType(); }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return Refuse("malformed JSON at byte " + std::to_string(*furthest_ - begin_));
  }

 private:
  struct Level {
    Place place;
    std::string key;
    std::set<std::string, std::less<>> seen;
  };

  bool IsMember(Place place, std::string_view name) const {
    return !levels_.empty() && levels_.back().place == place && levels_.back().key == name;
  }

  // Whether the value at hand is one whose type matters here: the whole document, a member that is
  // read, an annotation, an entry of linux.namespaces.
  bool IsMemberRead() const {
    if (levels_.empty()) return true;
    const Level& level = levels_.back();
    if (level.place == Place::kAnnotations || level.place == Place::kNamespaces) return true;
    for (const std::string_view read : KeysReadAt(level.place)) {
      if (level.key == read) return true;
    }
    return false;
  }

  // Where an object that begins now stands; sets the refusal if none may stand here.
  Place PlaceOfObject() {
    if (levels_.empty()) return Place::kRoot;
    if (levels_.back().place == Place::kNamespaces) return Place::kNamespace;
    if (IsMember(Place::kRoot, "annotations")) return Place::kAnnotations;
    if (IsMember(Place::kRoot, "process")) return Place::kProcess;
    if (IsMember(Place::kRoot, "linux")) return Place::kLinux;
    if (IsMember(Place::kProcess, "user")) return Place::kUser;
    if (IsMemberRead()) RefuseType();
    return Place::kSkipped;
  }

  void TakeAnnotation(const std::string& name, const std::string& value) {
    if (name == kGroupAnnotation) summary_.group_annotation = value;
    if (name == kSandboxIdAnnotation) summary_.sandbox_id = value;
    if (name == kContainerTypeAnnotation) summary_.container_type = value;
  }

  bool Refuse(std::string why) {
    refusal_ = std::move(why);
    return false;
  }
  bool RefuseType() {
    return Refuse(levels_.empty() ? "not an object"
                                  : "\"" + Printable(levels_.back().key) +
                                        "\" holds a value of the wrong type");
  }
  bool RefuseDepth() {
    is_too_deep_ = true;
    return Refuse("nested too deeply");
  }

  static std::string Printable(std::string_view text) {
    constexpr size_t kCharsMax = 64;
    std::string printable;
    for (const char c : text.substr(0, kCharsMax))
      printable.push_back(c >= ' ' && c <= '~' ? c : '?');
    return printable;
  }

  const char* begin_;
  const char* const* furthest_;
  SpecSummary& summary_;
  std::vector<Level> levels_;
  const char* process_begin_ = nullptr;
  struct {
    std::string type;
    std::string path;
  } namespace_;
  std::string refusal_;
  bool is_too_deep_ = false;
};

}  // namespace

base::Result<SpecSummary> SummarizeSpec(std::string_view config_json) {
  if (config_json.size() > kSpecBytesMax) {
    return Error::Make(Code::kResourceExhausted, "read runtime spec: {} bytes, at most {} allowed",
                       config_json.size(), kSpecBytesMax);
  }
  SpecSummary summary;
  const char* furthest = config_json.data();
  Reader reader(config_json.data(), &furthest, summary);
  try {
    const TrackingIterator begin(config_json.data(), &furthest);
    const TrackingIterator end(config_json.data() + config_json.size(), &furthest);
    if (nlohmann::json::sax_parse(begin, end, &reader)) return summary;
  } catch (const std::exception& thrown) {
    return Error::Make(Code::kInvalidArgument, "read runtime spec: {}", thrown.what());
  }
  return Error::Make(reader.is_too_deep() ? Code::kResourceExhausted : Code::kInvalidArgument,
                     "read runtime spec: {}", reader.refusal());
}

std::string GroupOf(const SpecSummary& summary, std::string_view container_id) {
  if (!summary.sandbox_id.empty()) return summary.sandbox_id;
  if (!summary.group_annotation.empty()) return summary.group_annotation;
  return std::string(container_id);
}

}  // namespace bulwark::shim
