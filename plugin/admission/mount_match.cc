#include "plugin/admission/mount_match.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace bulwark::admission {
namespace {

bool IsContextOption(std::string_view option) {
  constexpr std::string_view kHead = "context=\"";
  if (!option.starts_with(kHead)) return false;
  const std::string_view rest = option.substr(kHead.size());
  return rest.size() > 1 && rest.find('"') == rest.size() - 1 && rest.find('\\') == std::string_view::npos &&
         rest.find('\0') == std::string_view::npos;
}

}  // namespace

bool IsSameMount(const containerd::Mount& asked, const containerd::Mount& snapshot) {
  if (asked.type != snapshot.type || asked.source != snapshot.source || asked.target != snapshot.target) return false;
  if (asked.options == snapshot.options) return true;
  std::vector<std::string> options = asked.options;
  if (options.empty() || !IsContextOption(options.back())) return false;
  options.pop_back();
  return options == snapshot.options;
}

}  // namespace bulwark::admission
