#!/bin/bash
# Shows, on this machine and with real tools, what bulwark lets start and what it refuses. Needs Debian 12, and root for the
# part with containers. Everything happens in a temporary directory, with a containerd of its own, and is gone afterwards;
# Debian packages that had to be installed stay.
#
#   hack/quickstart.sh [--build-dir DIR] [--no-build] [--require-containers]
#
# Exit status: 0 everything was as it should be (what could not be shown here is counted as skipped); 1 something was not;
# 77 with --require-containers, where no container can be run.
set -euo pipefail
top=$(readlink -f "$(dirname "$0")/..")
for part in base packages oci cosign trivy containerd; do
  # shellcheck source=/dev/null
  . "$top/hack/lib/$part.sh"
done

build_dir=$top/build/release
build=yes require_containers=
while [ $# -gt 0 ]; do
  case $1 in
    --build-dir) build_dir=$(readlink -m "$2"); shift ;;
    --no-build) build= ;;
    --require-containers) require_containers=yes ;;
    *) die "unknown option $1; see the head of $0" ;;
  esac
  shift
done
bin=$build_dir/bin
repository=registry.example/quickstart
passed=0 failed=0 skipped=0

good() { say "   ok: $*"; passed=$((passed + 1)); }
bad() { say "   NOT AS IT SHOULD BE: $*"; failed=$((failed + 1)); }
skip() { say "   skipped: $*"; skipped=$((skipped + 1)); }
title() { say; say "== $*"; }
ctl() { "$bin/bulwarkctl" --socket "$SCRATCH/bulwarkd.sock" "$@"; }

# --- preparing ------------------------------------------------------------------------------------------------------

build_bulwark() {
  [ -n "$build" ] || return 0
  require_packages "${BUILD_PACKAGES[@]}"
  title "Building (only what has changed)"
  if [ ! -f "$build_dir/build.ninja" ]; then
    cmake -S "$top" --preset release -B "$build_dir" >"$SCRATCH/build.log" || { cat "$SCRATCH/build.log"; die "configuring failed"; }
  fi
  cmake --build "$build_dir" --target bulwarkd bulwarkctl containerd-shim-bulwark-v2 >"$SCRATCH/build.log" 2>&1 ||
    { tail -30 "$SCRATCH/build.log"; die "the build failed"; }
}

# A profile that allows what it does not name, so that the denied call is easy to point at: unshare(2) is refused.
write_profile() {
  mkdir -p "$SCRATCH/profiles"
  cat >"$SCRATCH/profiles/quickstart.json" <<'JSON'
{
  "defaultAction": "SCMP_ACT_ALLOW",
  "syscalls": [
    {"names": ["unshare", "setns", "mount", "umount2", "pivot_root", "ptrace", "bpf", "keyctl", "add_key", "request_key"],
     "action": "SCMP_ACT_ERRNO", "errnoRet": 1}
  ]
}
JSON
}

write_policy() {
  mkdir -p "$SCRATCH/policies"
  cat >"$SCRATCH/policies/quickstart.yaml" <<YAML
apiVersion: bulwark.dev/v1
kind: Policy
metadata:
  name: quickstart
defaults:
  action: deny
  mode: enforce
authorities:
  release:
    cosignKey:
      files: [$SCRATCH/release.pub]
rules:
  - name: quickstart-images
    match:
      images: ["$repository/**"]
    require:
      signatures:
        of: [release]
      scan:
        maxAge: 24h
        block:
          severity: critical
        scanners: [trivy]
    profile:
      seccomp: quickstart
      capabilities: [CAP_CHOWN, CAP_KILL]
      noNewPrivileges: true
    exec:
      default: deny
      allow:
        - argv: ["cat", "/proc/self/status"]
          stdin: true  # ctr always attaches it
YAML
  chmod -R go-w "$SCRATCH/policies"
}

write_config() {
  cat >"$SCRATCH/bulwarkd.toml" <<TOML
version = 1
[containerd]
address = "$SCRATCH/containerd/containerd.sock"
[gate]
socket = "$SCRATCH/gate.sock"
[api]
socket = "$SCRATCH/bulwarkd.sock"
[policy]
directory = "$SCRATCH/policies"
[evidence]
directory = "$SCRATCH/evidence"
[profiles]
directories = ["$SCRATCH/profiles"]
[audit]
directory = "$SCRATCH/audit"
[state]
database = "$SCRATCH/state.db"
[spool]
directory = "$SCRATCH/spool"
TOML
}

# prepare_image CASE: an image of its own content in $SCRATCH/images/CASE; sets name, layout, and IMAGE_*.
prepare_image() {
  name=$repository/$1:1
  layout=$SCRATCH/images/$1
  evidence=$SCRATCH/evidence/$1
  mkdir -p "$layout" "$evidence"
  make_busybox_image "$layout" "$name" "$1"
}

sign() { cosign_sign "$evidence/signatures" "$1" "${name%:*}" "$SCRATCH/$2.key" "${3:-$1}"; }
report() { make_trivy_report "$evidence/report.json" "$name" "$1" "$2" "${3:-60}"; }

prepare_images() {
  title "Making keys, images, signatures and scan reports"
  make_cosign_key "$SCRATCH/release"
  make_cosign_key "$SCRATCH/stranger"
  mkdir -p "$SCRATCH/evidence"

  prepare_image good
  sign "$IMAGE_DIGEST" release
  oci_archive "$layout" "$name" "$SCRATCH/good.tar"
  say "   scan report of the good image by: $(scan_image "$evidence/report.json" "$SCRATCH/good.tar" "$name" "$IMAGE_CONFIG_DIGEST")"

  prepare_image unsigned
  report "$IMAGE_CONFIG_DIGEST" clean

  prepare_image wrong-key
  sign "$IMAGE_DIGEST" stranger
  report "$IMAGE_CONFIG_DIGEST" clean

  prepare_image tampered
  tamper_manifest "$layout" "$name"
  sign "$TAMPERED_DIGEST" release "$IMAGE_DIGEST"
  report "$IMAGE_CONFIG_DIGEST" clean

  prepare_image vulnerable
  sign "$IMAGE_DIGEST" release
  report "$IMAGE_CONFIG_DIGEST" critical

  prepare_image other-report
  sign "$IMAGE_DIGEST" release
  report "sha256:$(printf 'another image' | sha256sum | cut -c1-64)" clean

  prepare_image stale
  sign "$IMAGE_DIGEST" release
  report "$IMAGE_CONFIG_DIGEST" clean $((30 * 24 * 3600))

  prepare_image retag
  sign "$IMAGE_DIGEST" release
  report "$IMAGE_CONFIG_DIGEST" clean
  # What the name will be moved to after it was judged.
  layout=$SCRATCH/images/retag-other
  make_busybox_image "$layout" "$name" "something else"
}

# Case, reason code, and what it is, in plain words.
refusals() {
  cat <<'END'
unsigned signature.missing an image without a signature
wrong-key signature.untrusted-key an image signed by a stranger's key
tampered signature.digest-mismatch an image whose manifest was changed after it was signed
vulnerable scan.findings an image whose report shows a critical vulnerability
other-report scan.digest-mismatch an image with the report of another image
stale scan.stale an image whose report is 30 days old
END
}

start_bulwarkd() {
  add_cleanup stop_bulwarkd
  start_apart "$SCRATCH/bulwarkd.log" "$bin/bulwarkd" --config "$SCRATCH/bulwarkd.toml"
  BULWARKD_PID=$STARTED_PID
  if ! wait_until 10 ctl status; then
    tail -5 "$SCRATCH/bulwarkd.log" >&2
    die "bulwarkd did not start; its log is above"
  fi
}
stop_bulwarkd() {
  [ -n "${BULWARKD_PID:-}" ] || return 0
  kill "$BULWARKD_PID" 2>/dev/null || true
  wait_until 5 _is_gone "$BULWARKD_PID" || kill -KILL "$BULWARKD_PID" 2>/dev/null || true
  wait "$BULWARKD_PID" 2>/dev/null || true
  BULWARKD_PID=
}

# --- with containers ------------------------------------------------------------------------------------------------

# run_image CASE COMMAND...: in the foreground; output and errors in $SCRATCH/out. --foreground: without it, timeout puts ctr
# into another process group, which Ctrl-C does not reach.
run_image() {
  local case=$1
  shift
  timeout --foreground 30 ctr --address "$CONTAINERD_ADDRESS" --namespace "$CONTAINERD_NAMESPACE" run --rm --snapshotter "$SNAPSHOTTER" \
    --runtime io.containerd.bulwark.v2 "$repository/$case:1" "$case" "$@" >"$SCRATCH/out" 2>&1 </dev/null
}

# expect_refusal REASON IMAGE STATUS: judges what is in $SCRATCH/out: reason, image, rule, evidence and what to do next.
expect_refusal() {
  local message part
  message=$(tail -1 "$SCRATCH/out")
  [ "$3" -ne 0 ] || { bad "it was let through"; return; }
  for part in "denied: $1" "image $2" "rule quickstart-images ($SCRATCH/policies/quickstart.yaml)" "evidence: " "next: "; do
    [[ $message == *"$part"* ]] || { bad "refused, but the message lacks \"$part\": $message"; return; }
  done
  good "refused: $message"
}

show_good_image() {
  local status
  title "A signed image with a clean, fresh report starts, hardened"
  # shellcheck disable=SC2016  # for the container's shell
  if run_image good sh -c 'grep -E "^(Seccomp|NoNewPrivs|Cap(Eff|Prm|Bnd|Inh|Amb)):" /proc/self/status; unshare -U true; echo "unshare: $?"'; then
    good "it started"
  else
    bad "it did not start: $(tail -1 "$SCRATCH/out")"
    return
  fi
  sed 's/^/      /' "$SCRATCH/out"
  status=$(tr -s '\t' ' ' <"$SCRATCH/out")
  if grep -qx 'Seccomp: 2' <<<"$status"; then good "seccomp filters are on"; else bad "no seccomp filter"; fi
  if grep -qx 'NoNewPrivs: 1' <<<"$status"; then good "no-new-privileges is set"; else bad "no-new-privileges is not set"; fi
  # CAP_CHOWN is bit 0, CAP_KILL bit 5: 0x21.
  if grep -qx 'CapBnd: 0000000000000021' <<<"$status" && grep -qx 'CapEff: 0000000000000021' <<<"$status"; then
    good "capabilities are the two that the policy allows, CAP_CHOWN and CAP_KILL"
  else
    bad "capabilities are not the policy's"
  fi
  if grep -q 'Operation not permitted' "$SCRATCH/out" && ! grep -qx 'unshare: 0' "$SCRATCH/out"; then
    good "unshare(2), which the profile denies, fails"
  else
    bad "unshare(2) was not refused"
  fi
}

show_refusals() {
  local case reason words status
  while read -r case reason words; do
    title "Refused: $words"
    status=0
    run_image "$case" true || status=$?
    expect_refusal "$reason" "$repository/$case:1" "$status"
  done < <(refusals)
}

show_retag() {
  local status=0
  title "Refused: an image whose name was moved to other content after it was judged"
  if run_image retag true; then good "under its first content it starts"; else bad "it did not start: $(tail -1 "$SCRATCH/out")"; fi
  ctr_ containers create --snapshotter "$SNAPSHOTTER" --runtime io.containerd.bulwark.v2 "$repository/retag:1" retag true
  oci_archive "$SCRATCH/images/retag-other" "$repository/retag:1" "$SCRATCH/retag.tar"
  import_image "$SCRATCH/retag.tar"
  ctr_ tasks start retag >"$SCRATCH/out" 2>&1 || status=$?
  expect_refusal identity.content-mismatch "$repository/retag:1" "$status"
}

show_exec() {
  local status=0 pid
  title "Exec: refused unless the policy allows the command"
  ctr_ run -d --snapshotter "$SNAPSHOTTER" --runtime io.containerd.bulwark.v2 "$repository/good:1" exec-demo sleep 600 \
    >"$SCRATCH/out" 2>&1 || { bad "the container did not start: $(tail -1 "$SCRATCH/out")"; return; }
  ctr_ tasks exec --exec-id shell exec-demo sh >"$SCRATCH/out" 2>&1 </dev/null || status=$?
  expect_refusal exec.not-allowed "$repository/good:1" "$status"
  pid=$(pid_of exec-demo)
  if ctr_ tasks exec --exec-id status exec-demo cat /proc/self/status >"$SCRATCH/out" 2>&1 </dev/null; then
    good "the allowed command runs: cat /proc/self/status"
  else
    bad "the allowed command was refused: $(tail -1 "$SCRATCH/out")"
    return
  fi
  expect_privileges_of "$pid"
}

pid_of() { ctr_ tasks ls | awk -v name="$1" '$1 == name { print $2 }'; }

# expect_privileges_of PID: the /proc/self/status in $SCRATCH/out shows the privileges of that process and no others.
expect_privileges_of() {
  local lines='^(Cap...|NoNewPrivs|Seccomp):'
  if diff <(grep -E "$lines" "/proc/$1/status") <(grep -E "$lines" "$SCRATCH/out") >/dev/null; then
    good "its capabilities, no-new-privileges and seccomp mode are those of the container"
  else
    bad "its privileges differ from the container's"
  fi
}

# ctr copies what the container was created with into each exec: here with a capability that the policy took away.
show_exec_with_more() {
  local pid
  title "Exec: a container and an exec that ask for CAP_SYS_ADMIN do not get it"
  ctr_ run -d --cap-add CAP_SYS_ADMIN --snapshotter "$SNAPSHOTTER" --runtime io.containerd.bulwark.v2 "$repository/good:1" \
    more-demo sleep 600 >"$SCRATCH/out" 2>&1 || { bad "the container did not start: $(tail -1 "$SCRATCH/out")"; return; }
  pid=$(pid_of more-demo)
  if ctr_ containers info more-demo | grep -q CAP_SYS_ADMIN; then
    good "containerd has CAP_SYS_ADMIN on record for it"
  else
    bad "CAP_SYS_ADMIN was not asked for"
  fi
  if ! ctr_ tasks exec --exec-id more more-demo cat /proc/self/status >"$SCRATCH/out" 2>&1 </dev/null; then
    bad "the allowed command was refused: $(tail -1 "$SCRATCH/out")"
    return
  fi
  grep -E '^Cap(Eff|Prm|Bnd):' "$SCRATCH/out" | sed 's/^/      /'
  if grep -q '^CapBnd:.*0000000000000021$' "$SCRATCH/out"; then
    good "the exec has the two capabilities that the policy allows"
  else
    bad "the exec has other capabilities than the policy allows"
  fi
  expect_privileges_of "$pid"
}

show_with_containers() {
  local case
  export BULWARK_GATE_SOCKET=$SCRATCH/gate.sock BULWARK_SPOOL_DIR=$SCRATCH/spool
  mkdir -p "$BULWARK_SPOOL_DIR"
  prepare_cgroups
  start_containerd "$SCRATCH/containerd" "$bin"
  start_bulwarkd
  for case in good retag $(refusals | cut -d' ' -f1); do
    oci_archive "$SCRATCH/images/$case" "$repository/$case:1" "$SCRATCH/$case.tar"
    import_image "$SCRATCH/$case.tar"
  done
  show_good_image
  show_refusals
  show_retag
  show_exec
  show_exec_with_more
}

# --- without ----------------------------------------------------------------------------------------------------------

show_decisions_only() {
  local case reason words
  start_bulwarkd
  title "Decisions over OCI layouts, without running anything"
  if ctl image check --layout "$SCRATCH/images/good" "$repository/good:1" >"$SCRATCH/out" 2>&1; then
    good "allowed: the signed image with a clean, fresh report"
  else
    bad "the good image is refused: $(tail -1 "$SCRATCH/out")"
  fi
  while read -r case reason words; do
    if ctl image check --layout "$SCRATCH/images/$case" "$repository/$case:1" >"$SCRATCH/out" 2>&1; then
      bad "allowed: $words"
    elif grep -qF -- "$reason" "$SCRATCH/out"; then
      good "refused with $reason: $words"
    else
      bad "refused, but not with $reason: $words"
    fi
  done < <(refusals)
  skip "hardening seen from inside a container"
  skip "a name moved to other content between judging and starting"
  skip "exec"
  skip "records of starts and execs"
}

# --- the audit trail --------------------------------------------------------------------------------------------------

expect_record() { # WHAT JQ_CONDITION
  if [ "$(jq -s "any($2)" "$SCRATCH/records")" = true ]; then good "recorded: $1"; else bad "no record of $1"; fi
}

# With containers: what was shown above is there.
show_records() {
  local reason
  title "The audit trail has all of it"
  ctl audit tail --last 1000 --output json >"$SCRATCH/records" || { bad "bulwarkctl audit tail failed"; return; }
  say "      bulwarkctl audit tail -n 12   (lines cut at 180 characters)"
  ctl audit tail -n 12 | cut -c1-180 | sed 's/^/      /'
  for reason in $(refusals | cut -d' ' -f2) identity.content-mismatch exec.not-allowed; do
    expect_record "the refusal $reason" ".outcome == \"DENIED\" and .reason_code == \"$reason\""
  done
  expect_record "the allowed start of the good image" \
    ".event_type == \"CREATE_DECISION\" and .outcome == \"ALLOWED\" and .container.id == \"good\""
  expect_record "the allowed exec" \
    ".event_type == \"EXEC_DECISION\" and .outcome == \"ALLOWED\" and .container.id == \"exec-demo\""
  expect_record "that it ran" ".event_type == \"EXEC_START\" and .container.id == \"exec-demo\""
}

show_tampering() {
  local segment offset byte damaged=$SCRATCH/damaged
  title "The audit log is a chain of hashes"
  if ctl audit verify >"$SCRATCH/out" 2>&1; then good "$(tail -1 "$SCRATCH/out")"; else bad "$(tail -1 "$SCRATCH/out")"; fi

  title "One byte of a copy of the log is changed"
  cp -r "$SCRATCH/audit" "$damaged"
  segment=$(find "$damaged" -name 'segment-*.log' | sort | head -1)
  # In the first record: before it are the headers of segment (128 bytes) and frame (56), and its length (4).
  offset=200
  byte=$(od -An -tu1 -j "$offset" -N 1 "$segment")
  # shellcheck disable=SC2059  # the format is the byte
  printf "\\$(printf %03o $(((byte + 1) % 256)))" | dd of="$segment" bs=1 seek="$offset" conv=notrunc status=none
  if ctl audit verify --directory "$damaged" >"$SCRATCH/out" 2>&1; then
    bad "the change was not seen"
  elif grep -q 'offset' "$SCRATCH/out"; then
    good "$(tail -1 "$SCRATCH/out")"
  else
    bad "the change was seen, but not where: $(tail -1 "$SCRATCH/out")"
  fi
}

# --- all of it --------------------------------------------------------------------------------------------------------

make_scratch
build_bulwark
require_packages "${FIXTURE_PACKAGES[@]}"
if [ "$(id -u)" -eq 0 ]; then
  # Without them the rest can still be shown.
  install_packages "${RUNTIME_PACKAGES[@]}" || warn "$MISSING"
fi
for program in bulwarkd bulwarkctl containerd-shim-bulwark-v2; do
  [ -x "$bin/$program" ] || die "$bin/$program is missing; leave out --no-build"
done
started=$(date +%s)
prepare_images
write_profile
write_policy
write_config
status=0
if why=$(can_run_containers); then
  show_with_containers
  show_records
else
  say
  say "No containers can be run here ($why): showing decisions over OCI layouts instead."
  show_decisions_only
  [ -z "$require_containers" ] || status=77
fi
show_tampering
say
say "quickstart: $passed as they should be, $failed not, $skipped skipped, in $(($(date +%s) - started)) s"
[ "$failed" -eq 0 ] || status=1
exit "$status"
