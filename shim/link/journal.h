// The shim's journal: lifecycle events that the daemon has not acknowledged, in the file
// "bulwark.journal" of the bundle the shim was started in (lib/journal/journal_format.h says how it
// looks). Written with one write(2) an event, without fsync: it survives the death of the shim, not
// of the node, and the bundle directory does not survive that either. Emptied when everything is
// acknowledged. One process at a time: the file is locked (flock(2)) while it is open. Thread: the
// loop's. File access blocks for as long as a local file system takes.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <memory>
#include <string>
#include <vector>

#include "bulwark/v1/gate.pb.h"
#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

namespace bulwark::shim {

inline constexpr char kJournalName[] = "bulwark.journal";

class EventJournal {
 public:
  // `path` need not exist: the file is made by the first Append. A torn record at the end of an
  // existing file is cut off. kFailedPrecondition if another process has it open (its shim lives),
  // kInvalidArgument if it is not a journal.
  static base::Result<std::unique_ptr<EventJournal>> Open(std::string path);
  EventJournal(const EventJournal&) = delete;
  EventJournal& operator=(const EventJournal&) = delete;

  // Appends one event. kResourceExhausted at journal::kJournalBytesMax; errors of write(2). The
  // file is as before then.
  base::Status Append(const v1::LifecycleEvent& event);

  struct Position {
    size_t offset = 0;  // 0: the first record
  };
  // At most `max_events` events from `position` on, which is moved behind them. Empty at the end.
  base::Result<std::vector<v1::LifecycleEvent>> Read(Position& position, size_t max_events) const;
  // Where the next event will be appended.
  Position end() const { return Position{size_}; }
  bool empty() const;

  // Forgets all events: truncates the file. Positions start anew.
  base::Status Clear();
  // Clear, and remove the file.
  base::Status Remove();

  const std::string& path() const { return path_; }

 private:
  explicit EventJournal(std::string path) : path_(std::move(path)) {}
  base::Status OpenFile(int flags);
  base::Status CutTornTail();

  std::string path_;
  base::UniqueFd file_;
  size_t size_ = 0;  // bytes of magic and complete records
};

}  // namespace bulwark::shim
