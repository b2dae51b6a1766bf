// io.containerd.cgroups.v1.Metrics from the files of the kernel's admin-guide/cgroup-v1.
#include <limits.h>
#include <unistd.h>

#include <utility>

#include "containerd/cgroups_v1.pb.h"
#include "lib/base/file_io.h"
#include "shim/os/cgroup_metrics.h"
#include "shim/os/flat_file.h"

namespace bulwark::shim {
namespace {

namespace pb = ::io::containerd::cgroups::v1;

constexpr uint64_t kNanosPerSecond = 1'000'000'000;
constexpr size_t kHugePageSizesMax = 64;

struct MemoryField {
  std::string_view key;
  void (pb::MemoryStat::*set)(uint64_t);
};

constexpr MemoryField kMemoryFields[] = {
    {"cache", &pb::MemoryStat::set_cache},
    {"rss", &pb::MemoryStat::set_rss},
    {"rss_huge", &pb::MemoryStat::set_rss_huge},
    {"mapped_file", &pb::MemoryStat::set_mapped_file},
    {"dirty", &pb::MemoryStat::set_dirty},
    {"writeback", &pb::MemoryStat::set_writeback},
    {"pgpgin", &pb::MemoryStat::set_pg_pg_in},
    {"pgpgout", &pb::MemoryStat::set_pg_pg_out},
    {"pgfault", &pb::MemoryStat::set_pg_fault},
    {"pgmajfault", &pb::MemoryStat::set_pg_maj_fault},
    {"inactive_anon", &pb::MemoryStat::set_inactive_anon},
    {"active_anon", &pb::MemoryStat::set_active_anon},
    {"inactive_file", &pb::MemoryStat::set_inactive_file},
    {"active_file", &pb::MemoryStat::set_active_file},
    {"unevictable", &pb::MemoryStat::set_unevictable},
    {"hierarchical_memory_limit", &pb::MemoryStat::set_hierarchical_memory_limit},
    {"hierarchical_memsw_limit", &pb::MemoryStat::set_hierarchical_swap_limit},
    {"total_cache", &pb::MemoryStat::set_total_cache},
    {"total_rss", &pb::MemoryStat::set_total_rss},
    {"total_rss_huge", &pb::MemoryStat::set_total_rss_huge},
    {"total_mapped_file", &pb::MemoryStat::set_total_mapped_file},
    {"total_dirty", &pb::MemoryStat::set_total_dirty},
    {"total_writeback", &pb::MemoryStat::set_total_writeback},
    {"total_pgpgin", &pb::MemoryStat::set_total_pg_pg_in},
    {"total_pgpgout", &pb::MemoryStat::set_total_pg_pg_out},
    {"total_pgfault", &pb::MemoryStat::set_total_pg_fault},
    {"total_pgmajfault", &pb::MemoryStat::set_total_pg_maj_fault},
    {"total_inactive_anon", &pb::MemoryStat::set_total_inactive_anon},
    {"total_active_anon", &pb::MemoryStat::set_total_active_anon},
    {"total_inactive_file", &pb::MemoryStat::set_total_inactive_file},
    {"total_active_file", &pb::MemoryStat::set_total_active_file},
    {"total_unevictable", &pb::MemoryStat::set_total_unevictable},
};

void FillEntry(pb::MemoryEntry& entry, const std::string& directory, std::string_view prefix) {
  entry.set_limit(ReadNumber(directory, fmt::format("{}.limit_in_bytes", prefix)).value_or(0));
  entry.set_usage(ReadNumber(directory, fmt::format("{}.usage_in_bytes", prefix)).value_or(0));
  entry.set_max(ReadNumber(directory, fmt::format("{}.max_usage_in_bytes", prefix)).value_or(0));
  entry.set_failcnt(ReadNumber(directory, fmt::format("{}.failcnt", prefix)).value_or(0));
}

void FillMemory(pb::Metrics& metrics, const std::string& directory) {
  pb::MemoryStat& memory = *metrics.mutable_memory();
  if (const auto text = ReadControlFile(directory, "memory.stat"); text) {
    ForEachPair(*text, [&memory](std::string_view key, uint64_t value) {
      for (const auto& field : kMemoryFields) {
        if (field.key == key) (memory.*field.set)(value);
      }
    });
  }
  FillEntry(*memory.mutable_usage(), directory, "memory");
  FillEntry(*memory.mutable_swap(), directory, "memory.memsw");
  FillEntry(*memory.mutable_kernel(), directory, "memory.kmem");
  FillEntry(*memory.mutable_kernel_tcp(), directory, "memory.kmem.tcp");

  pb::MemoryOomControl& oom = *metrics.mutable_memory_oom_control();
  if (const auto text = ReadControlFile(directory, "memory.oom_control"); text) {
    ForEachPair(*text, [&oom](std::string_view key, uint64_t value) {
      if (key == "oom_kill_disable") oom.set_oom_kill_disable(value);
      if (key == "under_oom") oom.set_under_oom(value);
      if (key == "oom_kill") oom.set_oom_kill(value);
    });
  }
}

void FillCpuUsage(pb::CPUUsage& usage, const std::string& directory) {
  usage.set_total(ReadNumber(directory, "cpuacct.usage").value_or(0));
  if (const auto text = ReadControlFile(directory, "cpuacct.usage_percpu"); text) {
    std::string_view rest = *text;
    for (std::string_view word = TakeWord(rest); !word.empty(); word = TakeWord(rest)) {
      usage.add_per_cpu(ParseNumber(word).value_or(0));
    }
  }
  // In ticks of USER_HZ, which the message wants in nanoseconds.
  const uint64_t nanos_per_tick = kNanosPerSecond / static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  if (const auto text = ReadControlFile(directory, "cpuacct.stat"); text) {
    ForEachPair(*text, [&](std::string_view key, uint64_t ticks) {
      if (key == "user") usage.set_user(ticks * nanos_per_tick);
      if (key == "system") usage.set_kernel(ticks * nanos_per_tick);
    });
  }
}

void FillThrottling(pb::Throttle& throttling, const std::string& directory) {
  const auto text = ReadControlFile(directory, "cpu.stat");
  if (!text) return;
  ForEachPair(*text, [&throttling](std::string_view key, uint64_t value) {
    if (key == "nr_periods") throttling.set_periods(value);
    if (key == "nr_throttled") throttling.set_throttled_periods(value);
    if (key == "throttled_time") throttling.set_throttled_time(value);
  });
}

// "/dev/sda" for 8:0: sysfs links the number to the device's directory.
std::string DeviceName(uint64_t major_number, uint64_t minor_number) {
  const std::string link = fmt::format("/sys/dev/block/{}:{}", major_number, minor_number);
  char target[PATH_MAX];
  const ssize_t length = readlink(link.c_str(), target, sizeof target);
  if (length <= 0) return {};
  const std::string_view text(target, static_cast<size_t>(length));
  return fmt::format("/dev/{}", text.substr(text.rfind('/') + 1));
}

using Entries = ::google::protobuf::RepeatedPtrField<pb::BlkIOEntry>;

// "8:0 Read 4096" lines, "8:0 12" where no operation is told apart; "Total 4096" at the end. True
// if there were any.
bool FillBlkio(Entries& entries, const std::string& directory, std::string_view name) {
  const auto text = ReadControlFile(directory, name);
  if (!text) return false;
  std::string_view rest = *text;
  while (!rest.empty()) {
    std::string_view line = TakeLine(rest);
    const std::string_view device = TakeWord(line);
    const size_t colon = device.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view second = TakeWord(line);
    const std::string_view third = TakeWord(line);
    const auto major_number = ParseNumber(device.substr(0, colon));
    const auto minor_number = ParseNumber(device.substr(colon + 1));
    const auto value = ParseNumber(third.empty() ? second : third);
    if (!major_number || !minor_number || !value) continue;
    pb::BlkIOEntry& entry = *entries.Add();
    entry.set_op(std::string(third.empty() ? std::string_view() : second));
    entry.set_device(DeviceName(*major_number, *minor_number));
    entry.set_major(*major_number);
    entry.set_minor(*minor_number);
    entry.set_value(*value);
  }
  return !entries.empty();
}

// What is counted depends on the I/O scheduler: CFQ (before Linux 5.0), BFQ, else only the
// throttling layer.
void FillBlkioAll(pb::BlkIOStat& blkio, const std::string& directory) {
  Entries& bytes = *blkio.mutable_io_service_bytes_recursive();
  Entries& operations = *blkio.mutable_io_serviced_recursive();
  for (const std::string_view prefix : {"blkio", "blkio.bfq"}) {
    if (!FillBlkio(operations, directory, fmt::format("{}.io_serviced_recursive", prefix))) {
      continue;
    }
    FillBlkio(bytes, directory, fmt::format("{}.io_service_bytes_recursive", prefix));
    FillBlkio(*blkio.mutable_sectors_recursive(), directory,
              fmt::format("{}.sectors_recursive", prefix));
    FillBlkio(*blkio.mutable_io_queued_recursive(), directory,
              fmt::format("{}.io_queued_recursive", prefix));
    FillBlkio(*blkio.mutable_io_service_time_recursive(), directory,
              fmt::format("{}.io_service_time_recursive", prefix));
    FillBlkio(*blkio.mutable_io_wait_time_recursive(), directory,
              fmt::format("{}.io_wait_time_recursive", prefix));
    FillBlkio(*blkio.mutable_io_merged_recursive(), directory,
              fmt::format("{}.io_merged_recursive", prefix));
    FillBlkio(*blkio.mutable_io_time_recursive(), directory,
              fmt::format("{}.time_recursive", prefix));
    return;
  }
  FillBlkio(operations, directory, "blkio.throttle.io_serviced");
  FillBlkio(bytes, directory, "blkio.throttle.io_service_bytes");
}

// One entry a page size; the files name it: hugetlb.2MB.usage_in_bytes.
void FillHugetlb(pb::Metrics& metrics, const std::string& directory) {
  static constexpr std::string_view kPrefix = "hugetlb.";
  static constexpr std::string_view kSuffix = ".limit_in_bytes";
  const auto names = base::ListDirectory(directory, 1024);
  if (!names) return;
  for (const std::string& name : *names) {
    const std::string_view text = name;
    if (text.size() <= kPrefix.size() + kSuffix.size() ||
        text.substr(0, kPrefix.size()) != kPrefix ||
        text.substr(text.size() - kSuffix.size()) != kSuffix) {
      continue;
    }
    const std::string_view size =
        text.substr(kPrefix.size(), text.size() - kPrefix.size() - kSuffix.size());
    // hugetlb.2MB.rsvd.limit_in_bytes counts reservations, which the message has no place for.
    if (size.find('.') != std::string_view::npos) continue;
    if (static_cast<size_t>(metrics.hugetlb_size()) == kHugePageSizesMax) return;
    pb::HugetlbStat& entry = *metrics.add_hugetlb();
    entry.set_pagesize(std::string(size));
    entry.set_usage(
        ReadNumber(directory, fmt::format("hugetlb.{}.usage_in_bytes", size)).value_or(0));
    entry.set_max(
        ReadNumber(directory, fmt::format("hugetlb.{}.max_usage_in_bytes", size)).value_or(0));
    entry.set_failcnt(ReadNumber(directory, fmt::format("hugetlb.{}.failcnt", size)).value_or(0));
  }
}

}  // namespace

std::string ReadMetricsV1(const Cgroup& cgroup) {
  pb::Metrics metrics;
  pb::CPUStat& cpu = *metrics.mutable_cpu();
  cpu.mutable_usage();
  cpu.mutable_throttling();
  if (const auto* directory = cgroup.DirectoryOf("cpuacct"); directory != nullptr) {
    FillCpuUsage(*cpu.mutable_usage(), *directory);
  }
  if (const auto* directory = cgroup.DirectoryOf("cpu"); directory != nullptr) {
    FillThrottling(*cpu.mutable_throttling(), *directory);
  }
  if (const auto* directory = cgroup.DirectoryOf("pids"); directory != nullptr) {
    metrics.mutable_pids()->set_current(ReadNumber(*directory, "pids.current").value_or(0));
    // No limit is 0 in the v1 message.
    metrics.mutable_pids()->set_limit(ReadNumber(*directory, "pids.max", 0).value_or(0));
  }
  if (const auto* directory = cgroup.DirectoryOf("memory"); directory != nullptr) {
    FillMemory(metrics, *directory);
  }
  if (const auto* directory = cgroup.DirectoryOf("blkio"); directory != nullptr) {
    FillBlkioAll(*metrics.mutable_blkio(), *directory);
  }
  if (const auto* directory = cgroup.DirectoryOf("hugetlb"); directory != nullptr) {
    FillHugetlb(metrics, *directory);
  }
  return metrics.SerializeAsString();
}

}  // namespace bulwark::shim
