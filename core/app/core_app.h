// The core, put together: builds every part in order and stops them in reverse.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/async/runtime.h"
#include "core/config/load.h"

namespace grpc {
class Channel;
}

namespace fabro::app {

struct CoreOptions {
  config::ServerConfig config;
  config::Environment environment;  // for what must be redacted
  bool listens = true;              // on config.core.listen; a channel within the process is there always
  std::string stage_helper;         // path of fabro-stage; empty: beside the program
  std::string config_file;          // what it was read from: no sandbox shows it; may be empty
};

class CoreApp {
 public:
  // Opens the store, finds the runs that must go on, and serves. Blocks for the time of that. The errors name
  // what to do: another server holds the storage, the address is taken, the database is newer.
  static absl::StatusOr<std::unique_ptr<CoreApp>> Start(Runtime& runtime, CoreOptions options);
  ~CoreApp();  // stops at once if Stop was not called

  std::shared_ptr<grpc::Channel> InProcessChannel();
  std::string address() const;  // where it listens, with the port in use; empty when it does not

  // Takes the settings that may change while it runs. Thread-safe.
  void Apply(const config::ServerConfig& config);

  // Refuses new calls, lets active stages have `grace`, ends streams, closes the store. What did not end goes
  // on at the next start. Blocks; not from a coroutine. Idempotent.
  void Stop(std::chrono::milliseconds grace);

 private:
  struct Parts;
  explicit CoreApp(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace fabro::app
