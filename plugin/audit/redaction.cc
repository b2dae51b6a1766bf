#include "plugin/audit/redaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace bulwark::audit {
namespace {

constexpr std::string_view kMask = "***";
constexpr std::string_view kSpace = " \t\r\n\v\f";

std::string Lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool NamesSecret(std::string_view name) {
  static constexpr std::array<std::string_view, 13> kParts = {
      "passw", "pwd",        "secret",  "token",  "apikey",     "api-key",   "api_key",
      "auth",  "credential", "private", "cookie", "access-key", "access_key"};
  const std::string lowered = Lowered(name);
  return std::any_of(kParts.begin(), kParts.end(), [&](std::string_view part) {
    return lowered.find(part) != std::string::npos;
  });
}

bool HasTokenPrefix(std::string_view word) {
  static constexpr std::array<std::string_view, 16> kPrefixes = {
      "AKIA",  "ASIA",  "ghp_", "gho_",     "ghs_", "ghu_", "github_pat_", "glpat-",
      "xoxb-", "xoxp-", "sk-",  "sk_live_", "hvs.", "npm_", "eyJ",         "AIza"};
  return std::any_of(kPrefixes.begin(), kPrefixes.end(), [&](std::string_view prefix) {
    return word.size() >= prefix.size() + 8 && word.substr(0, prefix.size()) == prefix;
  });
}

// Long, of one piece, and of mixed characters: more likely a key than a word. Paths and digests are
// left alone.
bool LooksRandom(std::string_view word) {
  if (word.size() < 24 || word.front() == '/' || word.front() == '.' || word.front() == '-')
    return false;
  int digits = 0;
  int upper = 0;
  int lower = 0;
  bool hex = true;
  for (const char c : word) {
    const auto u = static_cast<unsigned char>(c);
    if (!std::isalnum(u) && std::string_view("+/=_-").find(c) == std::string_view::npos)
      return false;
    digits += std::isdigit(u) ? 1 : 0;
    upper += std::isupper(u) ? 1 : 0;
    lower += std::islower(u) ? 1 : 0;
    hex = hex && std::isxdigit(u);
  }
  if (hex && word.size() >= 32) return true;
  return digits >= 2 && upper >= 2 && lower >= 2;
}

// scheme://user:password@host, anywhere in the word.
std::string MaskUrlPassword(std::string_view word) {
  const size_t scheme = word.find("://");
  if (scheme == std::string_view::npos) return std::string(word);
  const size_t authority = scheme + 3;
  const size_t end = std::min(word.find_first_of("/?#", authority), word.size());
  const size_t at = word.substr(0, end).rfind('@');
  if (at == std::string_view::npos || at < authority) return std::string(word);
  const size_t colon = word.find(':', authority);
  if (colon == std::string_view::npos || colon > at) return std::string(word);
  return fmt::format("{}{}{}", word.substr(0, colon + 1), kMask, word.substr(at));
}

// Goes through the words of a command line in order, since some words make a secret of the next
// one.
class Redactor {
 public:
  std::string Argument(std::string_view argument) {
    std::string out;
    for (size_t at = 0; at < argument.size();) {
      const size_t word_begin = std::min(argument.find_first_not_of(kSpace, at), argument.size());
      out += argument.substr(at, word_begin - at);
      const size_t word_end = std::min(argument.find_first_of(kSpace, word_begin), argument.size());
      out += Word(argument.substr(word_begin, word_end - word_begin));
      at = word_end;
    }
    if (argument.empty()) mask_next_ = false;
    return out;
  }

 private:
  std::string Word(std::string_view word) {
    if (word.empty()) return {};
    if (mask_next_) {
      // "Authorization: Bearer x": the scheme's name is not the secret.
      const std::string lowered = Lowered(word);
      mask_next_ = lowered == "bearer" || lowered == "basic" || lowered == "token";
      return mask_next_ ? std::string(word) : std::string(kMask);
    }
    const size_t separator = word.find_first_of("=:");
    const std::string_view name = word.substr(0, std::min(separator, word.size()));
    const bool is_url = word.find("://") != std::string_view::npos;
    const bool is_option = word.front() == '-';
    if (separator != std::string_view::npos && NamesSecret(name) &&
        !(is_url && word[separator] == ':')) {
      // "password: x": what follows is in the next word.
      const std::string_view value = word.substr(separator + 1);
      mask_next_ = value.empty() || value == "\"" || value == "'";
      return mask_next_ ? std::string(word)
                        : fmt::format("{}{}", word.substr(0, separator + 1), kMask);
    }
    // mysql's and sshpass's -pSECRET; but Go programs write "-password SECRET".
    if (word.size() > 2 && word.substr(0, 2) == "-p") {
      const std::string lowered = Lowered(word);
      mask_next_ = lowered.starts_with("-pass") || lowered.starts_with("-pw");
      return fmt::format("-p{}", kMask);
    }
    if (is_option && separator == std::string_view::npos && NamesSecret(name)) {
      mask_next_ = true;
      return std::string(word);
    }
    if (is_url) return MaskUrlPassword(word);
    if (separator != std::string_view::npos) {
      const std::string_view value = word.substr(separator + 1);
      const bool is_digest = name == "sha256" || name.ends_with("@sha256");
      if (!is_digest && (HasTokenPrefix(value) || LooksRandom(value))) {
        return fmt::format("{}{}", word.substr(0, separator + 1), kMask);
      }
      return std::string(word);
    }
    const std::string_view bare = word.substr(std::min(word.find_first_not_of("'\""), word.size()));
    if (HasTokenPrefix(bare) || LooksRandom(bare)) return std::string(kMask);
    return std::string(word);
  }

  bool mask_next_ = false;
};

// A length at most `bytes_max` that does not cut a UTF-8 sequence in two.
size_t CutLength(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text.size();
  size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return end;
}

}  // namespace

std::vector<std::string> RedactArgv(const std::vector<std::string>& argv) {
  constexpr size_t kNoteBytes = 32;  // "…(+N bytes)" and the like
  Redactor redactor;
  std::vector<std::string> out;
  size_t left = kArgvBytesMax - kNoteBytes;
  for (size_t i = 0; i < argv.size(); ++i) {
    if (i + 1 >= kArgvCountMax || left == 0) {
      out.push_back(fmt::format("…(+{} arguments)", argv.size() - i));
      break;
    }
    // A mask may be longer than what it hides, never by much; scripts are cut before they are
    // looked at.
    const std::string_view argument = std::string_view(argv[i]).substr(0, kArgvBytesMax);
    std::string redacted = redactor.Argument(argument);
    const size_t kept = CutLength(redacted, left);
    const size_t lost = redacted.size() - kept + (argv[i].size() - argument.size());
    redacted.resize(kept);
    left -= kept;
    if (lost > 0) redacted += fmt::format("…(+{} bytes)", lost);
    out.push_back(std::move(redacted));
    if (lost > 0) left = 0;
  }
  return out;
}

}  // namespace bulwark::audit
