// Whether the root mounts that a shim was asked to make are those of the container's snapshot. Pure.
#pragma once

#include "plugin/containerd/client.h"

namespace bulwark::admission {

// Equal in everything; only one more option at the end is let pass: context="LABEL", which containerd's client adds for
// SELinux (containerd, task.go; mount(8), "context="). Nothing else may hide in it: a comma between the quotes is part of
// the label, one after them would begin another option.
bool IsSameMount(const containerd::Mount& asked, const containerd::Mount& snapshot);

}  // namespace bulwark::admission
