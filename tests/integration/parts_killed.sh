#!/bin/bash
# A shim killed with SIGKILL is cleaned up by containerd and its exit is recorded; containers survive a restart of
# containerd; a start without the daemon is denied and works when it is back; the way down works without it.
. "$(dirname "$(readlink -f "$0")")/node.sh"
export BULWARK_GATE_WAIT_MS=700
start_node

run -d "$IMAGE" victim /bin/sleep 1000
init=$(ctr_ tasks ls | awk '$1 == "victim" { print $2 }')
kill -KILL "$(shims)"
check "the container of a killed shim ends" wait_until 10 sh -c "! kill -0 $init 2>/dev/null"
sleep 1
check "its exit is recorded" contains "$(records --container victim | jq -r .event_type | tr '\n' ' ')" CONTAINER_EXIT
check "the loss of the shim is recorded" contains "$(records --container victim | jq -r .event_type | tr '\n' ' ')" SHIM_LOST
ctr_ containers rm victim >/dev/null

run -d "$IMAGE" survivor /bin/sleep 1000
kill -KILL "$CONTAINERD_PID"; wait "$CONTAINERD_PID" 2>/dev/null || true
launch_containerd
wait_until 20 ctr_ version
check "a container survives a restart of containerd" contains "$(ctr_ tasks ls)" RUNNING
check "an exec works after it" ctr_ tasks exec --exec-id after survivor /bin/true

stop_daemon -KILL
message=$(run --rm "$IMAGE" orphan /bin/true 2>&1 || true)
check "without the daemon a start is denied" contains "$message" "daemon.unavailable"
ctr_ containers rm orphan >/dev/null 2>&1 || true
check "without the daemon an exec is denied" contains "$(ctr_ tasks exec --exec-id no survivor /bin/true 2>&1 || true)" "daemon.unavailable"
check "without the daemon the way down works" ctr_ tasks rm -f survivor
start_daemon
wait_for_daemon
check "the start works when the daemon is back" run --rm "$IMAGE" orphan /bin/true
check "what happened without the daemon is recorded when it is back" \
  wait_until 8 sh -c "'$BIN/bulwarkctl' --socket '$SCRATCH/api.sock' audit query --container survivor | grep -q CONTAINER_DELETE"
check "the chain is whole" ctl audit verify
finish
