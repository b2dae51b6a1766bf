#include "plugin/audit/record.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace bulwark::audit {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD
constexpr int kAttributesMax = 32;

// Steps of shortening. The last one fits for certain: with all fields at their limits it gives
// about 28 KiB.
struct Limits {
  size_t string_bytes;
  int list_length;
};
constexpr Limits kSteps[] = {{4096, 256}, {1024, 64}, {256, 32}, {64, 16}};

// Length of the valid UTF-8 sequence at the start of `text`, without NUL; 0 if there is none
// (Unicode 15, table 3-7).
size_t Utf8SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return first == 0 ? 0 : 1;
  size_t length;
  uint8_t low = 0x80;
  uint8_t high = 0xbf;
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    length = 3;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
  } else {
    return 0;
  }
  if (text.size() < length || byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  }
  return length;
}

bool IsClean(std::string_view text) {
  // Nearly all strings are plain ASCII.
  if (std::all_of(text.begin(), text.end(), [](char c) {
        // Not c > 0: char is unsigned on some machines (aarch64).
        const auto byte = static_cast<unsigned char>(c);
        return byte != 0 && byte < 0x80;
      })) {
    return true;
  }
  for (size_t at = 0; at < text.size();) {
    const size_t length = Utf8SequenceLength(text.substr(at));
    if (length == 0) return false;
    at += length;
  }
  return true;
}

std::string Cleaned(std::string_view text) {
  std::string clean;
  for (size_t at = 0; at < text.size();) {
    const size_t length = Utf8SequenceLength(text.substr(at));
    clean += length == 0 ? kReplacement : text.substr(at, length);
    at += std::max<size_t>(length, 1);
  }
  return clean;
}

// Returns whether something was cut off. Replacing bytes does not count.
bool BoundString(std::string* text, size_t bytes_max) {
  if (!IsClean(*text)) *text = Cleaned(*text);
  if (text->size() <= bytes_max) return false;
  size_t end = bytes_max;
  while (end > 0 && (static_cast<uint8_t>((*text)[end]) & 0xc0) == 0x80) --end;
  text->resize(end);
  return true;
}

bool BoundStringField(Message* message, const FieldDescriptor* field, int index, size_t bytes_max) {
  const Reflection* reflection = message->GetReflection();
  std::string scratch;
  const std::string& text =
      index < 0 ? reflection->GetStringReference(*message, field, &scratch)
                : reflection->GetRepeatedStringReference(*message, field, index, &scratch);
  if (text.size() <= bytes_max && IsClean(text)) return false;
  std::string bounded = text;
  const bool shortened = BoundString(&bounded, bytes_max);
  if (index < 0) {
    reflection->SetString(message, field, std::move(bounded));
  } else {
    reflection->SetRepeatedString(message, field, index, std::move(bounded));
  }
  return shortened;
}

bool BoundMessage(Message* message, const Limits& limits);

bool BoundRepeated(Message* message, const FieldDescriptor* field, const Limits& limits) {
  const Reflection* reflection = message->GetReflection();
  bool shortened = false;
  while (reflection->FieldSize(*message, field) > limits.list_length) {
    reflection->RemoveLast(message, field);
    shortened = true;
  }
  for (int i = 0; i < reflection->FieldSize(*message, field); ++i) {
    if (field->type() == FieldDescriptor::TYPE_STRING) {
      shortened |= BoundStringField(message, field, i, limits.string_bytes);
    } else if (field->type() == FieldDescriptor::TYPE_MESSAGE) {
      shortened |= BoundMessage(reflection->MutableRepeatedMessage(message, field, i), limits);
    }
  }
  return shortened;
}

// Every string of the message and of those within it; maps are BoundAttributes()'s.
bool BoundMessage(Message* message, const Limits& limits) {
  const Reflection* reflection = message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(*message, &fields);
  bool shortened = false;
  for (const FieldDescriptor* field : fields) {
    if (field->is_map()) continue;
    if (field->is_repeated()) {
      shortened |= BoundRepeated(message, field, limits);
    } else if (field->type() == FieldDescriptor::TYPE_STRING) {
      shortened |= BoundStringField(message, field, -1, limits.string_bytes);
    } else if (field->type() == FieldDescriptor::TYPE_MESSAGE) {
      shortened |= BoundMessage(reflection->MutableMessage(message, field), limits);
    }
  }
  return shortened;
}

bool BoundAttributes(v1::AuditRecord* record, const Limits& limits) {
  const bool needed =
      record->attributes().size() > kAttributesMax ||
      std::any_of(record->attributes().begin(), record->attributes().end(), [&](const auto& entry) {
        return entry.first.size() > limits.string_bytes ||
               entry.second.size() > limits.string_bytes || !IsClean(entry.first) ||
               !IsClean(entry.second);
      });
  if (!needed) return false;
  // In the order of their names, so that it does not depend on the map's hashing which ones stay.
  std::vector<std::pair<std::string, std::string>> entries(record->attributes().begin(),
                                                           record->attributes().end());
  std::sort(entries.begin(), entries.end());
  bool shortened = false;
  record->clear_attributes();
  for (auto& [name, value] : entries) {
    shortened |= BoundString(&name, limits.string_bytes);
    shortened |= BoundString(&value, limits.string_bytes);
    if (record->attributes().size() >= kAttributesMax) {
      shortened = true;
      break;
    }
    (*record->mutable_attributes())[name] = value;
  }
  return shortened;
}

}  // namespace

size_t BoundRecord(v1::AuditRecord* record) {
  bool shortened = false;
  size_t size = 0;
  for (const Limits& limits : kSteps) {
    shortened |= BoundMessage(record, limits);
    shortened |= BoundAttributes(record, limits);
    if (shortened) {
      if (record->attributes().size() >= kAttributesMax &&
          record->attributes().count("truncated") == 0) {
        record->mutable_attributes()->erase(record->attributes().begin()->first);
      }
      (*record->mutable_attributes())["truncated"] = "true";
    }
    size = record->ByteSizeLong();
    // Room for the sequence field, which the log appends.
    if (size + 11 <= kRecordBytesMax) break;
  }
  return size;
}

}  // namespace bulwark::audit
