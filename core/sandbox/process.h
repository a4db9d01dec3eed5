// One child process with pipes on its output: started, read, waited for and killed without a thread of its
// own.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/async/executor.h"
#include "core/sandbox/sandbox.h"

namespace fabro::sandbox {

// What a started process leaves in our hands. Owned by Process; plain so that it can be made on another
// thread.
struct ProcessHandles {
  int pid = -1;
  int pidfd = -1;
  int out = -1;  // read ends
  int err = -1;
};

// Blocking. Starts argv in a session of its own, with `input` as its standard input and, unless it is empty,
// `note` to be read from descriptor 3.
absl::StatusOr<ProcessHandles> StartProcess(const std::vector<std::string>& argv, const Environment& env,
                                            const std::string& work_dir, std::string_view input,
                                            std::string_view note);

// Used from one coroutine at a time, except that ReadOut, ReadErr and WaitExit may be awaited side by side on
// one strand. Destroying it kills and reaps a process that still runs.
class Process {
 public:
  Process(const Executor& executor, ProcessHandles handles);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Some bytes of output, empty at its end. Not interrupted by cancellation: the pipe ends when the process
  // does.
  Task<std::string> ReadOut();
  Task<std::string> ReadErr();

  // The exit code (128 + signal). Reaps the process.
  Task<int> WaitExit();

  void Signal(int signal);  // nothing when it has been reaped
  void CloseOutput();       // ends pending reads

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fabro::sandbox
