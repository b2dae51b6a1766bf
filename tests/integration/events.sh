#!/bin/bash
# What containerd's subscribers see of one container and one exec: every event of its life once, in the order of its life.
# The CRI plugin and every tool that watches containerd depend on it.
. "$(dirname "$(readlink -f "$0")")/node.sh"
start_node

start_apart "$SCRATCH/events" ctr --address "$CONTAINERD_ADDRESS" events
watcher=$STARTED_PID
stop_watcher() { kill "$watcher" 2>/dev/null || true; wait "$watcher" 2>/dev/null || true; }
add_cleanup stop_watcher
# ctr says nothing when its subscription stands: labels are changed until it tells of one.
subscribed() { ctr_ images label "$UNSIGNED" "test.bulwark/probe=$EPOCHREALTIME" && [ -s "$SCRATCH/events" ]; }
wait_until 10 subscribed || die "ctr events shows nothing"

run -d "$IMAGE" told /bin/sleep 1000
init=$(ctr_ tasks ls | awk '$1 == "told" { print $2 }')
code=0; ctr_ tasks exec --exec-id three told /bin/sh -c 'exit 3' || code=$?
check "the exec has its exit status" equal "$code" 3
ctr_ tasks kill -s KILL told
wait_until 5 sh -c "ctr --address $CONTAINERD_ADDRESS -n $CONTAINERD_NAMESPACE tasks ls | grep -q 'told.*STOPPED'"
ctr_ tasks rm told >/dev/null
ctr_ containers rm told

# "DATE TIME ZONE ZONE NAMESPACE TOPIC JSON": topics of tasks, with the id of exits, which is the exec's or the container's.
task_events() {
  awk -v namespace="$CONTAINERD_NAMESPACE" '{ for (i = 1; i < NF; ++i) if ($i == namespace && $(i + 1) ~ "^/tasks/") {
    json = ""; for (j = i + 2; j <= NF; ++j) json = json $j; print $(i + 1) "\t" json } }' "$SCRATCH/events"
}
shown() { task_events | while IFS=$'\t' read -r topic json; do
  if [ "$topic" = /tasks/exit ]; then printf '%s(%s) ' "$topic" "$(jq -r .id <<<"$json")"; else printf '%s ' "$topic"; fi
done; }
value() { task_events | awk -v topic="$1" '$1 == topic' | cut -f2 | jq -r "$2" | tr '\n' ' '; }
wait_until 5 sh -c "grep -q /tasks/delete '$SCRATCH/events'"
sleep 0.5  # for what should not come
check "every event comes once, in order" equal "$(shown)" \
  "/tasks/create /tasks/start /tasks/exec-added /tasks/exec-started /tasks/exit(three) /tasks/exit(told) /tasks/delete "
check "create and start tell the pid" equal "$(value /tasks/create .pid)$(value /tasks/start .pid)" "$init $init "
check "exits tell the statuses" equal "$(value /tasks/exit .exit_status)" "3 137 "
check "the exec is named" equal "$(value /tasks/exec-added .exec_id)$(value /tasks/exec-started .exec_id)" "three three "
check "the deletion tells pid and status" equal "$(value /tasks/delete '"\(.pid) \(.exit_status)"')" "$init 137 "
finish
