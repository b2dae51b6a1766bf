// Runs a function when the scope ends, unless cancelled.
#pragma once

#include <utility>

namespace bulwark::base {

template <typename F>
class [[nodiscard]] Cleanup {
 public:
  explicit Cleanup(F run) : run_(std::move(run)) {}
  Cleanup(const Cleanup&) = delete;
  Cleanup& operator=(const Cleanup&) = delete;
  ~Cleanup() {
    if (armed_) run_();
  }
  void Cancel() { armed_ = false; }

 private:
  F run_;
  bool armed_ = true;
};

}  // namespace bulwark::base
