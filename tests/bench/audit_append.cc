// Measures the audit log on the directory given: records per second made durable, and how long one
// append takes from call to durable.
//
//   audit_append DIRECTORY [SECONDS]     (DIRECTORY is created inside, and the log in it removed
//   afterwards)
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "plugin/audit/audit_log.h"
#include "plugin/audit/verify.h"

namespace {

using bulwark::audit::AuditLog;
using bulwark::audit::Lane;
using bulwark::audit::Receipt;
using Clock = std::chrono::steady_clock;

bulwark::v1::AuditRecord SampleRecord(int number) {
  bulwark::v1::AuditRecord record;
  record.set_event_type(bulwark::v1::CREATE_DECISION);
  record.set_outcome(bulwark::v1::ALLOWED);
  record.set_decision_id("0123456789abcdef0123456789abcdef");
  auto* container = record.mutable_container();
  container->set_containerd_namespace("k8s.io");
  container->set_id("c0ffee00112233445566778899aabbccddeeff00112233445566778899aabbcc");
  container->set_image_reference("registry.example.org/team/app:1.2.3");
  container->set_image_digest(
      "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
  record.mutable_policy()->set_rule("production");
  record.set_reason_code("ok");
  record.set_source_seq(static_cast<uint64_t>(number));
  return record;
}

struct Run {
  double records_per_second = 0;
  double p50_us = 0;
  double p99_us = 0;
};

Run Summarize(std::vector<double> latencies_us, double seconds) {
  Run run;
  if (latencies_us.empty()) return run;
  std::sort(latencies_us.begin(), latencies_us.end());
  run.records_per_second = static_cast<double>(latencies_us.size()) / seconds;
  run.p50_us = latencies_us[latencies_us.size() / 2];
  run.p99_us = latencies_us[latencies_us.size() * 99 / 100];
  return run;
}

// `producers` threads, each with at most `window` appends under way.
Run Measure(AuditLog* log, int producers, int window, double seconds) {
  std::vector<std::vector<double>> latencies(static_cast<size_t>(producers));
  std::vector<std::thread> threads;
  const auto begin = Clock::now();
  const auto end =
      begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  for (int t = 0; t < producers; ++t) {
    threads.emplace_back([&, t] {
      std::mutex mutex;
      std::condition_variable moved;
      int in_flight = 0;
      std::vector<double>& own = latencies[static_cast<size_t>(t)];
      for (int i = 0; Clock::now() < end; ++i) {
        {
          std::unique_lock lock(mutex);
          moved.wait(lock, [&] { return in_flight < window; });
          ++in_flight;
        }
        const auto start = Clock::now();
        log->Append(SampleRecord(i), Lane::kGate,
                    [&, start](const bulwark::base::Result<Receipt>& result) {
                      if (!result) {
                        fprintf(stderr, "append failed: %s\n", result.error().message().c_str());
                        exit(1);
                      }
                      const std::lock_guard lock(mutex);
                      own.push_back(
                          std::chrono::duration<double, std::micro>(Clock::now() - start).count());
                      --in_flight;
                      moved.notify_one();
                    });
      }
      std::unique_lock lock(mutex);
      moved.wait(lock, [&] { return in_flight == 0; });
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double took = std::chrono::duration<double>(Clock::now() - begin).count();
  std::vector<double> all;
  for (const auto& own : latencies) all.insert(all.end(), own.begin(), own.end());
  return Summarize(std::move(all), took);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: audit_append DIRECTORY [SECONDS]\n");
    return 2;
  }
  const std::string directory = std::string(argv[1]) + "/audit-append-bench";
  const double seconds = argc > 2 ? atof(argv[2]) : 3;
  std::filesystem::remove_all(directory);
  bulwark::audit::AuditLogOptions options;
  options.directory = directory;
  auto log = AuditLog::Open(options);
  if (!log) {
    fprintf(stderr, "%s\n", log.error().message().c_str());
    return 1;
  }
  printf("record: %zu bytes encoded, plus ids and times\n", SampleRecord(1).ByteSizeLong());
  struct Shape {
    const char* name;
    int producers;
    int window;
  };
  for (const Shape& shape :
       {Shape{"1 producer, blocking", 1, 1}, Shape{"8 producers, blocking", 8, 1},
        Shape{"64 producers, blocking", 64, 1}, Shape{"4 producers, 64 in flight", 4, 64},
        Shape{"8 producers, 256 in flight", 8, 256},
        Shape{"2 producers, 4096 in flight", 2, 4096}}) {
    const Run run = Measure(log->get(), shape.producers, shape.window, seconds);
    printf("%-28s %9.0f records/s  p50 %8.1f us  p99 %8.1f us\n", shape.name,
           run.records_per_second, run.p50_us, run.p99_us);
  }
  if (!(*log)->Close()) return 1;
  const auto begin = Clock::now();
  auto verified = bulwark::audit::Verify(directory, std::nullopt);
  const double took = std::chrono::duration<double>(Clock::now() - begin).count();
  if (!verified) return 1;
  printf("verify: %s; %.0f records/s, %.0f MB/s\n",
         bulwark::audit::DescribeVerifyResult(*verified).c_str(),
         static_cast<double>(verified->records) / took,
         static_cast<double>(verified->bytes) / took / 1e6);
  std::filesystem::remove_all(directory);
  return verified->code == bulwark::audit::VerifyCode::kOk ? 0 : 1;
}
