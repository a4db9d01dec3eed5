// The events of one run, each once and in order, over connections that may break and servers that may
// restart.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/api.h"
#include "cli/sse_parser.h"
#include "core/base/clock.h"

namespace fabro::cli {

struct FollowPolicy {
  std::chrono::milliseconds first_delay{100};  // before connecting again; doubles
  std::chrono::milliseconds longest_delay{2'000};
  std::chrono::milliseconds patience{60'000};  // how long the server may be away
  std::chrono::milliseconds silence{45'000};   // three heartbeats missed: the connection is dead
};

class EventFollower {
 public:
  struct Step {
    std::vector<std::string> events;  // JSON, one each
    std::vector<int> ready;           // watched descriptors that can be read
    bool ended = false;               // the run's last event has been passed on, now or before
    absl::Status failure;             // following is over and why: unreachable for too long, no such run, ...
  };

  // Follows from the event behind `after`. `api` and `clock` outlive it.
  EventFollower(Api& api, std::string run, std::uint64_t after, FollowPolicy policy, const Clock& clock);

  // Waits until there is something to say, `timeout` at most.
  Step Wait(std::chrono::milliseconds timeout, const std::vector<int>& watch);

  bool is_connected() const { return connected_; }  // false while the server is away
  std::uint64_t last_id() const { return last_id_; }

 private:
  using Moment = std::chrono::steady_clock::time_point;

  void Connect();
  void Disconnect(const absl::Status& why);
  void TakeBytes(const std::string& bytes, Step& step);
  void TakeFrame(const SseFrame& frame, Step& step);
  void TakeRefusal(Step& step);

  Api& api_;
  const std::string run_;
  const FollowPolicy policy_;
  const Clock& clock_;
  std::uint64_t last_id_;

  std::unique_ptr<HttpStream> stream_;  // null between connections
  SseParser parser_;
  std::string refusal_;  // the body of an answer that is no stream
  bool connected_ = true;
  absl::Status last_failure_;
  std::chrono::milliseconds delay_;
  std::optional<Moment> away_since_;
  Moment connect_at_;
  Moment heard_at_;
};

}  // namespace fabro::cli
