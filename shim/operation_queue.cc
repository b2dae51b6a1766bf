#include "shim/operation_queue.h"

#include <utility>

namespace bulwark::shim {

struct OperationQueue::State : std::enable_shared_from_this<State> {
  struct Waiting {
    Kind kind;
    Operation operation;
  };
  std::deque<Waiting> waiting;
  int shared_running = 0;
  bool exclusive_running = false;
  bool closed = false;
  bool dispatching = false;

  bool MayRun(Kind kind) const {
    if (exclusive_running) return false;
    return kind == Kind::kShared || shared_running == 0;
  }

  Token MakeToken(Kind kind) {
    if (kind == Kind::kExclusive) {
      exclusive_running = true;
    } else {
      ++shared_running;
    }
    // The pointer is only a handle for the deleter.
    return Token(static_cast<void*>(this), [self = shared_from_this(), kind](void*) {
      if (kind == Kind::kExclusive) {
        self->exclusive_running = false;
      } else {
        --self->shared_running;
      }
      self->Dispatch();
    });
  }

  void Dispatch() {
    // An operation that ends at once comes back here; the outer loop then goes on instead of
    // recursing.
    if (dispatching) return;
    dispatching = true;
    while (!closed && !waiting.empty() && MayRun(waiting.front().kind)) {
      Waiting next = std::move(waiting.front());
      waiting.pop_front();
      next.operation(MakeToken(next.kind));
    }
    dispatching = false;
  }
};

OperationQueue::OperationQueue() : state_(std::make_shared<State>()) {}

OperationQueue::~OperationQueue() { Close(); }

void OperationQueue::Close() {
  state_->closed = true;
  // Taken out first: what an operation holds may come back here when it is destroyed.
  const auto dropped = std::exchange(state_->waiting, {});
}

void OperationQueue::Submit(Kind kind, Operation operation) {
  if (state_->closed) return;
  state_->waiting.push_back({kind, std::move(operation)});
  state_->Dispatch();
}

}  // namespace bulwark::shim
