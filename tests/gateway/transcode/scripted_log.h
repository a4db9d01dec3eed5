// An upstream whose only stream is a run's event log that the test writes: each stream reads it from its
// cursor.
#pragma once

#include <google/protobuf/message.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "core/async/waiter.h"
#include "core/base/error.h"
#include "core/base/mutex.h"
#include "core/base/strings.h"
#include "fabro/v1/event.pb.h"
#include "fabro/v1/run.pb.h"
#include "gateway/upstream/upstream.h"

namespace fabro::testing {

class ScriptedLog final : public upstream::Upstream {
 public:
  explicit ScriptedLog(std::size_t padding = 0) : padding_(padding) {}

  // One event more.
  void Add() {
    MutexLock lock(&mutex_);
    ++last_;
    Wake();
  }
  // The last event was added; streams end with this status when they have read it.
  void Finish(absl::Status status = absl::OkStatus()) {
    MutexLock lock(&mutex_);
    finished_ = true;
    status_ = std::move(status);
    Wake();
  }
  void Refuse(absl::Status status) { refusal_ = std::move(status); }

  int opened() const { return opened_.load(); }
  int fetched() const { return fetched_.load(); }

  Task<absl::Status> Call(const std::string&, const google::protobuf::Message&, google::protobuf::Message*,
                          upstream::CallOptions) override {
    co_return Internal("no calls here");
  }

  Task<absl::StatusOr<std::unique_ptr<upstream::Stream>>> OpenStream(const std::string&,
                                                                     const google::protobuf::Message& request,
                                                                     const google::protobuf::Message&,
                                                                     upstream::CallOptions) override {
    ++opened_;
    if (!refusal_.ok()) co_return refusal_;
    const std::uint64_t after = dynamic_cast<const v1::StreamRunEventsRequest&>(request).after();
    co_return std::unique_ptr<upstream::Stream>(std::make_unique<LogStream>(*this, after));
  }

 private:
  class LogStream final : public upstream::Stream {
   public:
    LogStream(ScriptedLog& log, std::uint64_t after) : log_(log), next_(after + 1) {}

    Task<absl::StatusOr<bool>> Next(google::protobuf::Message* message) override {
      while (true) {
        std::shared_ptr<Waiter> waiter;
        {
          MutexLock lock(&log_.mutex_);
          if (next_ <= log_.last_) {
            auto* event = dynamic_cast<v1::Event*>(message);
            event->Clear();
            event->set_id(next_++);
            event->set_run_id(std::string(log_.padding_, 'p'));
            ++log_.fetched_;
            co_return true;
          }
          if (log_.finished_) {
            if (!log_.status_.ok()) co_return log_.status_;
            co_return false;
          }
          waiter = std::make_shared<Waiter>();
          log_.waiters_.push_back(waiter);
        }
        absl::Status waited = co_await waiter->Wait();
        if (!waited.ok()) co_return waited;
      }
    }

   private:
    ScriptedLog& log_;
    std::uint64_t next_;
  };

  void Wake() REQUIRES(mutex_) {
    for (const auto& waiter : std::exchange(waiters_, {})) waiter->Complete(absl::OkStatus());
  }

  const std::size_t padding_;
  absl::Status refusal_;
  std::atomic<int> opened_{0};
  std::atomic<int> fetched_{0};
  Mutex mutex_;
  std::uint64_t last_ GUARDED_BY(mutex_) = 0;
  bool finished_ GUARDED_BY(mutex_) = false;
  absl::Status status_ GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Waiter>> waiters_ GUARDED_BY(mutex_);
};

}  // namespace fabro::testing
