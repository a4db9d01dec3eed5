#include "cli/event_follower.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::cli {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxRefusalBytes = 64 << 10;

// Waits for descriptors alone, while there is no connection.
std::vector<int> PollFor(milliseconds timeout, const std::vector<int>& watch) {
  std::vector<pollfd> descriptors;
  for (const int fd : watch) descriptors.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  ::poll(descriptors.data(), descriptors.size(),
         static_cast<int>(std::max<std::int64_t>(timeout.count(), 0)));
  std::vector<int> ready;
  for (const pollfd& descriptor : descriptors) {
    if (descriptor.revents != 0) ready.push_back(descriptor.fd);
  }
  return ready;
}

bool IsPassing(long status) { return status == 429 || status == 502 || status == 503 || status == 504; }

}  // namespace

EventFollower::EventFollower(Api& api, std::string run, std::uint64_t after, FollowPolicy policy,
                             const Clock& clock)
    : api_(api),
      run_(std::move(run)),
      policy_(policy),
      clock_(clock),
      last_id_(after),
      delay_(policy.first_delay),
      connect_at_(clock.Steady()),
      heard_at_(connect_at_) {}

EventFollower::Step EventFollower::Wait(milliseconds timeout, const std::vector<int>& watch) {
  Step step;
  const Moment now = clock_.Steady();
  if (stream_ == nullptr) {
    if (away_since_ && now - *away_since_ > policy_.patience) {
      step.failure = last_failure_;
      return step;
    }
    const auto left = std::chrono::duration_cast<milliseconds>(connect_at_ - now);
    if (left.count() > 0) {
      step.ready = PollFor(std::min(left + milliseconds(1), timeout), watch);
      return step;
    }
    Connect();
  }
  HttpStream::Step received = stream_->Wait(timeout, watch);
  step.ready = std::move(received.ready);
  const long status = stream_->status();
  if (status == 200) {
    if (!received.bytes.empty()) TakeBytes(received.bytes, step);
  } else if (refusal_.size() < kMaxRefusalBytes) {
    refusal_ += received.bytes;
  }
  if (stream_ == nullptr) return step;  // what arrived was no proper stream
  if (received.ended) {
    if (received.failure.ok() && status != 200) {
      TakeRefusal(step);
    } else {
      Disconnect(received.failure);
    }
  } else if (clock_.Steady() - heard_at_ > policy_.silence) {
    Disconnect(Unavailable(Reason::kUpstream, "", "the server has gone silent"));
  }
  return step;
}

void EventFollower::Connect() {
  stream_ = api_.http().Open(api_.EventStream(run_, last_id_));
  parser_ = SseParser();
  refusal_.clear();
  heard_at_ = clock_.Steady();
}

void EventFollower::Disconnect(const absl::Status& why) {
  const Moment now = clock_.Steady();
  stream_.reset();
  connected_ = false;
  // An end without a failure is a server that stops in good order: the run goes on when it is back.
  last_failure_ = why.ok() ? Unavailable(Reason::kUpstream, "", "the server closed the connection") : why;
  if (!away_since_) away_since_ = now;
  connect_at_ = now + delay_;
  delay_ = std::min(delay_ * 2, policy_.longest_delay);
}

void EventFollower::TakeBytes(const std::string& bytes, Step& step) {
  heard_at_ = clock_.Steady();
  connected_ = true;
  away_since_.reset();
  delay_ = policy_.first_delay;
  std::vector<SseFrame> frames;
  const absl::Status parsed = parser_.Feed(bytes, &frames);
  for (const SseFrame& frame : frames) {
    TakeFrame(frame, step);
    if (stream_ == nullptr) return;
  }
  if (!parsed.ok()) step.failure = parsed;
}

void EventFollower::TakeFrame(const SseFrame& frame, Step& step) {
  const std::optional<long long> id = frame.id ? ParseInt(*frame.id) : std::nullopt;
  if (!id || *id <= 0) {
    step.failure = Internal("the server sent an event without an id");
    return;
  }
  const auto number = static_cast<std::uint64_t>(*id);
  if (number <= last_id_) return;  // seen before
  if (number != last_id_ + 1) {
    Disconnect(
        Unavailable(Reason::kUpstream, "", StrCat("event ", last_id_ + 1, " is missing from the stream")));
    return;
  }
  last_id_ = number;
  step.events.push_back(frame.data);
}

void EventFollower::TakeRefusal(Step& step) {
  const long status = stream_->status();
  const absl::Status refusal = ErrorOfResponse(status, refusal_);
  if (status == 410) {
    step.ended = true;
  } else if (IsPassing(status)) {
    Disconnect(refusal);
    return;
  } else {
    step.failure = refusal;
  }
  stream_.reset();
}

}  // namespace fabro::cli
