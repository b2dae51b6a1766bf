// The parts of an image reference, as github.com/distribution/reference (regexp.go) defines them; shared by references
// and the patterns over them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace bulwark::oci {

// Lower-case host name, IPv4 or bracketed IPv6 address, with an optional port.
bool IsHost(std::string_view text);
// [a-z0-9]+ joined by single ".", "_", "__" or any number of "-".
bool IsPathSegment(std::string_view text);
// [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}
bool IsTag(std::string_view text);

// Splits a name without tag and digest into host and path as Docker does: the first segment is a host if it has a "."
// or ":", or is "localhost"; otherwise the host is docker.io, and a path of one segment gets
// "library/". The host is lowered and index.docker.io becomes docker.io. Checks nothing.
std::pair<std::string, std::string> SplitHost(std::string_view name);

}  // namespace bulwark::oci
