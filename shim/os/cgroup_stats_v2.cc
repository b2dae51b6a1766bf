// io.containerd.cgroups.v2.Metrics from the files of cgroup-v2.rst.
#include <utility>

#include "containerd/cgroups_v2.pb.h"
#include "shim/os/cgroup_metrics.h"
#include "shim/os/flat_file.h"

namespace bulwark::shim {
namespace {

namespace pb = ::io::containerd::cgroups::v2;

template <typename Message>
struct NumberField {
  std::string_view key;
  void (Message::*set)(uint64_t);
};

constexpr NumberField<pb::CPUStat> kCpuFields[] = {
    {"usage_usec", &pb::CPUStat::set_usage_usec},
    {"user_usec", &pb::CPUStat::set_user_usec},
    {"system_usec", &pb::CPUStat::set_system_usec},
    {"nr_periods", &pb::CPUStat::set_nr_periods},
    {"nr_throttled", &pb::CPUStat::set_nr_throttled},
    {"throttled_usec", &pb::CPUStat::set_throttled_usec},
};

constexpr NumberField<pb::MemoryStat> kMemoryFields[] = {
    {"anon", &pb::MemoryStat::set_anon},
    {"file", &pb::MemoryStat::set_file},
    {"kernel_stack", &pb::MemoryStat::set_kernel_stack},
    {"slab", &pb::MemoryStat::set_slab},
    {"sock", &pb::MemoryStat::set_sock},
    {"shmem", &pb::MemoryStat::set_shmem},
    {"file_mapped", &pb::MemoryStat::set_file_mapped},
    {"file_dirty", &pb::MemoryStat::set_file_dirty},
    {"file_writeback", &pb::MemoryStat::set_file_writeback},
    {"anon_thp", &pb::MemoryStat::set_anon_thp},
    {"inactive_anon", &pb::MemoryStat::set_inactive_anon},
    {"active_anon", &pb::MemoryStat::set_active_anon},
    {"inactive_file", &pb::MemoryStat::set_inactive_file},
    {"active_file", &pb::MemoryStat::set_active_file},
    {"unevictable", &pb::MemoryStat::set_unevictable},
    {"slab_reclaimable", &pb::MemoryStat::set_slab_reclaimable},
    {"slab_unreclaimable", &pb::MemoryStat::set_slab_unreclaimable},
    {"pgfault", &pb::MemoryStat::set_pgfault},
    {"pgmajfault", &pb::MemoryStat::set_pgmajfault},
    {"workingset_refault", &pb::MemoryStat::set_workingset_refault},
    {"workingset_activate", &pb::MemoryStat::set_workingset_activate},
    {"workingset_nodereclaim", &pb::MemoryStat::set_workingset_nodereclaim},
    {"pgrefill", &pb::MemoryStat::set_pgrefill},
    {"pgscan", &pb::MemoryStat::set_pgscan},
    {"pgsteal", &pb::MemoryStat::set_pgsteal},
    {"pgactivate", &pb::MemoryStat::set_pgactivate},
    {"pgdeactivate", &pb::MemoryStat::set_pgdeactivate},
    {"pglazyfree", &pb::MemoryStat::set_pglazyfree},
    {"pglazyfreed", &pb::MemoryStat::set_pglazyfreed},
    {"thp_fault_alloc", &pb::MemoryStat::set_thp_fault_alloc},
    {"thp_collapse_alloc", &pb::MemoryStat::set_thp_collapse_alloc},
};

constexpr NumberField<pb::MemoryStat> kMemoryFiles[] = {
    {"memory.current", &pb::MemoryStat::set_usage},
    {"memory.max", &pb::MemoryStat::set_usage_limit},
    {"memory.swap.current", &pb::MemoryStat::set_swap_usage},
    {"memory.swap.max", &pb::MemoryStat::set_swap_limit},
    {"memory.peak", &pb::MemoryStat::set_max_usage},
};

constexpr NumberField<pb::MemoryEvents> kEventFields[] = {
    {"low", &pb::MemoryEvents::set_low},
    {"high", &pb::MemoryEvents::set_high},
    {"max", &pb::MemoryEvents::set_max},
    {"oom", &pb::MemoryEvents::set_oom},
    {"oom_kill", &pb::MemoryEvents::set_oom_kill},
    {"oom_group_kill", &pb::MemoryEvents::set_oom_group_kill},
};

constexpr NumberField<pb::IOEntry> kIoFields[] = {
    {"rbytes", &pb::IOEntry::set_rbytes},
    {"wbytes", &pb::IOEntry::set_wbytes},
    {"rios", &pb::IOEntry::set_rios},
    {"wios", &pb::IOEntry::set_wios},
};

template <typename Message, size_t kCount>
void Set(Message& message, const NumberField<Message> (&fields)[kCount], std::string_view key,
         uint64_t value) {
  for (const auto& field : fields) {
    if (field.key == key) (message.*field.set)(value);
  }
}

template <typename Message, size_t kCount>
void Fill(Message& message, const NumberField<Message> (&fields)[kCount],
          const std::string& directory, std::string_view name) {
  const auto text = ReadControlFile(directory, name);
  if (!text) return;
  ForEachPair(*text,
              [&](std::string_view key, uint64_t value) { Set(message, fields, key, value); });
}

// "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0"
void FillIo(pb::IOStat& io, const std::string& directory) {
  const auto text = ReadControlFile(directory, "io.stat");
  if (!text) return;
  std::string_view rest = *text;
  while (!rest.empty()) {
    std::string_view line = TakeLine(rest);
    const std::string_view device = TakeWord(line);
    const size_t colon = device.find(':');
    if (colon == std::string_view::npos) continue;
    const auto major_number = ParseNumber(device.substr(0, colon));
    const auto minor_number = ParseNumber(device.substr(colon + 1));
    if (!major_number || !minor_number) continue;
    pb::IOEntry& entry = *io.add_usage();
    entry.set_major(*major_number);
    entry.set_minor(*minor_number);
    for (std::string_view word = TakeWord(line); !word.empty(); word = TakeWord(line)) {
      const size_t equals = word.find('=');
      if (equals == std::string_view::npos) continue;
      if (const auto value = ParseNumber(word.substr(equals + 1)); value) {
        Set(entry, kIoFields, word.substr(0, equals), *value);
      }
    }
  }
}

}  // namespace

std::string ReadMetricsV2(const std::string& directory) {
  pb::Metrics metrics;
  pb::PidsStat& pids = *metrics.mutable_pids();
  pids.set_current(ReadNumber(directory, "pids.current").value_or(0));
  pids.set_limit(ReadNumber(directory, "pids.max").value_or(0));
  Fill(*metrics.mutable_cpu(), kCpuFields, directory, "cpu.stat");
  pb::MemoryStat& memory = *metrics.mutable_memory();
  Fill(memory, kMemoryFields, directory, "memory.stat");
  for (const auto& file : kMemoryFiles) {
    if (const auto value = ReadNumber(directory, file.key); value) (memory.*file.set)(*value);
  }
  FillIo(*metrics.mutable_io(), directory);
  Fill(*metrics.mutable_memory_events(), kEventFields, directory, "memory.events");
  return metrics.SerializeAsString();
}

}  // namespace bulwark::shim
