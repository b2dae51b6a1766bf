# shellcheck shell=bash
# The Debian packages that building and trying bulwark takes. One list, used by hack/*.sh and CI.
# shellcheck disable=SC2034
BUILD_PACKAGES=(g++ cmake ninja-build pkg-config libfmt-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc
  libgrpc++-dev nlohmann-json3-dev libtomlplusplus-dev libcli11-dev libyaml-cpp-dev libssl-dev libsqlite3-dev
  libseccomp-dev libcap-dev libgtest-dev libgmock-dev)
FIXTURE_PACKAGES=(busybox-static jq openssl)
RUNTIME_PACKAGES=(containerd runc procps)
