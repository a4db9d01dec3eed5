// How a git operation on another thread is told to end early.
#pragma once

#include <atomic>

namespace fabro::git {

// Thread-safe. Operations look at it between two files.
class Stop {
 public:
  void Ask() { asked_ = true; }
  bool asked() const { return asked_; }

 private:
  std::atomic<bool> asked_ = false;
};

}  // namespace fabro::git
