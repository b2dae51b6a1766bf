#!/bin/bash
# Checks what ARCHITECTURE.md says about dependencies, by the #include lines, and that no hand-written source is too long.
#
#   hack/check-layers.sh [DIRECTORY]     default: the tree this script is in
#
# Prints "FILE:LINE: what is wrong" for each violation. Exit status: 0 none; 1 some.
set -euo pipefail
cd "${1:-$(dirname "$(readlink -f "$0")")/..}"

readonly lines_max=600
# Headers of plain data, which any area of plugin/ may include.
readonly plain='plugin/(policy/decision|policy/rule|trust/requirement|trust/verification|audit/record|profiles/hardening)\.h'
violations=0

complain() {
  printf '%s\n' "$1"
  violations=$((violations + 1))
}

# sources DIRECTORY: every hand-written C++ file in it.
sources() {
  [ -d "$1" ] || return 0
  find "$1" -type f \( -name '*.h' -o -name '*.cc' \) | sort
}

# is_test FILE: tests link what they like.
is_test() { [[ $1 =~ (_test\.cc|_test_support\.(h|cc)|_test_fixture\.h|/test_[a-z_]+\.(h|cc))$ ]]; }

# only DIRECTORY REGEX WHY: includes of our own tree in DIRECTORY must match REGEX, whole.
only() {
  local hit path
  while IFS= read -r hit; do
    path=${hit#*\"}
    path=${path%%\"*}
    if ! [[ $path =~ ^($2)$ ]]; then complain "${hit%%:#*}: $1 must not include $path ($3)"; fi
  done < <(sources "$1" | xargs -r -d '\n' grep -HnE '^#include "(lib|shim|plugin|tests)/' || true)
}

# never DIRECTORY REGEX WHY: no include in DIRECTORY, in quotes or angle brackets, matches REGEX from its beginning.
never() {
  local hit
  while IFS= read -r hit; do
    is_test "${hit%%:*}" || complain "${hit%%:#*}: $1 must not have ${hit#*:*:} ($3)"
  done < <(sources "$1" | xargs -r -d '\n' grep -HnE "^#include [<\"]($2)" || true)
}

check_libraries() {
  only lib/base 'lib/base/.*' 'base stands on nothing'
  only lib/oci 'lib/(base|oci)/.*' 'oci stands on base'
  only lib/seccomp 'lib/(base|oci|seccomp)/.*' 'seccomp stands on oci and base'
  only lib/ttrpc 'lib/(base|ttrpc)/.*' 'ttrpc stands on base'
  only lib/journal 'lib/(base|journal)/.*' 'journal stands on base'
}

check_shim() {
  only shim '(lib|shim)/.*' 'shim and plugin meet only in proto/'
  never shim 'grpc|absl/|openssl/|sqlite3|seccomp\.h|yaml-cpp/|curl/|spdlog/|toml\+\+|CLI/' 'the shim links nothing heavy'
  never lib/base 'grpc|absl/|openssl/|sqlite3|seccomp\.h|yaml-cpp/|curl/|spdlog/' 'the shim links lib/base'
  never lib/ttrpc 'grpc|absl/|openssl/|sqlite3|seccomp\.h|yaml-cpp/|curl/|spdlog/' 'the shim links lib/ttrpc'
  never lib/journal 'grpc|absl/|openssl/|sqlite3|seccomp\.h|yaml-cpp/|curl/|spdlog/' 'the shim links lib/journal'
  never shim 'iostream|fstream|sstream' 'no iostreams in the shim'
}

check_plugin() {
  local area
  for area in policy trust profiles audit containerd config; do
    only "plugin/$area" "lib/.*|plugin/$area/.*|$plain" 'leaf areas share plain data only'
  done
  only plugin/evidence "lib/.*|plugin/(evidence|trust)/.*|$plain" 'evidence stands on trust'
  only plugin/admission \
    "lib/.*|plugin/(admission|policy|trust|profiles|audit|containerd|evidence)/.*" 'admission joins the leaf areas and evidence'
  only plugin/api \
    "lib/.*|plugin/(api|admission|policy|trust|profiles|audit|containerd|evidence)/.*" 'api exposes admission'
  only plugin/cli "lib/.*|plugin/(cli|policy|trust|audit)/.*" 'cli: gRPC, and the policy and audit libraries'
  only plugin/daemon "(lib|plugin)/.*" 'shim and plugin meet only in proto/'
  # A new area has to be given its rule here and its place in ARCHITECTURE.md.
  while IFS= read -r area; do
    case ${area#plugin/} in
      policy | trust | profiles | audit | containerd | config | evidence | admission | api | cli | daemon) ;;
      *) complain "$area: no rule says what this area may include" ;;
    esac
  done < <(find plugin -mindepth 1 -maxdepth 1 -type d | sort)
}

# No clock, files or sockets where the result must follow from the input alone. Test files may do as they like.
check_purity() {
  local hit
  while IFS= read -r hit; do
    is_test "${hit%%:*}" && continue
    case $hit in
      plugin/policy/policy_store.*) continue ;;  # the one part of policy that reads files
      lib/seccomp/compiler.cc:*) continue ;;     # libseccomp gives a filter only through a descriptor: a memfd
    esac
    complain "${hit%%:#*}: must not have ${hit#*:*:} (this code is pure)"
  done < <({ sources lib/seccomp; sources plugin/policy; sources plugin/trust; } | xargs -r -d '\n' grep -HnE \
    '^#include (<(chrono|fstream|iostream|filesystem|fcntl\.h|sys/(socket|stat)\.h|time\.h|unistd\.h|thread)>|"lib/base/(clock|event_loop|file_io|spawn|unix_socket|random)\.h")' || true)
}

check_lengths() {
  local file count
  while IFS= read -r file; do
    count=$(wc -l <"$file")
    [ "$count" -le "$lines_max" ] || complain "$file:$count: longer than $lines_max lines"
  done < <(find lib shim plugin proto tests hack cmake -type f \
    \( -name '*.h' -o -name '*.cc' -o -name '*.proto' -o -name '*.sh' -o -name '*.cmake' -o -name '*.py' \) | sort)
}

check_libraries
check_shim
check_plugin
check_purity
check_lengths
if [ "$violations" -gt 0 ]; then
  printf 'check-layers: %d violation(s)\n' "$violations" >&2
  exit 1
fi
echo "check-layers: every include goes the right way, no file is too long"
