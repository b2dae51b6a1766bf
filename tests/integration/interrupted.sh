#!/bin/bash
# Ctrl-C in the middle of the quickstart, while a container of it runs: no process, mount, cgroup or runtime state is left.
. "$(dirname "$(readlink -f "$0")")/node.sh"
make_scratch
reason=$(can_run_containers) || skip "$reason"
for program in bulwarkd bulwarkctl containerd-shim-bulwark-v2; do
  [ -x "$BIN/$program" ] || skip "$BIN/$program is not built"
done
mkdir "$SCRATCH/tmp"
hugetlb_before=$(stat -c %i /sys/fs/cgroup/hugetlb 2>/dev/null || true)

# A process group of its own, as a terminal's shell makes it, and SIGINT as it is there: whatever runs this test may ignore it.
set -m
TMPDIR=$SCRATCH/tmp env --default-signal=INT "$top/hack/quickstart.sh" --no-build --build-dir "$(dirname "$BIN")" \
  >"$SCRATCH/out" 2>&1 </dev/null &
quickstart=$!
set +m
stop_quickstart() { kill -INT -- "-$quickstart" 2>/dev/null || true; wait "$quickstart" 2>/dev/null || true; }
add_cleanup stop_quickstart

# The quickstart calls its containerd namespace after its own pid.
CONTAINERD_NAMESPACE=bulwark-test-$quickstart
container_runs() {
  local socket
  socket=$(find "$SCRATCH/tmp" -path '*/containerd/containerd.sock' -print -quit)
  [ -n "$socket" ] && ctr --address "$socket" --namespace "$CONTAINERD_NAMESPACE" tasks ls | grep -q '^exec-demo .*RUNNING'
}
wait_until 60 container_runs || { tail -5 "$SCRATCH/out"; die "the quickstart never came to its exec demo"; }
kill -INT -- "-$quickstart"
code=0
wait "$quickstart" || code=$?
check "the quickstart says that it was interrupted" equal "$code" 130

# containerd and bulwarkd have the scratch directory on their command lines, so do shims; the containers are in the cgroups.
left_processes() {
  local process
  for process in /proc/[0-9]*; do
    [ "${process#/proc/}" != $$ ] || continue
    if { tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null | grep -F -- "$SCRATCH/tmp/"; then :; fi
  done
}
check "no process is left" equal "$(left_processes)" ""
check "no mount is left" equal "$(grep -F "$SCRATCH/tmp/" /proc/self/mountinfo || true)" ""
check "no cgroup is left" equal "$(find /sys/fs/cgroup -name "$CONTAINERD_NAMESPACE" 2>/dev/null)" ""
check "no runtime state is left" equal "$(find /run/containerd/runc -name "$CONTAINERD_NAMESPACE" 2>/dev/null)" ""
check "no file is left" equal "$(find "$SCRATCH/tmp" -mindepth 1)" ""
check "the hugetlb cgroup is as it was" equal "$(stat -c %i /sys/fs/cgroup/hugetlb 2>/dev/null || true)" "$hugetlb_before"
finish
