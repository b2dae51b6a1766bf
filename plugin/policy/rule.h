// Plain data: one rule of a policy, as the parser hands it over and as the admission path applies it. Nothing in here
// judges anything: matching is policy_set.h, exec rules are evaluator.h, signatures and scans are plugin/trust, the
// hardening of the runtime spec is plugin/profiles. docs/formats/policy.md describes the YAML these come from, field by
// field; the names in comments below are the YAML keys.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/policy/decision.h"
#include "plugin/trust/requirement.h"

namespace bulwark::policy {

enum class Action { kDeny, kAllow };

// `match`: which containers a rule is about. Every list that is not empty must hold; an empty list holds for all.
struct RuleMatch {
  // Patterns over the canonical image reference ("registry.corp/prod/**", lib/oci/reference_pattern.h), or digests
  // ("sha256:<64 hex>") of an index, a platform manifest or an image config. Never empty: the parser demands one.
  std::vector<std::string> images;
  std::vector<std::string> containerd_namespaces;  // exact names
  std::vector<std::string> kubernetes_namespaces;  // exact names; a container outside Kubernetes has none and won't match
};

// `profile`: how the runtime spec is tightened. Never widens what the container asked for.
struct Profile {
  std::optional<std::string> seccomp;                    // name of a profile; absent: the container's own, untouched
  std::optional<std::vector<std::string>> capabilities;  // the most it may hold, "CAP_CHOWN"; absent: no bound of ours
  bool no_new_privileges = false;                        // `noNewPrivileges`
  bool readonly_rootfs = false;                          // `readonlyRootfs`
  std::vector<std::string> masked_paths;                 // `maskedPaths`: absolute, masked in addition to its own
  std::vector<std::string> readonly_paths;               // `readonlyPaths`: absolute, read-only in addition to its own
  // What no profile can bound, so it must be allowed by name; otherwise such a spec is denied with spec.forbidden.
  // `allowPrivileged`: all devices, a block device of the host, mounts of bulwark's and containerd's own files, mounts
  // of file systems other than those every container has
  bool allow_privileged = false;
  bool allow_hooks = false;            // `allowHooks`: programs that the runtime runs on the host; nerdctl has some always
  bool allow_host_namespaces = false;  // `allowHostNamespaces`: the host's pid, ipc, network or mount namespace
};

// One entry of `exec.allow`: a command that may be run in the container. Exactly one of `argv` (the whole command) and
// `argvPrefix` (its first elements, whatever follows) is given. Compared byte by byte, element by element: no shell
// words, no PATH, no globs.
struct ExecAllow {
  std::vector<std::string> argv;
  bool is_prefix = false;
  bool terminal = false;        // true: also with a terminal; false: only without one (as probes run)
  bool standard_input = false;  // `stdin`; true: also with standard input attached
  std::vector<uint32_t> users;  // only as one of these uids; empty: as any
};

// `exec`: who may run what in a container this rule admitted. Without the block everything is denied.
struct ExecRules {
  Action default_action = Action::kDeny;
  std::vector<ExecAllow> allow;  // looked at in order; the first that fits allows
};

struct Rule {
  std::string name;             // unique in the whole set
  std::string file;             // the policy file it came from
  int line = 0;                 // of the rule's first key, from 1
  int column = 0;
  RuleMatch match;
  Action action = Action::kAllow;  // kDeny: refuse whatever matches (policy.denied); then nothing else is looked at
  Mode mode = Mode::kEnforce;      // its own, or that of the defaults
  std::optional<trust::SignatureRequirement> signatures;  // `require.signatures`; absent: none asked for
  std::optional<trust::ScanRequirement> scan;             // `require.scan`; absent: none asked for
  Profile profile;
  ExecRules exec;
};

// `defaults`: what happens to a container that no rule matches, and the mode of rules that name none.
struct Defaults {
  Action action = Action::kDeny;
  Mode mode = Mode::kEnforce;
};

// "enforce" or "audit", as policies and records spell it.
constexpr std::string_view ModeName(Mode mode) { return mode == Mode::kEnforce ? "enforce" : "audit"; }

}  // namespace bulwark::policy
