// Image references in one canonical form, so that policy compares like with like. Follows the grammar and the
// normalisation of github.com/distribution/reference (reference.go, normalize.go), with four deviations, all stricter
// or more uniform: the host is lowered, an upper-case letter alone makes no host (REG/a is refused: lowered, it would read
// as docker.io/reg/a), a name without tag and digest gets the tag "latest" here, and a bare 64-digit
// hexadecimal name is refused.
//
//   busybox                     docker.io/library/busybox:latest
//   user/app:1                  docker.io/user/app:1
//   index.docker.io/library/a   docker.io/library/a:latest
//   REG.corp:5000/a/b@sha256:…  reg.corp:5000/a/b@sha256:…
//
// A port is part of the host: reg.corp and reg.corp:443 are different hosts. Host names are ASCII; an internationalised
// name is its punycode form. A reference says what somebody asked for, never what will run: that is a digest.
// Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace bulwark::oci {

struct ImageReference {
  std::string host;    // "docker.io", "registry.corp:5000", "[fd00::1]:5000"
  std::string path;    // "library/busybox"
  std::string tag;     // may be empty when `digest` is not
  std::string digest;  // may be empty; checked by oci::CheckDigest

  // kInvalidArgument for anything outside the grammar (upper case in the path, empty segments, names above 255 bytes…).
  static base::Result<ImageReference> Parse(std::string_view text);

  std::string Repository() const;  // "host/path"
  std::string Canonical() const;   // "host/path[:tag][@digest]"

  bool operator==(const ImageReference& other) const = default;
};

}  // namespace bulwark::oci
