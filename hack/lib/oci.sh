# shellcheck shell=bash
# OCI image layouts made of Debian's busybox-static, deterministic: the same arguments give the same digests.
# Needs base.sh and the packages busybox-static jq. Format: opencontainers/image-spec, image-layout.md.

# oci_layout_init LAYOUT: an empty layout.
oci_layout_init() {
  mkdir -p "$1/blobs/sha256"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$1/oci-layout"
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}' >"$1/index.json"
}

# oci_add_blob LAYOUT FILE: moves the file in; prints its hex digest.
oci_add_blob() {
  local hex
  hex=$(sha256_hex "$2")
  mv "$2" "$1/blobs/sha256/$hex"
  printf '%s\n' "$hex"
}

# oci_add_manifest LAYOUT HEX NAME ANNOTATIONS: lists a manifest in index.json under the reference name NAME; another
# entry of that name goes away. ANNOTATIONS is a JSON object of further annotations.
oci_add_manifest() {
  local layout=$1 hex=$2 name=$3 annotations=$4 size
  size=$(stat -c %s "$layout/blobs/sha256/$hex")
  jq -c --arg digest "sha256:$hex" --argjson size "$size" --arg name "$name" --argjson more "$annotations" '
    .manifests |= (map(select(.annotations["org.opencontainers.image.ref.name"] != $name)) + [{
      mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $digest, size: $size,
      annotations: ({"org.opencontainers.image.ref.name": $name} + $more)}])' \
    "$layout/index.json" >"$layout/index.json.tmp"
  mv "$layout/index.json.tmp" "$layout/index.json"
}

# _busybox_rootfs DIRECTORY VARIANT: a root file system in which VARIANT (one line of text) is /etc/variant.
_busybox_rootfs() {
  local applet
  mkdir -p "$1"/{bin,dev,etc,proc,root,sys,tmp,var}
  cp "$(command -v busybox)" "$1/bin/busybox"
  chmod 755 "$1/bin/busybox"
  while read -r applet; do
    [ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
  done < <(busybox --list)
  printf '%s\n' "$2" >"$1/etc/variant"
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$1/etc/passwd"
  chmod 1777 "$1/tmp"
}

# make_busybox_image LAYOUT NAME VARIANT: adds an image and sets IMAGE_DIGEST and IMAGE_CONFIG_DIGEST (sha256:…).
# NAME is the full reference, as containerd is to know it. Different VARIANTs are different content.
make_busybox_image() {
  local layout=$1 name=$2 variant=$3 work layer diff_id config layer_size config_size manifest
  [ -f "$layout/oci-layout" ] || oci_layout_init "$layout"
  work=$(mktemp -d "$SCRATCH/image.XXXXXX")
  _busybox_rootfs "$work/rootfs" "$variant"
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar -C "$work/rootfs" -cf "$work/layer.tar" .
  diff_id=$(sha256_hex "$work/layer.tar")
  gzip -n -1 "$work/layer.tar"
  layer_size=$(stat -c %s "$work/layer.tar.gz")
  layer=$(oci_add_blob "$layout" "$work/layer.tar.gz")
  jq -cn --arg arch "$(dpkg --print-architecture)" --arg diff "sha256:$diff_id" '{
    created: "1970-01-01T00:00:00Z", architecture: $arch, os: "linux",
    config: {Env: ["PATH=/bin"], Cmd: ["/bin/sleep", "3600"]},
    rootfs: {type: "layers", diff_ids: [$diff]},
    history: [{created: "1970-01-01T00:00:00Z", created_by: "busybox-static"}]}' >"$work/config"
  config_size=$(stat -c %s "$work/config")
  config=$(oci_add_blob "$layout" "$work/config")
  jq -cn --arg config "sha256:$config" --argjson config_size "$config_size" \
    --arg layer "sha256:$layer" --argjson layer_size "$layer_size" '{
    schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $config, size: $config_size},
    layers: [{mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: $layer, size: $layer_size}]}' \
    >"$work/manifest"
  manifest=$(oci_add_blob "$layout" "$work/manifest")
  oci_add_manifest "$layout" "$manifest" "$name" "$(jq -cn --arg name "$name" '{"io.containerd.image.name": $name}')"
  rm -rf "$work"
  # shellcheck disable=SC2034  # results
  IMAGE_DIGEST="sha256:$manifest" IMAGE_CONFIG_DIGEST="sha256:$config"
}

# oci_archive LAYOUT NAME FILE: a tar that `ctr images import` takes, holding only the image NAME of the layout.
oci_archive() {
  local layout=$1 name=$2 file=$3 work hex blob
  work=$(mktemp -d "$SCRATCH/archive.XXXXXX")
  oci_layout_init "$work"
  jq -c --arg name "$name" '.manifests |= map(select(.annotations["org.opencontainers.image.ref.name"] == $name))' \
    "$layout/index.json" >"$work/index.json"
  hex=$(jq -r '.manifests[0].digest // empty' "$work/index.json")
  [ -n "$hex" ] || die "no image $name in $layout"
  hex=${hex#sha256:}
  for blob in "$hex" $(jq -r '(.config, .layers[]).digest | sub("sha256:"; "")' "$layout/blobs/sha256/$hex"); do
    ln "$layout/blobs/sha256/$blob" "$work/blobs/sha256/$blob" 2>/dev/null ||
      cp "$layout/blobs/sha256/$blob" "$work/blobs/sha256/$blob"
  done
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work" -cf "$file" .
  rm -rf "$work"
}

# tamper_manifest LAYOUT NAME: changes the manifest of an image (not its content), as somebody with write access to a
# registry could. Sets TAMPERED_DIGEST.
tamper_manifest() {
  local layout=$1 name=$2 hex work
  hex=$(jq -r --arg name "$name" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $name)
    .digest | sub("sha256:"; "")' "$layout/index.json")
  [ -n "$hex" ] || die "no image $name in $layout"
  work=$(mktemp "$SCRATCH/manifest.XXXXXX")
  jq -c '.annotations.tampered = "yes"' "$layout/blobs/sha256/$hex" >"$work"
  hex=$(oci_add_blob "$layout" "$work")
  oci_add_manifest "$layout" "$hex" "$name" "$(jq -cn --arg name "$name" '{"io.containerd.image.name": $name}')"
  # shellcheck disable=SC2034  # result
  TAMPERED_DIGEST="sha256:$hex"
}
