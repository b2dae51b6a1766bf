#!/bin/bash
# A container's life through a real containerd: what it prints, its exit status, exec, kill, pause, terminal; and what is
# refused leaves nothing behind.
. "$(dirname "$(readlink -f "$0")")/node.sh"
start_node

status=$(run --rm "$IMAGE" once /bin/cat /proc/self/status)
check "seccomp is on" contains "$status" $'Seccomp:\t2'
check "capabilities are those of the policy" contains "$status" $'CapBnd:\t0000000000000401'
check "no-new-privileges is set" contains "$status" $'NoNewPrivs:\t1'
check "a denied system call fails" contains "$(run --rm "$IMAGE" denied /bin/unshare -U /bin/true 2>&1 || true)" "not permitted"
code=0; run --rm "$IMAGE" code /bin/sh -c 'exit 7' || code=$?
check "the exit status comes through" equal "$code" 7
# ctr misses an end of input that comes before the task is made, with any shim: so it comes later here.
check "standard input comes through" equal "$( (echo hello; sleep 1) | run --rm "$IMAGE" input /bin/cat)" hello
check "a terminal is one" contains "$(script -qec "$(declare -f ctr_ run); CONTAINERD_ADDRESS=$CONTAINERD_ADDRESS CONTAINERD_NAMESPACE=$CONTAINERD_NAMESPACE SNAPSHOTTER=$SNAPSHOTTER RUNTIME=$RUNTIME; run --rm -t $IMAGE tty /bin/tty" /dev/null </dev/null)" /dev/

message=$(run --rm "$UNSIGNED" unsigned /bin/true 2>&1 || true)
check "an unsigned image is refused" contains "$message" "signature.missing"
ctr_ containers rm unsigned >/dev/null 2>&1 || true
check "a refused start leaves no shim" equal "$(shims)" ""

run -d "$IMAGE" long /bin/sleep 1000
check "an allowed exec runs" contains "$(ctr_ tasks exec --exec-id e1 long /bin/cat /proc/self/status)" $'CapEff:\t0000000000000401'
check "an exec of another command is refused" contains "$(ctr_ tasks exec --exec-id e2 long /bin/sh 2>&1 || true)" "exec.not-allowed"
code=0; ctr_ tasks exec --exec-id e3 long /bin/sh -c 'exit 3' || code=$?
check "the exit status of an exec comes through" equal "$code" 3
ctr_ tasks pause long
check "a paused task is paused" contains "$(ctr_ tasks ls)" PAUSED
ctr_ tasks resume long
check "a resumed task runs" contains "$(ctr_ tasks ls)" RUNNING
check "the task has metrics" contains "$(ctr_ tasks metrics long)" memory
check "the task has processes" contains "$(ctr_ tasks ps long)" PID
ctr_ tasks kill -s KILL long
wait_until 5 sh -c "ctr --address $CONTAINERD_ADDRESS -n $CONTAINERD_NAMESPACE tasks ls | grep -q STOPPED"
remove long
wait_until 5 sh -c "! pgrep -f 'containerd-shim-bulwark-v2.*$CONTAINERD_ADDRESS'" || true
check "no shim is left" equal "$(shims)" ""
sleep 0.3
kinds=$(records --container long | jq -r .event_type | sort -u | tr '\n' ' ')
for kind in CREATE_DECISION CONTAINER_CREATE CONTAINER_START EXEC_DECISION EXEC_START EXEC_EXIT CONTAINER_PAUSE \
  CONTAINER_RESUME CONTAINER_KILL CONTAINER_EXIT CONTAINER_DELETE; do
  check "the log has $kind" contains "$kinds" "$kind"
done
check "the chain is whole" ctl audit verify
finish
