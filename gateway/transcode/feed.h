// Server-sent events for many readers from few upstream streams. Readers of one stream share a feed: a
// bounded window of frames, encoded once, that is filled from one upstream call as fast as its fastest reader
// takes them. A reader that falls out of the window goes on in a feed of its own, from where it is; one that
// has caught up with another feed moves there. Each reader sees every frame once, in order, whatever its
// speed.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/async/executor.h"
#include "core/async/sleep.h"
#include "core/async/task.h"
#include "gateway/http/message.h"
#include "gateway/upstream/upstream.h"

namespace google::protobuf {
class Message;
}
namespace fabro::route {
struct Route;
}

namespace fabro::transcode {

struct FeedLimits {
  std::size_t max_frames = 256;        // of a window that slow readers hold up
  std::size_t max_bytes = 256 * 1024;  // likewise
  std::size_t kept_frames = 32;        // of a window that nobody holds up, for those who come a moment later
  std::size_t kept_bytes = 32 * 1024;  // likewise
  std::size_t ahead_frames = 16;       // fetched before the fastest reader asks
  std::size_t gather_bytes = 32 * 1024;         // handed to a reader at once
  std::chrono::milliseconds heartbeat{15'000};  // a comment to a reader that got nothing for so long
  std::chrono::milliseconds tick{1'000};        // heartbeats fall due that much late
};

namespace internal {
struct Group;   // feed.cc
struct Reader;  // feed.cc
}  // namespace internal

// One client's place in a stream. Used by one coroutine; destroying it leaves the feed.
class FeedReader {
 public:
  FeedReader(std::shared_ptr<internal::Group> group, std::shared_ptr<internal::Reader> reader);
  ~FeedReader();
  FeedReader(const FeedReader&) = delete;
  FeedReader& operator=(const FeedReader&) = delete;

  enum class State : std::uint8_t {
    kFrames,  // `out` got some
    kWait,    // nothing now: await Wait, then ask again
    kEnd,     // all was read, and the stream has ended well
  };
  // Appends what is there for this reader, a heartbeat when one is due. The error of a stream that broke
  // comes after its last frame.
  absl::StatusOr<State> Poll(std::vector<http::Piece>& out);

  // Until there may be more. Cancelled with the coroutine.
  Task<absl::Status> Wait();

 private:
  const std::shared_ptr<internal::Group> group_;
  const std::shared_ptr<internal::Reader> reader_;
};

// Thread-safe. Outlives its readers; Stop() before it goes.
class FeedHub {
 public:
  FeedHub(Executor executor, upstream::Upstream& upstream, TimeSource& time, FeedLimits limits);
  ~FeedHub();
  FeedHub(const FeedHub&) = delete;
  FeedHub& operator=(const FeedHub&) = delete;

  // Completes when the stream is known to be open, or with the status that it was refused with. The route
  // lives as long as the hub.
  Task<absl::StatusOr<std::shared_ptr<FeedReader>>> Open(const route::Route& route,
                                                         const google::protobuf::Message& request,
                                                         upstream::CallOptions options);

  // Readers get what is there, then their end.
  void Drain();
  // Ends every upstream stream; blocks until they have ended. Not from a coroutine.
  void Stop();

  // Upstream streams at the moment.
  std::size_t feeds() const;

  struct Impl;  // feed.cc

 private:
  const std::shared_ptr<Impl> impl_;
};

}  // namespace fabro::transcode
