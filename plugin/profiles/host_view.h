// What hardening has to ask the node: where a namespace path and a mount's source really lead. Both calls block on stat(2)
// and readlink(2) of paths that a spec names, and follow symlinks as the runtime will; any thread.
//
// What is seen here can be changed before the runtime looks: by root, or by whoever can write to a directory on the way.
#pragma once

#include <string>

#include "plugin/profiles/hardening.h"

namespace bulwark::profiles {

// Whether `path` is one of the namespaces of process 1 (namespaces(7): same device and inode). Also true if that cannot
// be told: an unknown type, a path that is not there, no access.
bool IsHostNamespace(const std::string& type, const std::string& path);

// The path with symlinks followed as far as it exists, absolute and clean; only cleaned if that fails.
std::string ResolvePath(const std::string& path);

HostView RealHost();

}  // namespace bulwark::profiles
