#!/bin/bash
# Measures bulwark, with full enforcement and durable records, against the stock io.containerd.runc.v2 shim without any, in
# one interleaved run: the two take turns, so that both see the same machine. Two private containerds, one image, runc and
# crun. Needs root and Debian 12; builds what is not built.
#
#   hack/bench.sh [--json FILE] [--n RUNS] [--counts "20 100"] [--runtimes "runc crun"] [--build-dir DIR] [--no-build]
#
# Prints a table of medians with the smallest and largest of n runs, and the ratio of the medians. FILE gets one JSON
# object a line: {"name","unit","ours","stock","ratio","n"}.
set -euo pipefail
top=$(readlink -f "$(dirname "$0")/..")
for part in base packages oci cosign trivy containerd; do
  # shellcheck source=/dev/null
  . "$top/hack/lib/$part.sh"
done
json=/dev/null runs=30 counts="20 100" runtimes="runc crun" build_dir=$top/build/release build=yes
while [ $# -gt 0 ]; do
  case $1 in
    --json) json=$(readlink -m "$2"); shift ;;
    --n) runs=$2; shift ;;
    --counts) counts=$2; shift ;;
    --runtimes) runtimes=$2; shift ;;
    --build-dir) build_dir=$(readlink -m "$2"); shift ;;
    --no-build) build= ;;
    *) die "unknown option $1; see the head of $0" ;;
  esac
  shift
done
[ "$(id -u)" -eq 0 ] || die "measuring needs root"
require_packages "${BUILD_PACKAGES[@]}" "${FIXTURE_PACKAGES[@]}" "${RUNTIME_PACKAGES[@]}" crun
if [ -n "$build" ]; then
  say "building"
  [ -f "$build_dir/build.ninja" ] || cmake -S "$top" --preset release -B "$build_dir" >/dev/null
  cmake --build "$build_dir" --target bulwarkd bulwarkctl containerd-shim-bulwark-v2 >/dev/null
fi
bin=$build_dir/bin image=registry.example/bench/app:1
: >"$json"

# --- two nodes, alike but for the shim ------------------------------------------------------------------------------

prepare() {
  make_scratch
  prepare_cgroups
  mkdir -p "$SCRATCH"/{evidence,policies,profiles,bin,none}
  ln -s "$bin/containerd-shim-bulwark-v2" "$SCRATCH/bin/containerd-shim-runc-v2"
  cp "$top/seccomp-profiles/baseline.json" "$SCRATCH/profiles/"
  make_cosign_key "$SCRATCH/key"
  make_busybox_image "$SCRATCH/images" "$image" bench
  cosign_sign "$SCRATCH/evidence/signatures" "$IMAGE_DIGEST" "${image%:*}" "$SCRATCH/key.key"
  make_trivy_report "$SCRATCH/evidence/report.json" "$image" "$IMAGE_CONFIG_DIGEST" clean
  oci_archive "$SCRATCH/images" "$image" "$SCRATCH/image.tar"
  cat >"$SCRATCH/policies/bench.yaml" <<YAML
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: bench}
defaults: {action: deny, mode: enforce}
authorities: {bench: {cosignKey: {files: [$SCRATCH/key.pub]}}}
rules:
  - name: bench
    match: {images: ["registry.example/bench/**"]}
    require: {signatures: {atLeast: 1, of: [bench]}, scan: {maxAge: 24h, block: {severity: high}}}
    profile: {seccomp: baseline, capabilities: [CAP_CHOWN], noNewPrivileges: true}
    exec: {default: deny, allow: [{argv: [/bin/true], stdin: true}]}
YAML
  cat >"$SCRATCH/bulwarkd.toml" <<TOML
version = 1
containerd.address = "$SCRATCH/ours/containerd.sock"
gate.socket = "$SCRATCH/gate.sock"
api.socket = "$SCRATCH/api.sock"
policy.directory = "$SCRATCH/policies"
evidence.directory = "$SCRATCH/evidence"
profiles.directories = ["$SCRATCH/profiles"]
audit.directory = "$SCRATCH/audit"
state.database = "$SCRATCH/state.db"
spool.directory = "$SCRATCH/spool"
TOML
  export BULWARK_GATE_SOCKET=$SCRATCH/gate.sock BULWARK_SPOOL_DIR=$SCRATCH/spool
  start_apart "$SCRATCH/bulwarkd.log" "$bin/bulwarkd" --config "$SCRATCH/bulwarkd.toml"
  daemon=$STARTED_PID
  add_cleanup stop_daemon
  start_containerd "$SCRATCH/stock" "$SCRATCH/none"
  stock_pid=$CONTAINERD_PID
  add_cleanup stop_stock
  import_image "$SCRATCH/image.tar"
  start_containerd "$SCRATCH/ours" "$SCRATCH/bin"
  ours_pid=$CONTAINERD_PID
  import_image "$SCRATCH/image.tar"
  wait_until 10 "$bin/bulwarkctl" --socket "$SCRATCH/api.sock" status || { cat "$SCRATCH/bulwarkd.log"; die "bulwarkd did not start"; }
}
stop_daemon() { kill "$daemon" 2>/dev/null || true; wait "$daemon" 2>/dev/null || true; }

# use ours|stock: the node that the functions of containerd.sh talk to.
use() {
  # shellcheck disable=SC2034  # for the functions of containerd.sh
  CONTAINERD_DIRECTORY=$SCRATCH/$1 CONTAINERD_ADDRESS=$SCRATCH/$1/containerd.sock
  if [ "$1" = ours ]; then CONTAINERD_PID=$ours_pid; else CONTAINERD_PID=$stock_pid; fi
}
stop_stock() {
  use stock; stop_containerd
  stock_pid=
}
stop_both() {
  # Both have the same containerd namespace, and with it the same cgroups and runtime state: stopping the first removes
  # what is left of them, so the containers of both go before.
  for side in ours stock; do use "$side"; delete_containers; done
  use ours; stop_containerd
  ours_pid=
  stop_stock
}

# --- measuring ------------------------------------------------------------------------------------------------------

start() { ctr_ run -d --runc-binary "$runtime" --snapshotter "$SNAPSHOTTER" "$image" "$1" /bin/sleep 3600 >/dev/null; }
remove() { ctr_ tasks rm -f "$1" >/dev/null 2>&1; ctr_ containers rm "$1" >/dev/null; }
# clock FILE COMMAND...: appends the milliseconds the command took; a command that fails ends the benchmark.
clock() {
  local file=$1 before=$EPOCHREALTIME after
  shift
  "$@" || die "$* failed"
  after=$EPOCHREALTIME
  echo "$before $after" | awk '{ printf "%.3f\n", ($2 - $1) * 1000 }' >>"$file"
}
summary() { sort -n "$1" | awk '{ v[NR] = $1 } END { m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; printf "%.1f %.1f %.1f %d", m, v[1], v[NR], NR }'; }

# compare NAME UNIT: from $SCRATCH/ours.NAME and stock.NAME.
compare() {
  local ours stock
  read -r -a ours <<<"$(summary "$SCRATCH/ours.$1")"
  read -r -a stock <<<"$(summary "$SCRATCH/stock.$1")"
  awk -v name="$1" -v unit="$2" -v o="${ours[*]}" -v s="${stock[*]}" -v json="$json" 'BEGIN {
    split(o, a, " "); split(s, b, " "); ratio = b[1] > 0 ? a[1] / b[1] : 0
    printf "%-26s %-4s %9.1f (%.1f-%.1f) %11.1f (%.1f-%.1f) %8.2f %5d\n", name, unit, a[1], a[2], a[3], b[1], b[2], b[3], ratio, a[4]
    printf "{\"name\":\"%s\",\"unit\":\"%s\",\"ours\":%.1f,\"stock\":%.1f,\"ratio\":%.3f,\"n\":%d}\n", name, unit, a[1], b[1], ratio, a[4] >>json
  }'
}

measure_latency() {
  local i side
  for i in $(seq 0 "$runs"); do
    for side in ours stock; do
      use "$side"
      target=$SCRATCH/$side
      [ "$i" -gt 0 ] || target=$SCRATCH/warm-up.$side
      clock "$target.$runtime.run-d" start "b$i"
      clock "$target.$runtime.exec" ctr_ tasks exec --exec-id x "b$i" /bin/true
      clock "$target.$runtime.rm" ctr_ tasks rm -f "b$i" >/dev/null 2>&1
      ctr_ containers rm "b$i" >/dev/null
      clock "$target.$runtime.run-rm" ctr_ run --rm --runc-binary "$runtime" --snapshotter "$SNAPSHOTTER" "$image" "r$i" /bin/true
    done
  done
  for name in run-d exec rm run-rm; do compare "$runtime.$name" ms; done
}

# Per shim, in kB, from /proc/PID/smaps_rollup.
measure_memory() {
  local count=$1 i side pid
  for i in $(seq "$count"); do
    for side in ours stock; do use "$side"; start "$side-$i"; done
  done
  sleep 1
  for side in ours stock; do
    for pid in $(_shims_of "$SCRATCH/$side" 2>/dev/null); do
      case $(readlink "/proc/$pid/exe") in */containerd-shim-*) ;; *) continue ;; esac
      for field in Pss Rss Private_Dirty; do
        awk -v field="$field:" '$1 == field { print $2 }' "/proc/$pid/smaps_rollup" >>"$SCRATCH/$side.$runtime.$field.$count"
      done
    done
  done
  for field in Pss Rss Private_Dirty; do compare "$runtime.$field.$count" kB; done
  for i in $(seq "$count"); do
    for side in ours stock; do use "$side"; remove "$side-$i"; done
  done
}

prepare
_cleanups=("${_cleanups[@]/stop_containerd/}")
add_cleanup stop_both
printf '%-26s %-4s %9s %-13s %11s %-13s %8s %5s\n' measured unit ours "(min-max)" stock "(min-max)" ratio n
for runtime in $runtimes; do
  measure_latency
  for count in $counts; do measure_memory "$count"; done
done
"$bin/bulwarkctl" --socket "$SCRATCH/api.sock" audit verify
