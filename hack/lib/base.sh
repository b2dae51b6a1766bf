# shellcheck shell=bash
# Shared by hack/*.sh and tests: messages, a scratch directory, cleanup that also runs on Ctrl-C, missing packages.
# Source it from bash with `set -euo pipefail`. Nothing here touches anything outside the scratch directory, except
# require_packages, which may call apt.

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Cleanup commands run once, last added first, at exit and on INT, TERM and HUP. Each is a function name with arguments
# that hold no spaces.
_cleanups=()
add_cleanup() { _cleanups+=("$*"); }
run_cleanups() {
  local status=$? index
  trap - EXIT
  trap '' INT TERM HUP
  for ((index = ${#_cleanups[@]} - 1; index >= 0; --index)); do
    # shellcheck disable=SC2086  # a command and its arguments
    ${_cleanups[index]} || true
  done
  exit "$status"
}
trap run_cleanups EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# make_scratch: sets SCRATCH to a new directory (root only) that is removed at exit.
make_scratch() {
  SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/bulwark.XXXXXX")
  chmod 700 "$SCRATCH"
  add_cleanup remove_scratch
}
remove_scratch() {
  # Never descend into a mount that something failed to undo.
  if grep -q " $SCRATCH/" /proc/self/mountinfo; then
    warn "$SCRATCH still has mounts; it is left behind"
    return 1
  fi
  rm -rf --one-file-system "$SCRATCH"
}

# require_packages NAME...: installs the Debian packages that are missing; asks nothing, downloads nothing if none are.
require_packages() {
  local name missing=()
  for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "these Debian packages are needed, and there is no apt-get: ${missing[*]}"
  [ "$(id -u)" -eq 0 ] || die "these Debian packages are missing; as root: apt-get install ${missing[*]}"
  say "installing: ${missing[*]}"
  # The package lists may be fresh already: update only if the install fails without.
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
    { apt-get update -q >/dev/null 2>&1 &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null; } ||
    die "apt-get could not install: ${missing[*]}"
}

# wait_until SECONDS COMMAND...: runs the command every 50 ms until it succeeds; fails after that many seconds.
wait_until() {
  local tries=$(($1 * 20))
  shift
  while ! "$@" >/dev/null 2>&1; do
    ((tries-- > 0)) || return 1
    sleep 0.05
  done
}

sha256_hex() { sha256sum "$1" | cut -c1-64; }
