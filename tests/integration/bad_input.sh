#!/bin/bash
# Bad input gets a clear error, and nothing is lost: broken policy, configuration, reports, signatures and specs, another
# user on the sockets, a daemon killed in the middle of a create, a containerd that is not there, a name that was moved.
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
# Just below the cap, so that it is read and parsed.
head -c $((64 * 1024 * 1024 - 1)) /dev/zero | tr '\0' '[' >"$SCRATCH/evidence/deep.json"
check "nested JSON just below the 64 MiB cap beside it hurts nobody" run --rm "$IMAGE" below /bin/true
rm "$SCRATCH/evidence/deep.json"

# Properly signed, but what is signed is no JSON.
mv "$SCRATCH/evidence/signatures" "$SCRATCH/signatures.good"
cp -r "$SCRATCH/signatures.good" "$SCRATCH/signatures.broken"
layout=$SCRATCH/signatures.broken
printf 'not json' >"$SCRATCH/payload"
signature=$(openssl dgst -sha256 -sign "$SCRATCH/trust/release.key" "$SCRATCH/payload" | base64 -w0)
payload=$(oci_add_blob "$layout" "$SCRATCH/payload")
old=$(jq -r '.manifests[0].digest | sub("sha256:"; "")' "$layout/index.json")
jq -cj --arg digest "sha256:$payload" --arg signature "$signature" '.layers[0].digest = $digest | .layers[0].size = 8 |
  .layers[0].annotations["dev.cosignproject.cosign/signature"] = $signature' "$layout/blobs/sha256/$old" >"$SCRATCH/manifest"
oci_add_manifest "$layout" "$(oci_add_blob "$layout" "$SCRATCH/manifest")" "${IMAGE_DIGEST/:/-}.sig" '{}'
cp -r "$layout" "$SCRATCH/evidence/signatures"
ctl reload >/dev/null
check "a signature over what is not JSON is refused" contains "$(run --rm "$IMAGE" payload /bin/true 2>&1 || true)" "signature.invalid"
ctr_ containers rm payload >/dev/null 2>&1 || true
# The file that should be a manifest holds other bytes than its name says, and no JSON.
printf 'not json' >"$SCRATCH/evidence/signatures/blobs/sha256/$(jq -r '.manifests[0].digest | sub("sha256:"; "")' "$layout/index.json")"
ctl reload >/dev/null
message=$(run --rm "$IMAGE" manifest /bin/true 2>&1 || true)
check "a signature manifest that is not JSON is refused" contains "$message" "denied: signature."
ctr_ containers rm manifest >/dev/null 2>&1 || true
rm -r "$SCRATCH/evidence/signatures"
mv "$SCRATCH/signatures.good" "$SCRATCH/evidence/signatures"
ctl reload >/dev/null
check "with the good signature back the start works" run --rm "$IMAGE" mended /bin/true

printf 'version = 1\n[gate]\nworkers = "many"\n' >"$SCRATCH/type.toml"
printf 'version = 1\n[gate\n' >"$SCRATCH/syntax.toml"
for broken in type:3 syntax:2; do
  code=0; message=$("$BIN/bulwarkd" --check-config --config "$SCRATCH/${broken%:*}.toml" 2>&1) || code=$?
  check "a broken configuration (${broken%:*}) is refused with status 2" equal "$code" 2
  [[ $message =~ ${broken%:*}\.toml:${broken#*:}:[0-9]+ ]] || message="no file:line:column in: $message"
  check "with file, line and column" contains "$message" "${broken%:*}.toml:${broken#*:}:"
done

# Go reads the last of two equal keys. containerd never writes any: a shim that is a script puts one in before ours starts.
cat >"$SCRATCH/bin/containerd-shim-twice-v2" <<'SHIM'
#!/bin/sh
[ ! -f config.json ] || sed -i '1s/^{/{"process":{"args":["\/bin\/true"]},/' config.json
exec "$(dirname "$0")/containerd-shim-bulwark-v2" "$@"
SHIM
chmod 755 "$SCRATCH/bin/containerd-shim-twice-v2"
message=$(ctr_ run --rm --runtime io.containerd.twice.v2 --snapshotter "$SNAPSHOTTER" "$IMAGE" twice /bin/true 2>&1 || true)
check "a spec with a key twice is refused" contains "$message" 'key "process" occurs twice'
ctr_ containers rm twice >/dev/null 2>&1 || true

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

# The request is with the daemon, which cannot answer any more, and is killed before it does.
kill -STOP "$NODE_PID"
gate_sockets() { grep -c "$SCRATCH/gate.sock" /proc/net/unix; }
before=$(gate_sockets)
more_gate_sockets() { [ "$(gate_sockets)" -gt "$before" ]; }
run -d "$IMAGE" middle /bin/sleep 1000 >"$SCRATCH/out" 2>&1 & client=$!
check "the start waits for the daemon" wait_until 10 more_gate_sockets
sleep 0.3
stop_daemon -KILL
code=0; wait "$client" || code=$?
check "a daemon killed in the middle of a create denies it" contains "$(cat "$SCRATCH/out")" "daemon.unavailable"
check "and the client learns it" equal "$code" 1
check "no task is left of it" equal "$(ctr_ tasks ls -q)" ""
ctr_ containers rm middle >/dev/null 2>&1 || true
start_daemon; wait_for_daemon
check "the retry works when the daemon is back" run -d "$IMAGE" middle /bin/sleep 1000
remove middle

sed "s#$SCRATCH/containerd/containerd.sock#$SCRATCH/nobody.sock#" -i "$SCRATCH/bulwarkd.toml"
stop_daemon; start_daemon; wait_for_daemon
check "without containerd's API a start is denied" contains "$(run --rm "$IMAGE" away /bin/true 2>&1 || true)" "identity.unresolved"
check "the status says so" contains "$(ctl status)" "NOT REACHABLE"
check "the chain is whole" ctl audit verify
finish
