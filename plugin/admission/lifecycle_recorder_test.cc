#include "plugin/admission/lifecycle_recorder.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <future>
#include <memory>
#include <set>

namespace bulwark::admission {
namespace {

using base::Code;
using base::Error;

// Durable at once, except for the source numbers that it is told to refuse.
class FakeRecorder : public audit::Recorder {
 public:
  void Append(v1::AuditRecord record, audit::Lane lane, Callback done) override { done(AppendDurable(record, lane)); }
  base::Result<audit::Receipt> AppendDurable(v1::AuditRecord record, audit::Lane) override {
    if (refused.contains(record.source_seq())) return Error(Code::kResourceExhausted, "the queue is full");
    records.push_back(std::move(record));
    return audit::Receipt{records.size(), {}};
  }
  std::vector<uint64_t> Sequence() const {
    std::vector<uint64_t> sequence;
    for (const v1::AuditRecord& record : records) sequence.push_back(record.source_seq());
    return sequence;
  }

  std::set<uint64_t> refused;
  std::vector<v1::AuditRecord> records;
};

v1::LifecycleEvent Event(uint64_t seq, v1::EventKind kind, const std::string& decision = "") {
  v1::LifecycleEvent event;
  event.set_source_id("shim-1");
  event.set_source_seq(seq);
  event.set_kind(kind);
  event.set_containerd_namespace("k8s.io");
  event.set_container_id("c1");
  event.set_decision_id(decision);
  return event;
}

class LifecycleRecorderTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/lifecycle_recorder_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    containers_ = ContainerStore::Open(directory_ + "/state.db").value();
    lifecycle_ = std::make_unique<LifecycleRecorder>(recorder_, sources_, *containers_);
  }
  void TearDown() override {
    lifecycle_.reset();
    containers_.reset();
    std::filesystem::remove_all(directory_);
  }

  base::Result<uint64_t> Record(std::vector<v1::LifecycleEvent> events) {
    auto done = std::make_shared<std::promise<base::Result<uint64_t>>>();
    auto recorded = done->get_future();
    lifecycle_->Record(std::move(events), [done](base::Result<uint64_t> result) { done->set_value(std::move(result)); });
    return recorded.get();
  }
  void Admit(const std::string& decision, const std::string& reference) {
    AdmittedContainer container;
    container.containerd_namespace = "k8s.io";
    container.id = "c1";
    container.decision_id = decision;
    container.image.reference = reference;
    ASSERT_TRUE(containers_->Put(container));
  }
  // What is forgotten is forgotten by the recorder's thread; ending it waits for that.
  void Finish() { lifecycle_.reset(); }

  std::string directory_;
  FakeRecorder recorder_;
  audit::SourceIndex sources_;
  std::unique_ptr<ContainerStore> containers_;
  std::unique_ptr<LifecycleRecorder> lifecycle_;
};

using Sequence = std::vector<uint64_t>;

TEST_F(LifecycleRecorderTest, AnEventThatWasRefusedIsRecordedWhenTheReportIsSentAgain) {
  const std::vector<v1::LifecycleEvent> report = {Event(1, v1::CONTAINER_CREATED), Event(2, v1::CONTAINER_STARTED)};
  recorder_.refused = {1};
  EXPECT_EQ(Record(report).error().code(), Code::kResourceExhausted);
  EXPECT_EQ(recorder_.Sequence(), (Sequence{2}));
  EXPECT_FALSE(Record(report)) << "nothing is acknowledged while the first is missing";
  recorder_.refused = {};
  EXPECT_EQ(Record(report).value(), 2u);
  EXPECT_EQ(recorder_.Sequence(), (Sequence{2, 1})) << "and what was stored is not stored again";
  EXPECT_EQ(Record(report).value(), 2u);
  EXPECT_EQ(recorder_.records.size(), 2u);
}

TEST_F(LifecycleRecorderTest, ALateEventOfAnOlderContainerLeavesTheNewOneOfItsNameAlone) {
  Admit("new", "registry.example/new:1");
  ASSERT_TRUE(Record({Event(1, v1::CREATE_FAILED, "old"), Event(2, v1::CONTAINER_DELETED, "old")}));
  Finish();
  EXPECT_EQ(containers_->Get("k8s.io", "c1").value().decision_id, "new");
  ASSERT_EQ(recorder_.records.size(), 2u);
  EXPECT_EQ(recorder_.records[1].decision_id(), "old");
  EXPECT_EQ(recorder_.records[1].container().id(), "c1");
  EXPECT_EQ(recorder_.records[1].container().image_reference(), "") << "the image is the new container's";
}

TEST_F(LifecycleRecorderTest, ADeletionForgetsTheContainerItIsAbout) {
  Admit("d-1", "registry.example/app:1");
  ASSERT_TRUE(Record({Event(1, v1::CONTAINER_EXITED, "d-1"), Event(2, v1::CONTAINER_DELETED, "d-1")}));
  Finish();
  EXPECT_EQ(containers_->Get("k8s.io", "c1").error().code(), Code::kNotFound);
  EXPECT_EQ(recorder_.records[1].container().image_reference(), "registry.example/app:1");
}

TEST_F(LifecycleRecorderTest, AnEventWithoutADecisionIsAboutWhatIsKnownUnderItsName) {
  Admit("d-1", "registry.example/app:1");
  ASSERT_TRUE(Record({Event(1, v1::CONTAINER_DELETED)}));
  Finish();
  EXPECT_EQ(containers_->Get("k8s.io", "c1").error().code(), Code::kNotFound);
  EXPECT_EQ(recorder_.records[0].decision_id(), "d-1");
}

TEST_F(LifecycleRecorderTest, ADeletionThatWasNotRecordedForgetsNothing) {
  Admit("d-1", "registry.example/app:1");
  recorder_.refused = {1};
  EXPECT_FALSE(Record({Event(1, v1::CONTAINER_DELETED, "d-1")}));
  Finish();
  EXPECT_TRUE(containers_->Get("k8s.io", "c1"));
}

TEST_F(LifecycleRecorderTest, ReportsOutOfOrderAreRefused) {
  EXPECT_EQ(Record({Event(2, v1::CONTAINER_STARTED), Event(1, v1::CONTAINER_CREATED)}).error().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(Record({}).error().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace bulwark::admission
