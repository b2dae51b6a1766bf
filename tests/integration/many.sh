#!/bin/bash
# Many containers in a row and many at once: each is started, executed into and deleted; nothing leaks; each has its
# records. Counts: BULWARK_TEST_IN_ROW (200), BULWARK_TEST_AT_ONCE (50).
. "$(dirname "$(readlink -f "$0")")/node.sh"
in_row=${BULWARK_TEST_IN_ROW:-200} at_once=${BULWARK_TEST_AT_ONCE:-50}
start_node

one_life() {
  run -d "$IMAGE" "$1" /bin/sleep 1000 && ctr_ tasks exec --exec-id x "$1" /bin/true &&
    ctr_ tasks rm -f "$1" >/dev/null && ctr_ containers rm "$1" >/dev/null
}
mounts() { grep -c "$SCRATCH/containerd" /proc/self/mountinfo || true; }
cgroups() { find /sys/fs/cgroup -type d -path "*/$CONTAINERD_NAMESPACE/*" 2>/dev/null | wc -l; }
sockets() { grep -c "/run/containerd/s/" /proc/net/unix || true; }
descriptors() { find "/proc/$1/fd" -type l 2>/dev/null | wc -l; }

one_life warm-up
sockets_before=$(sockets)
daemon_before=$(descriptors "$NODE_PID") containerd_before=$(descriptors "$CONTAINERD_PID")
broken=0
for i in $(seq "$in_row"); do one_life "row-$i" || broken=$((broken + 1)); done
check "each of $in_row in a row lives and dies" equal "$broken" 0
pids=()
for i in $(seq "$at_once"); do one_life "once-$i" & pids+=($!); done
broken=0
for pid in "${pids[@]}"; do wait "$pid" || broken=$((broken + 1)); done
check "each of $at_once at once lives and dies" equal "$broken" 0

sleep 1
check "no shim is left" equal "$(shims)" ""
check "no mount is left" equal "$(mounts)" 0
check "no cgroup is left" equal "$(cgroups)" 0
check "no socket is left" equal "$(sockets)" "$sockets_before"
check "the daemon leaks no descriptor" [ "$(descriptors "$NODE_PID")" -le $((daemon_before + 2)) ]
check "containerd leaks no descriptor" [ "$(descriptors "$CONTAINERD_PID")" -le $((containerd_before + 4)) ]
total=$((in_row + at_once + 1))
records | jq -r 'select(.container.id != null) | .event_type + " " + .container.id' | sort | uniq -c >"$SCRATCH/counts"
for kind in CREATE_DECISION CONTAINER_CREATE CONTAINER_START EXEC_DECISION EXEC_START EXEC_EXIT CONTAINER_EXIT CONTAINER_DELETE; do
  check "every container has one $kind" equal "$(awk -v kind="$kind" '$2 == kind && $1 == 1' "$SCRATCH/counts" | wc -l)" "$total"
done
check "the chain is whole" ctl audit verify
finish
