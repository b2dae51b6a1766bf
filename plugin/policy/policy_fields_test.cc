// Every field of a policy changes something: each is set to another value than its default, and only its own member of
// the parsed rule may differ.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "plugin/policy/policy_test_support.h"

namespace bulwark::policy {
namespace {

using trust::ReferenceMatch;
using trust::Severity;

struct Field {
  const char* name;
  std::string yaml;                         // further lines of the rule
  std::function<bool(const Rule&)> is_set;  // true with the lines, false without
};

Rule ParseOne(const std::string& lines) {
  const PolicySet set = MustParse(WithHead("authorities: {a: {cosignKey: {files: [a.pub]}}, b: {cosignKey: {files: [/abs/b.pub]}}}\n"
                                           "rules:\n  - name: x\n    match: {images: [\"r.corp/**\"]}\n" + lines));
  return set.rules().empty() ? Rule() : set.rules().front();
}

// A field inside a block is compared with the block that lacks only this field.
struct Block {
  std::string without;
  std::vector<Field> fields;
};

void Check(const Block& block) {
  const Rule without = ParseOne(block.without);
  for (const Field& field : block.fields) {
    const Rule with = ParseOne(field.yaml);
    EXPECT_TRUE(field.is_set(with)) << field.name;
    EXPECT_FALSE(field.is_set(without)) << field.name << " holds without being set";
    for (const Field& other : block.fields) {
      if (other.name == field.name || other.yaml == field.yaml) continue;
      EXPECT_FALSE(other.is_set(with)) << field.name << " changes " << other.name;
    }
  }
}

TEST(PolicyFields, RuleLevel) {
  Check({"", {
      {"action", "    action: deny\n", [](const Rule& r) { return r.action == Action::kDeny; }},
      {"mode", "    mode: audit\n", [](const Rule& r) { return r.mode == Mode::kAudit; }},
      {"signatures", "    require: {signatures: {of: [a]}}\n", [](const Rule& r) { return r.signatures.has_value(); }},
      {"scan", "    require: {scan: {maxAge: 1h}}\n", [](const Rule& r) { return r.scan.has_value(); }},
  }});
}

TEST(PolicyFields, Signatures) {
  const auto with = [](const std::string& more) { return "    require: {signatures: {of: [a, b]" + more + "}}\n"; };
  const auto signatures = [](auto test) { return [test](const Rule& r) { return test(*r.signatures); }; };
  using S = trust::SignatureRequirement;
  Check({with(""), {
      {"atLeast", with(", atLeast: 2"), signatures([](const S& s) { return s.at_least == 2; })},
      {"reference exact", with(", reference: exact"),
       signatures([](const S& s) { return s.reference_match == ReferenceMatch::kExact; })},
      {"reference any", with(", reference: any"),
       signatures([](const S& s) { return s.reference_match == ReferenceMatch::kAny; })},
      {"reference repositoryOrExact", with(", reference: repositoryOrExact"),
       signatures([](const S& s) { return s.reference_match == ReferenceMatch::kRepoDigestOrExact; })},
      {"reference remap", with(", reference: {remap: {prefix: m.corp/hub, signedPrefix: docker.io}}"),
       signatures([](const S& s) { return s.remap_prefix == "m.corp/hub" && s.remap_signed_prefix == "docker.io"; })},
      {"annotations", with(", annotations: {env: prod}"),
       signatures([](const S& s) { return s.annotations.count("env") == 1 && s.annotations.at("env") == "prod"; })},
      {"signedDigests index", with(", signedDigests: [index]"), signatures([](const S& s) { return !s.accept_manifest; })},
      {"signedDigests manifest", with(", signedDigests: [manifest]"), signatures([](const S& s) { return !s.accept_index; })},
  }});
}

TEST(PolicyFields, OfPicksTheAuthoritiesAndTheirKeys) {
  const Rule rule = ParseOne("    require: {signatures: {of: [b]}}\n");
  ASSERT_EQ(rule.signatures->authorities.size(), 1U);
  EXPECT_EQ(rule.signatures->authorities[0].name, "b");
  EXPECT_EQ(rule.signatures->authorities[0].key_pems, std::vector<std::string>{kKeyB});
  EXPECT_EQ(rule.signatures->authorities[0].key_files, std::vector<std::string>{"/abs/b.pub"});
}

TEST(PolicyFields, Scan) {
  const auto with = [](const std::string& more) { return "    require: {scan: {maxAge: 1h" + more + "}}\n"; };
  const auto scan = [](auto test) { return [test](const Rule& r) { return test(*r.scan); }; };
  using S = trust::ScanRequirement;
  Check({with(""), {
      {"maxAge", "    require: {scan: {maxAge: 72h}}\n",
       scan([](const S& s) { return s.max_age_ns == int64_t{72} * 3600 * 1'000'000'000; })},
      {"block.severity", with(", block: {severity: critical}"),
       scan([](const S& s) { return s.block_severity == Severity::kCritical; })},
      {"block.fixableOnly", with(", block: {severity: high, fixableOnly: true}"), scan([](const S& s) { return s.fixable_only; })},
      {"unknownAs", with(", unknownAs: low"), scan([](const S& s) { return s.unknown_as == Severity::kLow; })},
      {"refuseEndOfLife", with(", refuseEndOfLife: false"), scan([](const S& s) { return !s.refuse_end_of_life; })},
      {"accept", with(", accept: [CVE-2024-1]"),
       scan([](const S& s) { return s.accepted_findings == std::vector<std::string>{"CVE-2024-1"}; })},
      {"scanners", with(", scanners: [trivy]"), scan([](const S& s) { return s.scanners == std::vector<std::string>{"trivy"}; })},
  }});
}

TEST(PolicyFields, Profile) {
  using Names = std::vector<std::string>;
  const auto with = [](const std::string& field) { return "    profile: {" + field + "}\n"; };
  Check({"", {
      {"seccomp", with("seccomp: baseline"), [](const Rule& r) { return r.profile.seccomp == "baseline"; }},
      {"capabilities", with("capabilities: [CAP_CHOWN]"), [](const Rule& r) { return r.profile.capabilities == Names{"CAP_CHOWN"}; }},
      {"no capabilities", with("capabilities: []"), [](const Rule& r) { return r.profile.capabilities == Names{}; }},
      {"noNewPrivileges", with("noNewPrivileges: true"), [](const Rule& r) { return r.profile.no_new_privileges; }},
      {"readonlyRootfs", with("readonlyRootfs: true"), [](const Rule& r) { return r.profile.readonly_rootfs; }},
      {"maskedPaths", with("maskedPaths: [/proc/keys]"), [](const Rule& r) { return r.profile.masked_paths == Names{"/proc/keys"}; }},
      {"readonlyPaths", with("readonlyPaths: [/proc/sys]"), [](const Rule& r) { return r.profile.readonly_paths == Names{"/proc/sys"}; }},
      {"allowHooks", with("allowHooks: true"), [](const Rule& r) { return r.profile.allow_hooks; }},
      {"allowPrivileged", with("allowPrivileged: true"), [](const Rule& r) { return r.profile.allow_privileged; }},
      {"allowHostNamespaces", with("allowHostNamespaces: true"), [](const Rule& r) { return r.profile.allow_host_namespaces; }},
  }});
}

TEST(PolicyFields, Exec) {
  const auto with = [](const std::string& field) { return "    exec: {allow: [{argv: [/a, b]" + field + "}]}\n"; };
  const auto entry = [](auto test) { return [test](const Rule& r) { return test(r.exec.allow.at(0)); }; };
  Check({with(""), {
      {"argvPrefix", "    exec: {allow: [{argvPrefix: [/a, b]}]}\n", entry([](const ExecAllow& a) { return a.is_prefix; })},
      {"terminal", with(", terminal: true"), entry([](const ExecAllow& a) { return a.terminal; })},
      {"stdin", with(", stdin: true"), entry([](const ExecAllow& a) { return a.standard_input; })},
      {"users", with(", users: [0, 4294967294]"),
       entry([](const ExecAllow& a) { return a.users == std::vector<uint32_t>{0, 4294967294}; })},
      {"argv", "    exec: {allow: [{argv: [/a, b, c]}]}\n", entry([](const ExecAllow& a) { return a.argv.size() == 3; })},
  }});
  EXPECT_EQ(ParseOne("").exec.default_action, Action::kDeny);
  EXPECT_EQ(ParseOne("    exec: {default: allow}\n").exec.default_action, Action::kAllow);
}

TEST(PolicyFields, DefaultsApplyToRulesThatNameNoMode) {
  const std::string rules = "rules:\n  - {name: x, match: {images: [a.corp/x]}}\n  - {name: y, mode: enforce, match: {images: [a.corp/y]}}\n";
  const PolicySet set = MustParse(WithHead("defaults: {action: allow, mode: audit}\n" + rules));
  EXPECT_EQ(set.defaults().action, Action::kAllow);
  EXPECT_EQ(set.rules().at(0).mode, Mode::kAudit);
  EXPECT_EQ(set.rules().at(1).mode, Mode::kEnforce);
}

}  // namespace
}  // namespace bulwark::policy
