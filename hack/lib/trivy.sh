# shellcheck shell=bash
# Scan reports in Trivy's JSON format. Needs base.sh, jq. A real `trivy` is used where the machine has one and its
# database; without it the report is made up, in the same format, and says so in its version.

# rfc3339 SECONDS_AGO
rfc3339() { date -u -d "@$(($(date +%s) - $1))" +%Y-%m-%dT%H:%M:%SZ; }

# make_trivy_report FILE NAME CONFIG_DIGEST KIND [SECONDS_AGO]: KIND is clean or critical.
make_trivy_report() {
  local file=$1 name=$2 config=$3 kind=$4 age=${5:-0} findings='[]'
  case $kind in
    clean) ;;
    critical)
      findings='[{"VulnerabilityID":"CVE-2022-48174","PkgName":"busybox-static","InstalledVersion":"1:1.35.0-4",
        "FixedVersion":"1:1.35.0-4+deb12u1","Severity":"CRITICAL","Title":"stack overflow in ash.c"}]' ;;
    *) die "make_trivy_report: kind $kind is neither clean nor critical" ;;
  esac
  jq -n --arg created "$(rfc3339 "$age")" --arg name "$name" --arg config "$config" --argjson findings "$findings" '{
    SchemaVersion: 2, Trivy: {Version: "0.58.0-sample"}, CreatedAt: $created,
    ArtifactName: $name, ArtifactType: "container_image",
    Metadata: {OS: {Family: "debian", Name: "12"}, ImageID: $config, RepoTags: [$name]},
    Results: [{Target: ($name + " (debian 12)"), Class: "os-pkgs", Type: "debian",
      Packages: [{ID: "busybox-static@1:1.35.0-4", Name: "busybox-static", Version: "1:1.35.0-4"}],
      Vulnerabilities: $findings}]}' >"$file"
  chmod 644 "$file"
}

# scan_image FILE ARCHIVE NAME CONFIG_DIGEST: a real scan of the OCI archive if trivy works here, else a clean sample.
# Prints which of the two it was.
scan_image() {
  local scratch
  if command -v trivy >/dev/null; then
    scratch=$(mktemp -d "$SCRATCH/trivy.XXXXXX")
    if tar -C "$scratch" -xf "$2" && trivy image --quiet --offline-scan --skip-db-update --list-all-pkgs --format json \
      --input "$scratch" --output "$1" 2>/dev/null && [ "$(jq -r .Metadata.ImageID "$1")" = "$4" ]; then
      rm -rf "$scratch"
      echo trivy
      return
    fi
    rm -rf "$scratch"
  fi
  make_trivy_report "$1" "$3" "$4" clean
  echo sample
}
