# shellcheck shell=bash
# A private containerd beside an installed one: own root, state, sockets and containerd namespace, gone without a trace at
# exit. Needs base.sh, root, and the packages containerd runc (or crun).

# can_run_containers: why not, on stdout, with status 1.
can_run_containers() {
  local program
  [ "$(id -u)" -eq 0 ] || { echo "not root"; return 1; }
  for program in containerd ctr runc; do
    command -v "$program" >/dev/null || { echo "there is no $program"; return 1; }
  done
  unshare --mount --pid --fork true 2>/dev/null || { echo "Linux namespaces cannot be created here"; return 1; }
  [ -w /sys/fs/cgroup ] || { echo "/sys/fs/cgroup is missing or read-only"; return 1; }
  mount -t tmpfs none "$SCRATCH" -o size=4k 2>/dev/null || { echo "file systems cannot be mounted here"; return 1; }
  umount "$SCRATCH"
}

# prepare_cgroups: crun asks for every v1 controller the kernel has enabled; on hybrid hosts hugetlb is often not mounted.
prepare_cgroups() {
  local controller=hugetlb directory=/sys/fs/cgroup/hugetlb
  [ "$(stat -f -c %T /sys/fs/cgroup)" = tmpfs ] || return 0
  awk -v name="$controller" '$1 == name && $4 == 1 { found = 1 } END { exit !found }' /proc/cgroups || return 0
  mountpoint -q "$directory" && return 0
  # Only what was made here is undone.
  if [ ! -d "$directory" ]; then
    mkdir "$directory" || return 0
    add_cleanup rmdir "$directory"
  fi
  mount -t cgroup -o "$controller" cgroup "$directory" || return 0
  add_cleanup _unmount_cgroup "$directory"
}
# _unmount_cgroup DIRECTORY: unless somebody made cgroups in it meanwhile.
_unmount_cgroup() {
  [ -z "$(find "$1" -mindepth 1 -type d -print -quit)" ] || { warn "$1 is in use; it stays mounted"; return 1; }
  umount "$1"
}

# probe_snapshotter: overlayfs where an overlay can be mounted on the scratch directory, else native.
probe_snapshotter() {
  local probe="$SCRATCH/probe"
  mkdir -p "$probe"/{lower,upper,work,merged}
  if mount -t overlay overlay -o "lowerdir=$probe/lower,upperdir=$probe/upper,workdir=$probe/work" "$probe/merged" 2>/dev/null; then
    umount "$probe/merged"
    echo overlayfs
  else
    echo native
  fi
  rm -rf "$probe"
}

# start_containerd DIRECTORY BIN_DIR: sets CONTAINERD_ADDRESS, CONTAINERD_NAMESPACE, CONTAINERD_PID and SNAPSHOTTER.
# BIN_DIR comes first in PATH, so that runtime io.containerd.bulwark.v2 finds containerd-shim-bulwark-v2 there. Shims inherit
# BULWARK_GATE_SOCKET and BULWARK_SPOOL_DIR from the environment: set them before.
start_containerd() {
  local directory=$1 bin_dir=$2
  SNAPSHOTTER=$(probe_snapshotter)
  CONTAINERD_DIRECTORY=$directory
  CONTAINERD_ADDRESS=$directory/containerd.sock
  # Of its own for each run: ctr names cgroups after it.
  CONTAINERD_NAMESPACE=bulwark-test-$$
  mkdir -p "$directory"
  cat >"$directory/config.toml" <<TOML
version = 2
root = "$directory/root"
state = "$directory/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "$CONTAINERD_ADDRESS"
[debug]
  level = "info"
TOML
  CONTAINERD_BIN_DIR=$bin_dir
  add_cleanup stop_containerd
  launch_containerd
  if ! wait_until 20 ctr_ version; then
    tail -5 "$directory/containerd.log" >&2
    die "the private containerd did not start; its log is above"
  fi
}

# launch_containerd: the process alone, as start_containerd set it up; for a second start of it too.
launch_containerd() {
  start_apart "$CONTAINERD_DIRECTORY/containerd.log" env PATH="$CONTAINERD_BIN_DIR:$PATH" \
    containerd --config "$CONTAINERD_DIRECTORY/config.toml"
  CONTAINERD_PID=$STARTED_PID
}

# ctr_ ARGUMENTS...: ctr against the private containerd, in its own containerd namespace.
ctr_() { ctr --address "$CONTAINERD_ADDRESS" --namespace "$CONTAINERD_NAMESPACE" "$@"; }

# import_image ARCHIVE: into the private containerd, unpacked.
import_image() { ctr_ images import --snapshotter "$SNAPSHOTTER" "$1" >/dev/null; }

# delete_containers: every task and container of the test namespace.
delete_containers() {
  local id
  for id in $(ctr_ containers ls -q 2>/dev/null); do
    timeout 10 ctr --address "$CONTAINERD_ADDRESS" --namespace "$CONTAINERD_NAMESPACE" tasks rm -f "$id" >/dev/null 2>&1 || true
    timeout 10 ctr --address "$CONTAINERD_ADDRESS" --namespace "$CONTAINERD_NAMESPACE" containers rm "$id" >/dev/null 2>&1 || true
  done
}

# _shims_of DIRECTORY: pids that have the private containerd's socket as an argument.
_shims_of() {
  local process
  for process in /proc/[0-9]*; do
    # A process may be gone by now.
    if { tr '\0' '\n' <"$process/cmdline"; } 2>/dev/null | grep -qxF -- "$1/containerd.sock"; then echo "${process#/proc/}"; fi
  done
}

stop_containerd() {
  local pid mount_point
  [ -n "${CONTAINERD_PID:-}" ] || return 0
  delete_containers
  # What ctr could not end: shims carry our address on their command line, and nobody else's do.
  for pid in $(_shims_of "$CONTAINERD_DIRECTORY"); do
    [ "$pid" = "$CONTAINERD_PID" ] || kill -KILL "$pid" 2>/dev/null || true
  done
  kill "$CONTAINERD_PID" 2>/dev/null || true
  wait_until 5 _is_gone "$CONTAINERD_PID" || kill -KILL "$CONTAINERD_PID" 2>/dev/null || true
  wait "$CONTAINERD_PID" 2>/dev/null || true
  CONTAINERD_PID=
  # containerd starts a shim's `delete` when the shim goes, and one started a moment ago may have missed the first look.
  for pid in $(_shims_of "$CONTAINERD_DIRECTORY"); do kill -KILL "$pid" 2>/dev/null || true; done
  _remove_runtime_state
  # Deepest first.
  while read -r mount_point; do
    umount -l "$mount_point" 2>/dev/null || true
  done < <(awk -v prefix="$CONTAINERD_DIRECTORY/" 'index($5, prefix) == 1 { print $5 }' /proc/self/mountinfo | sort -r)
  _remove_cgroups
}

# _remove_runtime_state: what is left in the runtimes' own directory, which shims name after the containerd namespace.
_remove_runtime_state() {
  local state=/run/containerd/runc/$CONTAINERD_NAMESPACE container runtime
  for container in "$state"/*/; do
    [ -d "$container" ] || continue
    # runc's state is state.json, crun's is status. runc would delete crun's without ending the container.
    runtime=runc
    [ ! -e "$container/status" ] || runtime=crun
    timeout 10 "$runtime" --root "$state" delete --force "$(basename "$container")" >/dev/null 2>&1 || true
  done
  rm -rf --one-file-system "$state"
}

# _remove_cgroups: the cgroups of the test namespace, with whatever still runs in them.
_remove_cgroups() {
  wait_until 5 _empty_cgroups || warn "processes are left in cgroups of $CONTAINERD_NAMESPACE"
  # Depth first: a cgroup can be removed when it has no children and no processes.
  find /sys/fs/cgroup -depth -type d \( -path "*/$CONTAINERD_NAMESPACE/*" -o -name "$CONTAINERD_NAMESPACE" \) \
    -exec rmdir {} + 2>/dev/null || true
}
# _empty_cgroups: kills what is in them; succeeds once nothing is.
_empty_cgroups() {
  local pid pids
  pids=$(find /sys/fs/cgroup -path "*/$CONTAINERD_NAMESPACE/*" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u)
  [ -n "$pids" ] || return 0
  for pid in $pids; do kill -KILL "$pid" 2>/dev/null || true; done
  return 1
}
_is_gone() { ! kill -0 "$1" 2>/dev/null || [ "$(ps -o stat= -p "$1" | cut -c1)" = Z ]; }
