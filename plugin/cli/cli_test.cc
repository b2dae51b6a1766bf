// bulwarkctl as a process, against a daemon that says what the test wants.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bulwark/v1/api.grpc.pb.h"
#include "lib/base/file_io.h"
#include "lib/base/spawn.h"

namespace bulwark::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using nlohmann::json;

constexpr char kId[] = "d-1";

class FakeNode final : public v1::Node::Service {
 public:
  grpc::Status Status(grpc::ServerContext*, const v1::StatusRequest*, v1::StatusResponse* response) override {
    *response = status;
    return grpc::Status::OK;
  }
  grpc::Status Reload(grpc::ServerContext*, const v1::ReloadRequest*, v1::ReloadResponse* response) override {
    *response = reload;
    return grpc::Status::OK;
  }
  v1::StatusResponse status;
  v1::ReloadResponse reload;
};

class FakeImages final : public v1::Images::Service {
 public:
  grpc::Status Check(grpc::ServerContext*, const v1::CheckImageRequest* request,
                     v1::CheckImageResponse* response) override {
    seen = *request;
    *response = answer;
    return grpc::Status::OK;
  }
  v1::CheckImageRequest seen;
  v1::CheckImageResponse answer;
};

class FakeAudit final : public v1::Audit::Service {
 public:
  grpc::Status Read(grpc::ServerContext*, const v1::ReadRecordsRequest* request,
                    grpc::ServerWriter<v1::RecordEntry>* writer) override {
    seen = *request;
    for (const v1::RecordEntry& entry : entries) writer->Write(entry);
    return grpc::Status::OK;
  }
  grpc::Status Explain(grpc::ServerContext*, const v1::ExplainRequest* request, v1::RecordEntry* response) override {
    if (request->decision_id() != kId) return {grpc::StatusCode::NOT_FOUND, "no decision " + request->decision_id()};
    *response = entries.at(0);
    return grpc::Status::OK;
  }
  v1::ReadRecordsRequest seen;
  std::vector<v1::RecordEntry> entries;
};

class CommandLine : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bulwark-cli-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + Socket(), grpc::InsecureServerCredentials());
    builder.RegisterService(&node_);
    builder.RegisterService(&images_);
    builder.RegisterService(&audit_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);

    v1::RecordEntry entry;
    v1::AuditRecord* record = entry.mutable_record();
    record->set_schema_version(1);
    record->set_sequence(7);
    record->set_event_type(v1::CREATE_DECISION);
    record->set_outcome(v1::DENIED);
    record->set_decision_id(kId);
    record->set_reason_code("signature.missing");
    record->mutable_container()->set_image_reference("r.corp/app:1");
    *record->add_reasoning() = Step();
    entry.set_chain_hash(std::string(32, '\x11'));
    audit_.entries = {entry};
  }
  void TearDown() override {
    server_->Shutdown();
    std::filesystem::remove_all(directory_);
  }

  static v1::ReasonStep Step() {
    v1::ReasonStep step;
    step.set_check("signature");
    step.set_code("signature.missing");
    step.set_detail("none found \x1b[2J");
    step.add_evidence("/var/lib/bulwark/evidence");
    return step;
  }

  std::string Socket() const { return directory_ + "/api.sock"; }

  // stdout and stderr together.
  base::CapturedOutput Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {std::string(BULWARK_BIN_DIR) + "/bulwarkctl", "--socket", Socket()});
    base::SpawnOptions options;
    options.argv = std::move(arguments);
    auto done = base::RunCommand(std::move(options), "", size_t{1} << 20, 60'000);
    EXPECT_TRUE(done.has_value());
    return done ? *done : base::CapturedOutput{-1, ""};
  }

  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(base::ReplaceFile(directory_ + "/" + name, text, 0644, false).has_value());
  }

  std::string directory_;
  FakeNode node_;
  FakeImages images_;
  FakeAudit audit_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(CommandLine, UsageErrorsEndWithTwo) {
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
           {}, {"statsu"}, {"status", "--outptu", "json"}, {"status", "-o", "yaml"}, {"explain"}, {"image", "check"}, {"audit"},
           {"audit", "query", "--type", "CREATE_DECISON"}, {"audit", "query", "--outcome", "REFUSED"},
           {"audit", "query", "--since", "yesterday"}}) {
    EXPECT_EQ(Run(wrong).exit_status, 2) << ::testing::PrintToString(wrong);
  }
  EXPECT_EQ(Run({"--help"}).exit_status, 0);
  EXPECT_EQ(Run({"--version"}).exit_status, 0);
}

TEST_F(CommandLine, AnAbsentDaemonEndsWithThreeAndANextStep) {
  server_->Shutdown();
  std::filesystem::remove(Socket());
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"status"}, {"reload"}, {"image", "check", "x"}, {"explain", kId}, {"audit", "tail"}, {"audit", "query"}}) {
    const base::CapturedOutput done = Run(command);
    EXPECT_EQ(done.exit_status, 3) << ::testing::PrintToString(command);
    EXPECT_THAT(done.output, HasSubstr("next: start bulwarkd"));
    EXPECT_THAT(done.output, HasSubstr(Socket()));
  }
}

TEST_F(CommandLine, StatusShowsWhatIsWrong) {
  node_.status.set_policy_rules(3);
  node_.status.set_policy_error("/p/a.yaml:3:1: unknown key");
  node_.status.set_containerd_address("/run/c.sock");
  const base::CapturedOutput done = Run({"status"});
  EXPECT_EQ(done.exit_status, 0);
  EXPECT_THAT(done.output, HasSubstr("3 rules"));
  EXPECT_THAT(done.output, HasSubstr("/p/a.yaml:3:1: unknown key"));
  EXPECT_THAT(done.output, HasSubstr("NOT REACHABLE"));
  const json status = json::parse(Run({"status", "--output", "json"}).output);
  EXPECT_EQ(status["schema_version"], 1);
  EXPECT_EQ(status["policy_rules"], 3);
  EXPECT_EQ(status["containerd_reachable"], false) << "members are there also when they are false";
}

TEST_F(CommandLine, StatusShowsEvidenceAndProfilesThatCannotBeRead) {
  node_.status.set_evidence_problem_count(12);
  v1::FileProblem* problem = node_.status.add_evidence_problems();
  problem->set_path("/var/lib/bulwark/evidence/app.json");
  problem->set_problem("not JSON \x1b[2J");
  v1::FileProblem* profile = node_.status.add_profile_problems();
  profile->set_path("/var/lib/bulwark/profiles/web.json");
  profile->set_problem("no defaultAction");
  const std::string table = Run({"status"}).output;
  EXPECT_THAT(table, HasSubstr("12 cannot be read"));
  EXPECT_THAT(table, HasSubstr("/var/lib/bulwark/evidence/app.json: not JSON"));
  EXPECT_THAT(table, HasSubstr("and 11 more"));
  EXPECT_THAT(table, HasSubstr("/var/lib/bulwark/profiles/web.json: no defaultAction"));
  EXPECT_THAT(table, Not(HasSubstr("\x1b")));
  const json status = json::parse(Run({"status", "-o", "json"}).output);
  EXPECT_EQ(status["evidence_problem_count"], 12);
  EXPECT_EQ(status["evidence_problems"][0]["path"], "/var/lib/bulwark/evidence/app.json");
  EXPECT_EQ(status["profile_problems"][0]["problem"], "no defaultAction");
}

TEST_F(CommandLine, AReloadWithABrokenProfileSaysThatThePolicyIsInForce) {
  node_.reload.set_error("/p/web.json: no defaultAction");
  node_.reload.set_profiles_error("/p/web.json: no defaultAction");
  node_.reload.set_policy_applied(true);
  node_.reload.set_policy_digest("sha256:11");
  const base::CapturedOutput done = Run({"reload"});
  EXPECT_EQ(done.exit_status, 1);
  EXPECT_THAT(done.output, HasSubstr("reloaded: policy sha256:11"));
  EXPECT_THAT(done.output, HasSubstr("/p/web.json: no defaultAction"));
  EXPECT_THAT(done.output, Not(HasSubstr("not applied")));
}

TEST_F(CommandLine, AReloadThatWasNotAppliedEndsWithOne) {
  node_.reload.set_error("/p/a.yaml:3:1: unknown key");
  EXPECT_EQ(Run({"reload"}).exit_status, 1);
  EXPECT_THAT(Run({"reload"}).output, HasSubstr("/p/a.yaml:3:1"));
  node_.reload.set_applied(true);
  EXPECT_EQ(Run({"reload"}).exit_status, 0);
}

TEST_F(CommandLine, ImageCheckPrintsTheReasoningAndEndsByTheOutcome) {
  images_.answer.set_outcome(v1::DENIED);
  images_.answer.set_reason_code("signature.missing");
  *images_.answer.add_reasoning() = Step();
  const base::CapturedOutput done = Run({"image", "check", "-n", "k8s.io", "r.corp/app:1"});
  EXPECT_EQ(done.exit_status, 1);
  EXPECT_EQ(images_.seen.containerd_namespace(), "k8s.io");
  EXPECT_EQ(images_.seen.reference(), "r.corp/app:1");
  EXPECT_THAT(done.output, HasSubstr("DENIED: signature.missing"));
  EXPECT_THAT(done.output, HasSubstr("looked at /var/lib/bulwark/evidence"));
  EXPECT_THAT(done.output, Not(HasSubstr("\x1b")));
  images_.answer.set_outcome(v1::WOULD_DENY);
  EXPECT_EQ(Run({"image", "check", "r.corp/app:1"}).exit_status, 1);
  images_.answer.set_outcome(v1::ALLOWED);
  EXPECT_EQ(Run({"image", "check", "r.corp/app:1"}).exit_status, 0);
}

TEST_F(CommandLine, ALayoutIsGivenToTheDaemonAsAnAbsolutePath) {
  ASSERT_EQ(mkdir((directory_ + "/layout").c_str(), 0755), 0);
  Run({"image", "check", "--layout", directory_ + "/./layout", "x"});
  EXPECT_EQ(images_.seen.oci_layout(), directory_ + "/layout");
  EXPECT_EQ(Run({"image", "check", "--layout", directory_ + "/none", "x"}).exit_status, 2);
}

TEST_F(CommandLine, ExplainShowsTheDecisionOrSaysThatThereIsNone) {
  EXPECT_THAT(Run({"explain", kId}).output, HasSubstr("FAIL signature"));
  EXPECT_EQ(json::parse(Run({"explain", kId, "-o", "json"}).output)["decision_id"], kId);
  const base::CapturedOutput none = Run({"explain", "d-2"});
  EXPECT_EQ(none.exit_status, 1);
  EXPECT_THAT(none.output, HasSubstr("no decision d-2"));
}

TEST_F(CommandLine, RecordsAreOneLineEachAndFiltersReachTheDaemon) {
  EXPECT_THAT(Run({"audit", "tail"}).output, HasSubstr("r.corp/app:1"));
  EXPECT_EQ(audit_.seen.last(), 20U);
  const json record = json::parse(Run({"audit", "tail", "-n", "3", "-o", "json"}).output);
  EXPECT_EQ(audit_.seen.last(), 3U);
  EXPECT_EQ(record["schema_version"], 1);
  EXPECT_EQ(record["chain_hash"], "1111111111111111111111111111111111111111111111111111111111111111");

  Run({"audit", "query", "--container", "c", "--type", "EXEC_DECISION", "--outcome", "DENIED", "--image", "i", "--decision", "d",
       "--since", "2026-01-02T03:04:05Z", "--until", "2026-01-02T03:04:06Z"});
  EXPECT_EQ(audit_.seen.container_id(), "c");
  EXPECT_EQ(audit_.seen.event_type(), "EXEC_DECISION");
  EXPECT_EQ(audit_.seen.outcome(), "DENIED");
  EXPECT_EQ(audit_.seen.image(), "i");
  EXPECT_EQ(audit_.seen.decision_id(), "d");
  EXPECT_EQ(audit_.seen.until_wall_ns() - audit_.seen.since_wall_ns(), 1'000'000'000);
}

TEST_F(CommandLine, PolicyCheckNeedsNoDaemonAndNamesThePlace) {
  Write("good.yaml", "apiVersion: bulwark.dev/v1\nkind: Policy\nrules: [{name: x, match: {images: [\"r.corp/**\"]}}]\n");
  Write("bad.yaml", "apiVersion: bulwark.dev/v1\nkind: Policy\nrulez: []\n");
  const base::CapturedOutput good = Run({"policy", "check", directory_ + "/good.yaml"});
  EXPECT_EQ(good.exit_status, 0) << good.output;
  EXPECT_THAT(good.output, HasSubstr("good: 1 rules"));
  EXPECT_EQ(json::parse(Run({"policy", "check", directory_ + "/good.yaml", "-o", "json"}).output)["rules"][0]["name"], "x");
  const base::CapturedOutput bad = Run({"policy", "check", directory_ + "/bad.yaml"});
  EXPECT_EQ(bad.exit_status, 1);
  EXPECT_THAT(bad.output, HasSubstr(directory_ + "/bad.yaml:3:1: unknown key \"rulez\""));
  EXPECT_EQ(Run({"policy", "check", directory_}).exit_status, 1) << "all files are one set";
  EXPECT_EQ(Run({"policy", "check", directory_ + "/none.yaml"}).exit_status, 1);
}

TEST_F(CommandLine, PolicyCheckReadsTheKeysAsTheDaemonWill) {
  Write("k.pub", "-----BEGIN PUBLIC KEY-----\nQUFB\n-----END PUBLIC KEY-----\n");
  Write("a.yaml", "apiVersion: bulwark.dev/v1\nkind: Policy\nauthorities: {k: {cosignKey: {files: [k.pub]}}}\n");
  const base::CapturedOutput done = Run({"policy", "check", directory_ + "/a.yaml"});
  EXPECT_EQ(done.exit_status, 1);
  EXPECT_THAT(done.output, HasSubstr("a.yaml:3:39: key of authority k"));
}

TEST_F(CommandLine, VerifyOfADirectoryThatCannotBeReadIsNoVerdict) {
  const base::CapturedOutput done = Run({"audit", "verify", "--directory", directory_ + "/none"});
  EXPECT_EQ(done.exit_status, 1) << done.output;
}

}  // namespace
}  // namespace bulwark::cli
