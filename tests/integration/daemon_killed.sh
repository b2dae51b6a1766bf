#!/bin/bash
# kill -9 of bulwarkd at random points while containers start: none runs without its record, no record is lost, the chain
# verifies. Count: BULWARK_TEST_KILLS_STARTS (200); seed: BULWARK_TEST_SEED.
. "$(dirname "$(readlink -f "$0")")/node.sh"
starts=${BULWARK_TEST_KILLS_STARTS:-200}
RANDOM=${BULWARK_TEST_SEED:-1}
start_node

# Restarts the daemon for ever, killing it after a random time.
keep_killing() {
  trap 'stop_daemon -KILL; exit 0' TERM
  while :; do
    sleep "0.$((RANDOM % 900 + 50))"
    kill -KILL "$NODE_PID" 2>/dev/null || true
    wait "$NODE_PID" 2>/dev/null || true
    start_daemon
  done
}
stop_daemon
(start_daemon; keep_killing) &
killer=$!
# It ignores Ctrl-C, as every background process of a script does.
stop_killer() { kill -TERM "$killer" 2>/dev/null || true; wait "$killer" 2>/dev/null || true; }
add_cleanup stop_killer
started=0
for i in $(seq "$starts"); do
  if run -d "$IMAGE" "c-$i" /bin/sleep 1000 >"$SCRATCH/out" 2>&1; then
    started=$((started + 1))
    echo "c-$i" >>"$SCRATCH/started"
    [ $((i % 2)) -eq 0 ] || { ctr_ tasks rm -f "c-$i" >/dev/null; echo "c-$i" >>"$SCRATCH/removed"; }
  fi
done
stop_killer
pkill -KILL -f "bulwarkd --config $SCRATCH/bulwarkd.toml" 2>/dev/null || true
sleep 0.2
start_daemon
wait_for_daemon
sleep 7  # shims that wait with undelivered events try again; the spool is read every five seconds

say "$started of $starts starts went through while the daemon was killed again and again"
check "most starts go through all the same" [ "$started" -ge $((starts / 2)) ]
records >"$SCRATCH/records"
kills=$(jq -r 'select(.event_type == "AUDIT_START") | .attributes.previous' "$SCRATCH/records" | grep -c unclean || true)
check "the daemon was killed while containers started ($kills times)" [ "$kills" -ge 3 ]
running=$(ctr_ tasks ls -q | sort)
jq -r 'select(.event_type == "CREATE_DECISION" and .outcome == "ALLOWED") | .container.id' "$SCRATCH/records" | sort -u >"$SCRATCH/decided"
check "no container runs without its record" equal "$(comm -23 <(echo "$running") "$SCRATCH/decided" | tr -d '\n')" ""
for kind in CONTAINER_CREATE CONTAINER_START; do
  jq -r --arg kind "$kind" 'select(.event_type == $kind) | .container.id' "$SCRATCH/records" | sort -u >"$SCRATCH/seen"
  check "every start has its $kind" equal "$(comm -23 <(sort "$SCRATCH/started") "$SCRATCH/seen" | tr '\n' ' ')" ""
done
for kind in CONTAINER_EXIT CONTAINER_DELETE; do
  jq -r --arg kind "$kind" 'select(.event_type == $kind) | .container.id' "$SCRATCH/records" | sort -u >"$SCRATCH/seen"
  check "every end has its $kind" equal "$(comm -23 <(sort "$SCRATCH/removed") "$SCRATCH/seen" | tr '\n' ' ')" ""
done
check "no event is recorded twice" equal "$(jq -r 'select(.source_id != "" and .source_id != null) | .source_id + " " + .source_seq' "$SCRATCH/records" | sort | uniq -d)" ""
ctl audit verify >"$SCRATCH/out" 2>&1 || true
check "the chain verifies" contains "$(cat "$SCRATCH/out")" ok
finish
