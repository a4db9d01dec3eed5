#include "gateway/transcode/feed.h"

#include <google/protobuf/message.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <limits>
#include <unordered_map>
#include <utility>

#include "core/async/task_scope.h"
#include "core/async/waiter.h"
#include "core/base/error.h"
#include "core/base/mutex.h"
#include "core/base/strings.h"
#include "gateway/json/decode.h"
#include "gateway/json/encode.h"
#include "gateway/route/route_table.h"

namespace fabro::transcode {

using google::protobuf::Message;
using Id = std::int64_t;  // of a frame, as the client names it

namespace internal {

struct Feed {
  struct Frame {
    Id id;
    http::Piece text;
  };

  std::uint64_t number = 0;  // older feeds have lower ones
  bool from_start = false;   // opened without a cursor
  std::deque<Frame> frames;
  std::size_t bytes = 0;
  std::uint64_t first_index = 0;  // of the window's first frame, counted from the feed's first
  // Every frame with low < id <= head is in the window. Unknown before the first frame of a feed without a
  // cursor.
  std::optional<Id> low;
  std::optional<Id> head;
  std::uint64_t furthest = 0;  // the index that the fastest reader wants next
  bool opened = false;         // the core accepted or refused it
  bool ended = false;          // nothing more comes
  absl::Status status;         // why it ended
  std::vector<Reader*> readers;
  std::shared_ptr<Waiter> idle_pump;  // set while the pump waits to be wanted
  TaskHandle pump;

  std::uint64_t end_index() const { return first_index + frames.size(); }
  bool Covers(Id cursor) const { return low && *low <= cursor && cursor <= *head; }
  std::uint64_t IndexAfter(Id cursor) const {
    const auto next = std::ranges::upper_bound(frames, cursor, {}, &Frame::id);
    return first_index + static_cast<std::uint64_t>(next - frames.begin());
  }
};

struct Reader {
  std::shared_ptr<Feed> feed;
  std::uint64_t index = 0;          // of the frame it wants next
  std::optional<Id> cursor;         // of the last frame it has, once known
  std::shared_ptr<Waiter> waiter;   // set while it waits
  std::shared_ptr<Waiter> awaited;  // the same, for the reader's own coroutine only
  std::int64_t served_ms = 0;
  bool ping_due = false;
};

using Waiters = std::vector<std::shared_ptr<Waiter>>;

// All readers and feeds of one stream. Its mutex guards everything in it, feeds and readers included.
struct Group {
  Group(FeedHub::Impl& h, const route::Route& r, const Message& q, upstream::CallOptions o)
      : hub(h), route(r), request(q.New()), options(std::move(o)) {
    request->CopyFrom(q);
  }

  FeedHub::Impl& hub;
  const route::Route& route;
  const std::unique_ptr<Message> request;
  const upstream::CallOptions options;
  std::string key;

  Mutex mutex;
  std::vector<std::shared_ptr<Feed>> feeds GUARDED_BY(mutex);  // those that go on
  std::size_t readers GUARDED_BY(mutex) = 0;
  std::uint64_t next_number GUARDED_BY(mutex) = 0;
};

}  // namespace internal

using internal::Feed;
using internal::Group;
using internal::Reader;
using internal::Waiters;

namespace {

const http::Piece& Ping() {
  static const http::Piece kPing = std::make_shared<const std::string>(": ping\n\n");
  return kPing;
}

// Never under a lock: each wakes a coroutine.
void WakeAll(const Waiters& waiters) {
  for (const auto& waiter : waiters) waiter->Complete(absl::OkStatus());
}

void TakeWaiters(Feed& feed, Waiters& out) {
  for (Reader* reader : feed.readers) {
    if (reader->waiter) out.push_back(std::exchange(reader->waiter, nullptr));
  }
}

// The message that holds the last field of the path.
Message* Holder(const route::FieldPath& path, Message* message) {
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    message = message->GetReflection()->MutableMessage(message, path[i]->field);
  }
  return message;
}

std::optional<Id> CursorOf(const route::Route& route, const Message& request) {
  if (!route.sse_cursor) return std::nullopt;
  const std::unique_ptr<Message> copy(request.New());
  copy->CopyFrom(request);
  std::string text;
  json::AppendText(route.sse_cursor->leaf(), *Holder(route.sse_cursor->field, copy.get()), text);
  return ParseInt(text);
}

std::unique_ptr<Message> WithCursor(const route::Route& route, const Message& request,
                                    std::optional<Id> cursor) {
  std::unique_ptr<Message> copy(request.New());
  copy->CopyFrom(request);
  if (!route.sse_cursor) return copy;
  Message* holder = Holder(route.sse_cursor->field, copy.get());
  holder->GetReflection()->ClearField(holder, route.sse_cursor->leaf().field);
  if (!cursor) return copy;
  json::Faults faults;  // a number fits a number
  json::DecodeText(route.sse_cursor->leaf(), std::to_string(*cursor), route.sse_cursor->name, holder, faults);
  return copy;
}

Feed::Frame MakeFrame(const route::Route& route, const Message& message, Id previous) {
  std::string id;
  if (route.sse_id != nullptr) json::AppendText(*route.sse_id, message, id);
  std::string data;
  std::string_view name;
  if (route.sse_named) {
    name = json::EncodeMember(*route.output, message, data);
  } else {
    json::Encode(*route.output, message, data);
  }
  std::string text;
  text.reserve(data.size() + name.size() + id.size() + 24);
  if (!name.empty()) text += StrCat("event: ", name, "\n");
  if (!id.empty()) text += StrCat("id: ", id, "\n");
  text += "data: ";
  text += data;
  text += "\n\n";
  Feed::Frame frame;
  frame.id = ParseInt(id).value_or(previous + 1);
  frame.text = std::make_shared<const std::string>(std::move(text));
  return frame;
}

}  // namespace

struct FeedHub::Impl {
  Impl(Executor executor, upstream::Upstream& u, TimeSource& t, FeedLimits l)
      : upstream(u), time(t), limits(l), scope(executor), ticking(executor) {
    ReadClock();
  }

  upstream::Upstream& upstream;
  TimeSource& time;
  const FeedLimits limits;
  std::atomic<std::int64_t> now_ms{0};
  std::atomic<bool> draining{false};
  std::atomic<std::size_t> feeds{0};
  TaskScope scope;
  TaskScope ticking;
  Mutex mutex;  // before a group's
  std::unordered_map<std::string, std::shared_ptr<Group>> groups GUARDED_BY(mutex);
  std::uint64_t unshared GUARDED_BY(mutex) = 0;

  void ReadClock() {
    now_ms.store(
        std::chrono::duration_cast<std::chrono::milliseconds>(time.Steady().time_since_epoch()).count());
  }

  // --- with the group locked ---

  void Join(Feed& feed, Reader& reader, std::uint64_t index) {
    reader.index = index;
    feed.readers.push_back(&reader);
  }

  void Leave(Group& group, Reader& reader) REQUIRES(group.mutex) {
    const std::shared_ptr<Feed> feed = std::exchange(reader.feed, nullptr);
    std::erase(feed->readers, &reader);
    if (!feed->readers.empty() || feed->ended) return;
    std::erase(group.feeds, feed);
    feed->pump.Cancel();
  }

  std::shared_ptr<Feed> FindFeed(Group& group, std::optional<Id> cursor, const Feed* older_than)
      REQUIRES(group.mutex) {
    for (const auto& feed : group.feeds) {
      if (older_than != nullptr && (feed->number >= older_than->number || !feed->opened)) continue;
      const bool fits = cursor ? feed->Covers(*cursor)
                               : group.route.sse_from_start && feed->from_start && feed->first_index == 0;
      if (fits) return feed;
    }
    return nullptr;
  }

  void StartFeed(const std::shared_ptr<Group>& group, Reader& reader) REQUIRES(group->mutex) {
    auto feed = std::make_shared<Feed>();
    feed->number = group->next_number++;
    feed->from_start = !reader.cursor.has_value();
    feed->low = reader.cursor;
    feed->head = reader.cursor;
    reader.feed = feed;
    Join(*feed, reader, 0);
    group->feeds.push_back(feed);
    feed->pump =
        scope.Spawn("sse feed", Pump(group, feed, WithCursor(group->route, *group->request, reader.cursor)));
  }

  // To a feed that has what the reader wants next, or to a new one.
  void Attach(const std::shared_ptr<Group>& group, Reader& reader) REQUIRES(group->mutex) {
    reader.feed = FindFeed(*group, reader.cursor, nullptr);
    if (reader.feed) {
      Join(*reader.feed, reader, reader.cursor ? reader.feed->IndexAfter(*reader.cursor) : 0);
      if (!reader.cursor) reader.cursor = reader.feed->low;
    } else {
      StartFeed(group, reader);
    }
  }

  // Whether the feed should fetch a message more.
  bool IsWanted(const Feed& feed) const {
    const std::uint64_t ahead = feed.end_index() - std::min(feed.furthest, feed.end_index());
    if (ahead == 0) return true;
    if (ahead >= limits.ahead_frames) return false;
    std::size_t bytes = 0;
    for (std::size_t i = feed.frames.size() - ahead; i < feed.frames.size(); ++i)
      bytes += feed.frames[i].text->size();
    return bytes < limits.kept_bytes;
  }

  void Evict(Feed& feed) const {
    auto drop = [&feed] {
      feed.low = feed.frames.front().id;
      feed.bytes -= feed.frames.front().text->size();
      feed.frames.pop_front();
      ++feed.first_index;
    };
    // The fastest reader always finds its next frame here; slower ones are left behind.
    auto is_over = [&feed](std::size_t frames, std::size_t bytes) {
      return feed.frames.size() > frames || feed.bytes > bytes;
    };
    while (is_over(limits.max_frames, limits.max_bytes) && feed.first_index < feed.furthest) drop();
    if (!is_over(limits.kept_frames, limits.kept_bytes)) return;
    std::uint64_t slowest = std::numeric_limits<std::uint64_t>::max();
    for (const Reader* reader : feed.readers) slowest = std::min(slowest, reader->index);
    while (is_over(limits.kept_frames, limits.kept_bytes) &&
           feed.first_index < std::min(slowest, feed.furthest)) {
      drop();
    }
  }

  void End(Group& group, const std::shared_ptr<Feed>& feed, absl::Status status, Waiters& out)
      REQUIRES(group.mutex) {
    feed->opened = true;
    feed->ended = true;
    feed->status = std::move(status);
    std::erase(group.feeds, feed);
    TakeWaiters(*feed, out);
  }

  // --- the coroutine of a feed ---

  Task<void> Pump(std::shared_ptr<Group> group, std::shared_ptr<Feed> feed,
                  std::unique_ptr<Message> request) {
    ++feeds;
    const absl::Status status = co_await Fill(*group, *feed, *request);
    Waiters woken;
    {
      MutexLock lock(&group->mutex);
      End(*group, feed, status, woken);
    }
    WakeAll(woken);
    --feeds;
  }

  Task<absl::Status> Fill(Group& group, Feed& feed, const Message& request) {
    const route::Route& route = group.route;
    auto stream =
        co_await upstream.OpenStream(route.grpc_path, request, *route.output->prototype, group.options);
    if (!stream.ok()) co_return stream.status();
    {
      Waiters woken;
      {
        MutexLock lock(&group.mutex);
        feed.opened = true;
        TakeWaiters(feed, woken);
      }
      WakeAll(woken);
    }
    const std::unique_ptr<Message> message(route.output->prototype->New());
    while (true) {
      std::shared_ptr<Waiter> idle;
      {
        MutexLock lock(&group.mutex);
        if (feed.readers.empty()) co_return Cancelled("nobody reads");
        if (!IsWanted(feed)) idle = feed.idle_pump = std::make_shared<Waiter>();
      }
      if (idle) {
        absl::Status waited = co_await idle->Wait();
        if (!waited.ok()) co_return waited;
        continue;
      }
      const absl::StatusOr<bool> more = co_await (*stream)->Next(message.get());
      if (!more.ok()) co_return more.status();
      if (!*more) co_return absl::OkStatus();
      Append(group, feed, *message);
    }
  }

  void Append(Group& group, Feed& feed, const Message& message) {
    Feed::Frame frame =
        MakeFrame(group.route, message, feed.head.value_or(0));  // head: only this coroutine moves it
    Waiters woken;
    {
      MutexLock lock(&group.mutex);
      if (!feed.low) {
        feed.low = frame.id - 1;
        for (Reader* reader : feed.readers) reader->cursor = feed.low;
      }
      feed.head = frame.id;
      feed.bytes += frame.text->size();
      feed.frames.push_back(std::move(frame));
      Evict(feed);
      TakeWaiters(feed, woken);
    }
    WakeAll(woken);
  }

  // --- heartbeats ---

  std::vector<std::shared_ptr<Group>> Groups() {
    MutexLock lock(&mutex);
    std::vector<std::shared_ptr<Group>> all;
    all.reserve(groups.size());
    for (const auto& [key, group] : groups) all.push_back(group);
    return all;
  }

  Task<void> Tick() {
    while (true) {
      const absl::Status slept = co_await time.Sleep(limits.tick);
      if (!slept.ok()) co_return;
      ReadClock();
      const std::int64_t due = now_ms.load() - limits.heartbeat.count();
      Waiters woken;
      for (const auto& group : Groups()) {
        MutexLock lock(&group->mutex);
        for (const auto& feed : group->feeds) {
          for (Reader* reader : feed->readers) {
            if (!reader->waiter || reader->served_ms > due) continue;
            reader->ping_due = true;
            woken.push_back(std::exchange(reader->waiter, nullptr));
          }
        }
      }
      WakeAll(woken);
    }
  }

  void Drop(const std::shared_ptr<Group>& group, Reader& reader) {
    MutexLock hub_lock(&mutex);
    MutexLock lock(&group->mutex);
    if (reader.feed) Leave(*group, reader);
    if (--group->readers == 0) groups.erase(group->key);
  }
};

FeedReader::FeedReader(std::shared_ptr<internal::Group> group, std::shared_ptr<internal::Reader> reader)
    : group_(std::move(group)), reader_(std::move(reader)) {}

FeedReader::~FeedReader() { group_->hub.Drop(group_, *reader_); }

absl::StatusOr<FeedReader::State> FeedReader::Poll(std::vector<http::Piece>& out) {
  FeedHub::Impl& hub = group_->hub;
  Reader& reader = *reader_;
  std::shared_ptr<Waiter> pump;  // woken after the lock
  State state = State::kWait;
  {
    MutexLock lock(&group_->mutex);
    reader.waiter = nullptr;
    while (true) {
      Feed& feed = *reader.feed;
      if (reader.index < feed.first_index) {  // fell out of the window
        hub.Leave(*group_, reader);
        hub.Attach(group_, reader);
        continue;
      }
      if (reader.index < feed.end_index()) {
        std::size_t bytes = 0;
        while (reader.index < feed.end_index() && bytes < hub.limits.gather_bytes) {
          const Feed::Frame& frame = feed.frames[reader.index - feed.first_index];
          bytes += frame.text->size();
          out.push_back(frame.text);
          reader.cursor = frame.id;
          ++reader.index;
        }
        feed.furthest = std::max(feed.furthest, reader.index);
        if (feed.idle_pump && hub.IsWanted(feed)) pump = std::exchange(feed.idle_pump, nullptr);
        state = State::kFrames;
        break;
      }
      if (feed.ended) {
        if (!feed.status.ok()) return feed.status;
        return State::kEnd;
      }
      if (reader.cursor) {
        if (std::shared_ptr<Feed> older = hub.FindFeed(*group_, reader.cursor, &feed)) {
          hub.Leave(*group_, reader);
          reader.feed = std::move(older);
          hub.Join(*reader.feed, reader, reader.feed->IndexAfter(*reader.cursor));
          continue;
        }
      }
      if (hub.draining.load()) return State::kEnd;
      if (std::exchange(reader.ping_due, false)) {
        out.push_back(Ping());
        state = State::kFrames;
        break;
      }
      reader.awaited = reader.waiter = std::make_shared<Waiter>();
      return State::kWait;
    }
    reader.served_ms = hub.now_ms.load(std::memory_order_relaxed);
  }
  if (pump) pump->Complete(absl::OkStatus());
  return state;
}

Task<absl::Status> FeedReader::Wait() {
  const std::shared_ptr<Waiter> waiter = reader_->awaited;
  co_return co_await waiter->Wait();
}

FeedHub::FeedHub(Executor executor, upstream::Upstream& upstream, TimeSource& time, FeedLimits limits)
    : impl_(std::make_shared<Impl>(std::move(executor), upstream, time, limits)) {
  impl_->ticking.Spawn("sse heartbeats", impl_->Tick());
}

FeedHub::~FeedHub() = default;

Task<absl::StatusOr<std::shared_ptr<FeedReader>>> FeedHub::Open(const route::Route& route,
                                                                const Message& request,
                                                                upstream::CallOptions options) {
  const std::shared_ptr<Impl> hub = impl_;
  const auto reader = std::make_shared<Reader>();
  std::shared_ptr<Group> group;
  reader->cursor = CursorOf(route, request);
  reader->served_ms = hub->now_ms.load();
  const bool is_shared = route.sse_cursor && route.sse_id != nullptr;
  {
    MutexLock hub_lock(&hub->mutex);
    std::string key;
    if (is_shared) {
      key = StrCat(route.grpc_path, "\n", options.principal, "\n",
                   WithCursor(route, request, std::nullopt)->SerializeAsString());
    } else {
      key = StrCat("#", hub->unshared++);
    }
    std::shared_ptr<Group>& known = hub->groups[key];
    if (!known) {
      known = std::make_shared<Group>(*hub, route, request, std::move(options));
      known->key = std::move(key);
    }
    group = known;
    MutexLock lock(&group->mutex);
    ++group->readers;
    hub->Attach(group, *reader);
  }
  auto place = std::make_shared<FeedReader>(group, reader);
  while (true) {
    std::shared_ptr<Waiter> waiter;
    {
      MutexLock lock(&group->mutex);
      const Feed& feed = *reader->feed;
      if (feed.opened) {
        if (feed.ended && !feed.status.ok() && feed.frames.empty() && feed.first_index == 0)
          co_return feed.status;
        co_return place;
      }
      waiter = reader->waiter = std::make_shared<Waiter>();
    }
    absl::Status waited = co_await waiter->Wait();
    if (!waited.ok()) co_return waited;
  }
}

void FeedHub::Drain() {
  impl_->draining.store(true);
  Waiters woken;
  for (const auto& group : impl_->Groups()) {
    MutexLock lock(&group->mutex);
    for (const auto& feed : group->feeds) TakeWaiters(*feed, woken);
  }
  WakeAll(woken);
}

void FeedHub::Stop() {
  Drain();
  impl_->ticking.Cancel();
  impl_->ticking.JoinBlocking();
  impl_->scope.Cancel();
  impl_->scope.JoinBlocking();
}

std::size_t FeedHub::feeds() const { return impl_->feeds.load(); }

}  // namespace fabro::transcode
