#!/bin/bash
# Bad input gets a clear error, and nothing is lost: broken policy, broken reports and signatures, another user on the
# sockets, a containerd that is not there, a name that was moved.
. "$(dirname "$(readlink -f "$0")")/node.sh"
start_node

good=$(ctl status --output json | jq -r .policy_digest)
cp "$SCRATCH/policies/policy.yaml" "$SCRATCH/policy.good"
sed -i 's/noNewPrivileges/noNewPrivilegs/' "$SCRATCH/policies/policy.yaml"
message=$(ctl reload 2>&1 || true)
check "a broken policy is refused with file, line and column" contains "$message" "policy.yaml:13:"
check "the last good policy stays" equal "$(ctl status --output json | jq -r .policy_digest)" "$good"
check "a start still works with it" run --rm "$IMAGE" still /bin/true
cp "$SCRATCH/policy.good" "$SCRATCH/policies/policy.yaml"
cp "$SCRATCH/trust/release.pub" "$SCRATCH/key.good"
sed -i '2s/.\{20\}/AAAAAAAAAAAAAAAAAAAA/' "$SCRATCH/trust/release.pub"
check "a key that is none rejects the policy at load" contains "$(ctl reload 2>&1 || true)" "policy.yaml:"
check "and the last good policy stays" equal "$(ctl status --output json | jq -r .policy_digest)" "$good"
cp "$SCRATCH/key.good" "$SCRATCH/trust/release.pub"
check "a mended policy is taken" ctl reload

printf 'not json %s' "$IMAGE_CONFIG_DIGEST" >"$SCRATCH/evidence/report.json"
check "a report that is not JSON is refused" contains "$(run --rm "$IMAGE" bad /bin/true 2>&1 || true)" "scan.invalid"
ctr_ containers rm bad >/dev/null 2>&1 || true
head -c 100000000 /dev/zero | tr '\0' '[' >"$SCRATCH/evidence/deep.json"
make_trivy_report "$SCRATCH/evidence/report.json" "$IMAGE" "$IMAGE_CONFIG_DIGEST" clean
check "100 MB of nested JSON beside it hurts nobody" run --rm "$IMAGE" deep /bin/true
rm "$SCRATCH/evidence/deep.json"

ctr_ containers create --runtime io.containerd.bulwark.v2 --snapshotter "$SNAPSHOTTER" "$IMAGE" moved /bin/true
ctr_ images tag --force "$UNSIGNED" "$IMAGE" >/dev/null
check "a name that was moved is refused" contains "$(ctr_ tasks start moved 2>&1 || true)" "identity.content-mismatch"
ctr_ containers rm moved >/dev/null
oci_archive "$SCRATCH/images" "$IMAGE" "$SCRATCH/image.tar" && import_image "$SCRATCH/image.tar"

if command -v setpriv >/dev/null; then
  chmod 711 "$SCRATCH"; chmod 666 "$SCRATCH/gate.sock"
  setpriv --reuid 65534 --regid 65534 --clear-groups bash -c \
    "exec 3<>/dev/null; perl -MIO::Socket::UNIX -e 'my \$s = IO::Socket::UNIX->new(Peer => shift) or die; sysread(\$s, my \$b, 1)' '$SCRATCH/gate.sock'" 2>/dev/null || true
  chmod 700 "$SCRATCH"
  check "another user on the gate is refused and recorded" wait_until 3 sh -c \
    "'$BIN/bulwarkctl' --socket '$SCRATCH/api.sock' audit query --type ACCESS_REFUSED | grep -q ACCESS_REFUSED"
fi

printf '\x7f\xff\xff\xff\x00\x00\x00\x01\x01\x00lies' | timeout 2 perl -MIO::Socket::UNIX -e \
  'my $s = IO::Socket::UNIX->new(Peer => shift) or die; local $/; print $s <STDIN>; $s->flush; sleep 1' "$SCRATCH/gate.sock" || true
check "a frame that lies about its length hurts nobody" run --rm "$IMAGE" lie /bin/true
sed "s#$SCRATCH/containerd/containerd.sock#$SCRATCH/nobody.sock#" -i "$SCRATCH/bulwarkd.toml"
stop_daemon; start_daemon; wait_for_daemon
check "without containerd's API a start is denied" contains "$(run --rm "$IMAGE" away /bin/true 2>&1 || true)" "identity.unresolved"
check "the status says so" contains "$(ctl status)" "NOT REACHABLE"
check "the chain is whole" ctl audit verify
finish
