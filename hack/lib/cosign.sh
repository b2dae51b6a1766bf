# shellcheck shell=bash
# Signatures in cosign's tag scheme, made with openssl alone: an OCI manifest named sha256-<hex>.sig whose layer is the
# simple signing payload and carries the signature as an annotation (cosign, specs/SIGNATURE_SPEC.md). `cosign verify`
# accepts them; hack/lib/check_cosign.sh shows it. Needs base.sh and oci.sh.

# make_cosign_key PREFIX: PREFIX.key (PKCS#8, not encrypted) and PREFIX.pub, on the curve that cosign uses.
make_cosign_key() {
  openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null ||
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null
  chmod 600 "$1.key"
  openssl pkey -in "$1.key" -pubout -out "$1.pub"
}

# cosign_sign LAYOUT DIGEST REPOSITORY KEY [PAYLOAD_DIGEST]: adds to LAYOUT a signature image for DIGEST (sha256:…).
# A PAYLOAD_DIGEST other than DIGEST makes a signature that lies: filed under one digest, made for another.
cosign_sign() {
  local layout=$1 digest=$2 repository=$3 key=$4 signed=${5:-$2} work payload payload_size config config_size signature
  [ -f "$layout/oci-layout" ] || oci_layout_init "$layout"
  work=$(mktemp -d "$SCRATCH/sign.XXXXXX")
  jq -cjn --arg digest "$signed" --arg repository "$repository" '{
    critical: {identity: {"docker-reference": $repository}, image: {"docker-manifest-digest": $digest},
               type: "cosign container image signature"}, optional: null}' >"$work/payload"
  signature=$(openssl dgst -sha256 -sign "$key" "$work/payload" | base64 -w0)
  payload_size=$(stat -c %s "$work/payload")
  payload=$(oci_add_blob "$layout" "$work/payload")
  jq -cjn --arg payload "sha256:$payload" '{
    architecture: "", created: "0001-01-01T00:00:00Z", history: [{created: "0001-01-01T00:00:00Z"}], os: "",
    rootfs: {type: "layers", diff_ids: [$payload]}, config: {}}' >"$work/config"
  config_size=$(stat -c %s "$work/config")
  config=$(oci_add_blob "$layout" "$work/config")
  jq -cjn --arg config "sha256:$config" --argjson config_size "$config_size" --arg payload "sha256:$payload" \
    --argjson payload_size "$payload_size" --arg signature "$signature" '{
    schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: {mediaType: "application/vnd.oci.image.config.v1+json", size: $config_size, digest: $config},
    layers: [{mediaType: "application/vnd.dev.cosign.simplesigning.v1+json", size: $payload_size, digest: $payload,
              annotations: {"dev.cosignproject.cosign/signature": $signature}}]}' >"$work/manifest"
  oci_add_manifest "$layout" "$(oci_add_blob "$layout" "$work/manifest")" "${digest/:/-}.sig" \
    '{"kind":"dev.cosignproject.cosign/sigs"}'
  rm -rf "$work"
}
