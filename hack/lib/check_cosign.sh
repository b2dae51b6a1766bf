#!/bin/bash
# Shows that the real cosign accepts what cosign.sh makes, and refuses it under another key. Needs `cosign` (2.x) on PATH
# or in $COSIGN; without it, says so and leaves with status 77 (skipped).
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=hack/lib/base.sh
. "$here/base.sh"
# shellcheck source=hack/lib/oci.sh
. "$here/oci.sh"
# shellcheck source=hack/lib/cosign.sh
. "$here/cosign.sh"

cosign=${COSIGN:-$(command -v cosign || true)}
[ -x "$cosign" ] || { say "skipped: there is no cosign here"; exit 77; }
make_scratch
name=registry.example/team/app
layout=$SCRATCH/layout
make_cosign_key "$SCRATCH/right"
make_cosign_key "$SCRATCH/wrong"
make_busybox_image "$layout" "$name:1" one
# `cosign save` marks its entries by kind; in a layout that cosign reads, the image needs that mark too.
jq -c '.manifests[0].annotations.kind = "dev.cosignproject.cosign/image"' "$layout/index.json" >"$layout/index.new"
mv "$layout/index.new" "$layout/index.json"
cosign_sign "$layout" "$IMAGE_DIGEST" "$name" "$SCRATCH/right.key"

verify() {
  "$cosign" verify --local-image --key "$1" --insecure-ignore-tlog=true --private-infrastructure "$layout" >"$SCRATCH/out" 2>&1
}
verify "$SCRATCH/right.pub" || { cat "$SCRATCH/out"; die "cosign refuses a signature made with the right key"; }
if verify "$SCRATCH/wrong.pub"; then die "cosign accepts a signature under the wrong key"; fi
say "ok: $("$cosign" version 2>&1 | awk '/GitVersion/ { print "cosign " $2 }') accepts the signature, and refuses it under another key"
