#!/bin/bash
# Installs what is missing, builds, and runs the whole test suite: unit tests, fuzz smoke tests, and integration tests on a
# real containerd with runc and crun. ctest's summary is the last thing it prints.
#
#   hack/test.sh [-R REGEX]...        arguments go to ctest
#
# Environment: BULWARK_PRESET (default ci), BULWARK_JOBS (default: as many as there are processors).
# Exit status: 0 all passed (skipped tests say why); else what cmake or ctest returned.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
# shellcheck source=hack/lib/base.sh
. hack/lib/base.sh
# shellcheck source=hack/lib/packages.sh
. hack/lib/packages.sh

preset=${BULWARK_PRESET:-ci}
jobs=${BULWARK_JOBS:-$(nproc)}
require_packages "${BUILD_PACKAGES[@]}" "${FIXTURE_PACKAGES[@]}" "${RUNTIME_PACKAGES[@]}" crun
[ ! -x hack/check-layers.sh ] || hack/check-layers.sh
cmake --preset "$preset"
cmake --build --preset "$preset" -j "$jobs"
trap - EXIT  # nothing to clean up, and ctest's last line stays the last
exec ctest --preset "$preset" --output-on-failure --no-tests=error "$@"
