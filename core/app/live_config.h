// The configuration while the server runs: the file is watched, and what may change at once does.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/base/mutex.h"
#include "core/config/load.h"
#include "core/config/startable.h"
#include "core/security/certificate.h"

namespace fabro::app {

// The settings in force; thread-safe. What is handed out never changes.
class CurrentConfig {
 public:
  explicit CurrentConfig(config::ServerConfig config) { Set(std::move(config)); }

  std::shared_ptr<const config::ServerConfig> Get() const {
    MutexLock lock(&mutex_);
    return config_;
  }
  void Set(config::ServerConfig config) {
    auto next = std::make_shared<const config::ServerConfig>(std::move(config));
    MutexLock lock(&mutex_);
    config_ = std::move(next);
  }

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const config::ServerConfig> config_ GUARDED_BY(mutex_);  // shared with its readers
};

// Used by one thread. Each change is logged as old -> new, secrets masked. A file that is gone or wrong is
// reported, and the settings in force stay. A setting that is read at the start only says so in the log.
class LiveConfig {
 public:
  LiveConfig(config::Program program, config::Sources sources, config::Loaded loaded);

  const config::ServerConfig& config() const { return config_; }  // in force
  const config::Environment& environment() const { return file_.environment; }
  const std::string& file() const { return file_.watched; }

  // Called with the new settings, after the log's level and format have followed them.
  void OnChange(std::function<void(const config::ServerConfig&)> listener);

  // Every second or so: reads the file once it has changed and stays the same. Blocking.
  void Check();
  void Reload();  // reads the file whether it has changed or not. Blocking

 private:
  void Take(config::Loaded loaded);

  const config::Program program_;
  const config::Sources sources_;
  config::Loaded file_;  // as last read and found good
  config::ServerConfig config_;
  security::FileStamps stamps_;
  std::vector<std::function<void(const config::ServerConfig&)>> listeners_;
};

}  // namespace fabro::app
