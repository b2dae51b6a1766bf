# shellcheck shell=bash
# Shared by hack/*.sh and tests: messages, a scratch directory, cleanup that also runs on Ctrl-C, missing packages.
# Source it from bash with `set -euo pipefail`. Nothing here touches anything outside the scratch directory, except
# install_packages and require_packages, which may call apt.

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

# _is_there NAME: whether what a Debian package brings is there. containerd and the runtimes count by their commands, whatever
# package they came from: docker's containerd.io conflicts with Debian's containerd and runc, and must stay.
_is_there() {
  case $1 in
    containerd) command -v containerd >/dev/null && command -v ctr >/dev/null ;;
    runc | crun) command -v "$1" >/dev/null ;;
    *) [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
  esac
}

# install_packages NAME...: installs the Debian packages that are missing; asks nothing, downloads nothing if none are, and
# never removes a package. Fails, with the reason in MISSING, if they cannot be had.
install_packages() {
  local name missing=() apt=(apt-get install -y -q --no-remove --no-install-recommends)
  for name in "$@"; do
    _is_there "$name" || missing+=("$name")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  MISSING="these Debian packages are missing, and there is no apt-get: ${missing[*]}"
  command -v apt-get >/dev/null || return 1
  MISSING="these Debian packages are missing; as root: apt-get install ${missing[*]}"
  [ "$(id -u)" -eq 0 ] || return 1
  MISSING="apt-get could not install, without removing anything: ${missing[*]}"
  say "installing: ${missing[*]} (Debian packages; they stay)"
  # The package lists may be fresh already: update only if the install fails without.
  DEBIAN_FRONTEND=noninteractive "${apt[@]}" "${missing[@]}" >/dev/null 2>&1 ||
    { apt-get update -q >/dev/null 2>&1 && DEBIAN_FRONTEND=noninteractive "${apt[@]}" "${missing[@]}" >/dev/null; }
}

# require_packages NAME...: the same; ends the script if they cannot be had.
require_packages() { install_packages "$@" || die "$MISSING"; }

# start_apart LOG COMMAND...: starts it in the background in a session of its own, appending to LOG, and sets STARTED_PID.
# Ctrl-C goes to the whole process group of the terminal: this way it reaches only the script, whose cleanup still needs
# what it started.
start_apart() {
  local log=$1
  shift
  # In a script (no job control) a child leads no process group, so setsid(1) does not fork and the pid stays the command's.
  setsid "$@" >>"$log" 2>&1 </dev/null &
  # shellcheck disable=SC2034  # result
  STARTED_PID=$!
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
