# shellcheck shell=bash
# A whole node for one test: bulwarkd and a private containerd in a scratch directory, one signed and scanned image, one
# that is neither. Source it; it sets SCRATCH, NODE_PID, IMAGE, UNSIGNED, BIN, RUN. Ends with status 77 (skipped) and the
# reason where containers cannot run. Usage of a test: <test>.sh BIN_DIR [runc|crun]
set -euo pipefail
tests=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
top=$(readlink -f "$tests/../..")
for part in base oci cosign trivy containerd; do
  # shellcheck source=/dev/null
  . "$top/hack/lib/$part.sh"
done
BIN=$(readlink -f "$1")
RUNTIME=${2:-runc}
IMAGE=registry.example/team/app:1
UNSIGNED=registry.example/team/unsigned:1
failures=0

skip() { say "skipped: $*"; exit 77; }
check() { if "${@:2}"; then say "ok: $1"; else say "FAILED: $1"; failures=$((failures + 1)); fi; }
equal() { [ "$1" = "$2" ] || { say "  got \"$1\", want \"$2\""; return 1; }; }
contains() { case $1 in *"$2"*) ;; *) say "  \"$2\" is not in: $1"; return 1 ;; esac; }
finish() { [ "$failures" -eq 0 ] || die "$failures checks failed"; say "all checks hold"; }

ctl() { "$BIN/bulwarkctl" --socket "$SCRATCH/api.sock" "$@"; }
# ctr takes --runc-binary only for the runtime name io.containerd.runc.v2, which is our shim as well on this node.
run() {
  if [ "$RUNTIME" = runc ]; then
    ctr_ run --runtime io.containerd.bulwark.v2 --snapshotter "$SNAPSHOTTER" "$@"
  else
    ctr_ run --runtime io.containerd.runc.v2 --runc-binary "$RUNTIME" --snapshotter "$SNAPSHOTTER" "$@"
  fi
}
remove() { ctr_ tasks rm -f "$1" >/dev/null 2>&1 || true; ctr_ containers rm "$1" >/dev/null; }
records() { ctl audit query --output json "$@"; }
shims() { _shims_of "$SCRATCH/containerd" | grep -vx "$CONTAINERD_PID" || true; }

write_policy() {
  cat >"$SCRATCH/policies/policy.yaml" <<YAML
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: test}
defaults: {action: deny, mode: enforce}
authorities:
  release: {cosignKey: {files: [$SCRATCH/trust/release.pub]}}
rules:
  - name: team
    match: {images: ["registry.example/team/**"]}
    require:
      signatures: {atLeast: 1, of: [release]}
      scan: {maxAge: 72h, block: {severity: critical}}
    profile: {seccomp: test, capabilities: [CAP_CHOWN, CAP_NET_BIND_SERVICE], noNewPrivileges: true}
    exec:
      default: deny
      allow:
        - {argv: [/bin/true], stdin: true}
        - {argvPrefix: [/bin/cat], stdin: true}
        - {argvPrefix: [/bin/sh, -c, "exit 3"], stdin: true}
YAML
  # Denies what it names; runtimes differ in what they need, which is not what these tests are about.
  cat >"$SCRATCH/profiles/test.json" <<'JSON'
{"defaultAction": "SCMP_ACT_ALLOW",
 "syscalls": [{"names": ["unshare", "setns", "bpf", "ptrace"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}
JSON
}

write_config() {
  cat >"$SCRATCH/bulwarkd.toml" <<TOML
version = 1
[containerd]
address = "$SCRATCH/containerd/containerd.sock"
[gate]
socket = "$SCRATCH/gate.sock"
[api]
socket = "$SCRATCH/api.sock"
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

start_daemon() {
  start_apart "$SCRATCH/bulwarkd.log" "$BIN/bulwarkd" --config "$SCRATCH/bulwarkd.toml"
  NODE_PID=$STARTED_PID
}
wait_for_daemon() { wait_until 20 ctl status || { tail -5 "$SCRATCH/bulwarkd.log"; die "bulwarkd does not answer"; }; }
stop_daemon() { kill "${1:--TERM}" "$NODE_PID" 2>/dev/null || true; wait "$NODE_PID" 2>/dev/null || true; }

start_node() {
  local archive
  make_scratch
  mkdir -p "$SCRATCH"/{evidence,policies,profiles,trust}
  local reason
  reason=$(can_run_containers) || skip "$reason"
  command -v containerd >/dev/null || skip "no containerd here"
  command -v "$RUNTIME" >/dev/null || skip "no $RUNTIME here"
  prepare_cgroups
  make_cosign_key "$SCRATCH/trust/release"
  make_busybox_image "$SCRATCH/images" "$UNSIGNED" unsigned
  make_busybox_image "$SCRATCH/images" "$IMAGE" good
  cosign_sign "$SCRATCH/evidence/signatures" "$IMAGE_DIGEST" registry.example/team/app "$SCRATCH/trust/release.key"
  make_trivy_report "$SCRATCH/evidence/report.json" "$IMAGE" "$IMAGE_CONFIG_DIGEST" clean
  write_policy
  write_config
  export BULWARK_GATE_SOCKET=$SCRATCH/gate.sock BULWARK_SPOOL_DIR=$SCRATCH/spool
  start_daemon
  add_cleanup stop_daemon
  mkdir "$SCRATCH/bin"
  ln -s "$BIN/containerd-shim-bulwark-v2" "$SCRATCH/bin/containerd-shim-bulwark-v2"
  ln -s "$BIN/containerd-shim-bulwark-v2" "$SCRATCH/bin/containerd-shim-runc-v2"
  start_containerd "$SCRATCH/containerd" "$SCRATCH/bin"
  for archive in "$IMAGE" "$UNSIGNED"; do
    oci_archive "$SCRATCH/images" "$archive" "$SCRATCH/image.tar"
    import_image "$SCRATCH/image.tar"
  done
  wait_for_daemon
}
