// Orders the runtime calls of one container, and of that container only: calls that change it as a
// whole (create, start, pause, resume, update, delete) run alone; execs may run beside each other.
// First come, first served, so a waiting exclusive operation is not overtaken for ever. Signals
// don't pass here: the way down never waits. Thread: the loop's. Operations start at once if they
// may, else when the one in front of them ends.
#pragma once

#include <deque>
#include <functional>
#include <memory>

namespace bulwark::shim {

class OperationQueue {
 public:
  enum class Kind { kShared, kExclusive };
  // The operation goes on until the last copy of its token is gone.
  using Token = std::shared_ptr<void>;
  using Operation = std::function<void(Token)>;

  OperationQueue();
  ~OperationQueue();
  OperationQueue(const OperationQueue&) = delete;
  OperationQueue& operator=(const OperationQueue&) = delete;

  void Submit(Kind kind, Operation operation);
  // Drops what waits and whatever is submitted later; what runs goes on. For the end of the
  // process, when tokens of running operations go away after the objects that waiting ones would
  // use.
  void Close();

 private:
  struct State;
  std::shared_ptr<State> state_;  // outlived by tokens, which may end after the queue
};

}  // namespace bulwark::shim
