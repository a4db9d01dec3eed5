// A sink for what a command writes.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "core/async/task.h"
#include "core/async/waiter.h"
#include "core/sandbox/sandbox.h"

namespace fabro::sandbox {

class Collector final : public OutputSink {
 public:
  Task<void> Write(Stream stream, std::string text) override {
    (stream == Stream::kStdout ? out : err) += text;
    seen->Complete(absl::OkStatus());
    co_return;
  }
  std::string out, err;
  std::shared_ptr<Waiter> seen = std::make_shared<Waiter>();  // completed at the first output
};

}  // namespace fabro::sandbox
