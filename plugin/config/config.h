// Plain data: the daemon's configuration with its defaults. Read from bulwarkd.toml by config_parser.h; every key is
// described in docs/man/bulwarkd.toml.5.md, and a test holds the two together. Paths are absolute.
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "lib/base/logging.h"

namespace bulwark::config {

inline constexpr char kDefaultPath[] = "/etc/bulwark/bulwarkd.toml";

struct Config {
  struct Log {
    base::LogLevel level = base::LogLevel::kInfo;  // `log.level`
  } log;

  struct Containerd {
    std::string address = "/run/containerd/containerd.sock";
    int timeout_ms = 2000;  // for one call
  } containerd;

  struct Gate {  // what shims connect to; ttrpc
    std::string socket = "/run/bulwark/gate.sock";
    int workers = 4;       // threads that decide
    int queue_max = 1024;  // requests that wait for a thread; more are refused
  } gate;

  struct Api {  // what bulwarkctl connects to; gRPC
    std::string socket = "/run/bulwark/bulwarkd.sock";
  } api;

  struct Policy {
    std::string directory = "/etc/bulwark/policies";
  } policy;

  struct Evidence {
    std::string directory = "/var/lib/bulwark/evidence";
  } evidence;

  struct Profiles {
    // A profile in a later directory replaces one of the same name in an earlier.
    std::vector<std::string> directories = {"/usr/share/bulwark/seccomp-profiles", "/var/lib/bulwark/profiles"};
  } profiles;

  struct Audit {
    std::string directory = "/var/lib/bulwark/audit";
    int64_t segment_bytes = int64_t{16} << 20;  // a new segment is begun at this size
    int64_t reserve_bytes = int64_t{16} << 20;  // preallocated for records of what has already happened; 0: none
  } audit;

  struct State {
    std::string database = "/var/lib/bulwark/state.db";
  } state;

  struct Spool {  // events that shims could not deliver
    std::string directory = "/var/lib/bulwark/spool";
  } spool;
};

}  // namespace bulwark::config
