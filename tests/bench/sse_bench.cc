// Many readers of one run's events through the whole gateway but gRPC: how late they are, what a delivery
// costs, and what a reader holds in memory. usage: sse_bench [READERS] [EVENTS_A_SECOND] [SECONDS]
#include <arpa/inet.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "core/async/runtime.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "gateway/auth/authenticator.h"
#include "gateway/http/listener.h"
#include "gateway/route/route_table.h"
#include "gateway/transcode/feed.h"
#include "gateway/transcode/transcoder.h"
#include "proto/api.h"
#include "tests/gateway/transcode/scripted_log.h"

namespace {

using fabro::StrCat;
using Clock = std::chrono::steady_clock;
constexpr std::size_t kMaxEvents = 1'000'000;
constexpr std::size_t kEventPadding = 200;  // with the rest of the frame about 300 bytes

std::vector<std::atomic<std::int64_t>> committed_ns(kMaxEvents);

std::int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

double CpuSeconds(int who) {
  rusage usage{};
  getrusage(who, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// All readers on one thread. Everything is allocated before the server's memory is looked at.
class Readers {
 public:
  Readers(std::uint16_t port, std::size_t count)
      : port_(port), sockets_(count, -1), tails_(count), epoll_(epoll_create1(0)) {
    latencies_ms_.reserve(4'000'000);
  }
  ~Readers() {
    for (const int socket : sockets_) ::close(socket);
    ::close(epoll_);
  }

  void Connect() {
    static constexpr std::string_view kRequest = "GET /runs/r/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
      sockets_[i] = ::socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(port_);
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      FABRO_CHECK(::connect(sockets_[i], reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
      FABRO_CHECK(::send(sockets_[i], kRequest.data(), kRequest.size(), 0) ==
                  static_cast<ssize_t>(kRequest.size()));
      char head[2048];
      FABRO_CHECK(::recv(sockets_[i], head, sizeof head, 0) > 0);  // the answer's head: the stream is open
      ::fcntl(sockets_[i], F_SETFL, O_NONBLOCK);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = i;
      epoll_ctl(epoll_, EPOLL_CTL_ADD, sockets_[i], &event);
    }
  }

  // Until every reader has `events` more.
  void Drain(std::size_t events) {
    const std::size_t wanted = seen_ + events * sockets_.size();
    std::vector<epoll_event> ready(256);
    while (seen_ < wanted) {
      const int count = epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), 30'000);
      FABRO_CHECK(count > 0);
      for (int i = 0; i < count; ++i) Take(ready[static_cast<std::size_t>(i)].data.u64);
    }
  }

  double Percentile(double part) {
    if (latencies_ms_.empty()) return 0;
    const auto at = latencies_ms_.begin() +
                    static_cast<std::ptrdiff_t>(part * static_cast<double>(latencies_ms_.size() - 1));
    std::nth_element(latencies_ms_.begin(), at, latencies_ms_.end());
    return *at;
  }
  std::size_t seen() const { return seen_; }
  void Forget() { latencies_ms_.clear(); }

 private:
  void Take(std::size_t reader) {
    thread_local std::vector<char> buffer(1 << 20);
    std::string& tail = tails_[reader];
    std::copy(tail.begin(), tail.end(), buffer.begin());
    const ssize_t size =
        ::recv(sockets_[reader], buffer.data() + tail.size(), buffer.size() - tail.size(), 0);
    FABRO_CHECK(size > 0);
    std::string_view text(buffer.data(), tail.size() + static_cast<std::size_t>(size));
    const std::int64_t now = NowNs();
    while (true) {
      const std::size_t at = text.find("id: ");
      const std::size_t end = at == std::string_view::npos ? at : text.find('\n', at);
      if (end == std::string_view::npos) break;
      const auto id = static_cast<std::size_t>(std::atoll(text.data() + at + 4));
      latencies_ms_.push_back(static_cast<float>(static_cast<double>(now - committed_ns[id].load()) / 1e6));
      ++seen_;
      text.remove_prefix(end);
    }
    tail.assign(text.substr(text.size() - std::min<std::size_t>(text.size(), 24)));  // "id: " and its number
  }

  const std::uint16_t port_;
  std::vector<int> sockets_;
  std::vector<std::string> tails_;
  const int epoll_;
  std::size_t seen_ = 0;
  std::vector<float> latencies_ms_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::size_t readers_count = argc > 1 ? static_cast<std::size_t>(std::atoi(argv[1])) : 1000;
  const std::size_t rate = argc > 2 ? static_cast<std::size_t>(std::atoi(argv[2])) : 100;
  const std::size_t seconds = argc > 3 ? static_cast<std::size_t>(std::atoi(argv[3])) : 5;
  rlimit files{100'000, 100'000};
  setrlimit(RLIMIT_NOFILE, &files);

  auto routes = fabro::route::RouteTable::Build(fabro::api::Services(),
                                                google::protobuf::MessageFactory::generated_factory());
  FABRO_CHECK(routes.ok());
  const auto authenticator = fabro::auth::MakeLoopbackAuthenticator({});
  fabro::testing::ScriptedLog log(kEventPadding);
  fabro::Runtime runtime(1);
  fabro::transcode::FeedHub feeds(runtime.executor(), log, fabro::SystemTime(),
                                  fabro::transcode::FeedLimits());
  fabro::transcode::Transcoder transcoder(**routes, *authenticator, log, feeds,
                                          fabro::transcode::TranscoderOptions());
  fabro::http::Listener listener(runtime, fabro::SystemTime(), fabro::http::ListenerOptions());
  FABRO_CHECK(listener.Bind().ok());
  listener.Start(transcoder);
  {
    Readers readers(listener.port(), readers_count);
    const std::size_t before = mallinfo2().uordblks;
    readers.Connect();
    const std::size_t after = mallinfo2().uordblks;
    std::printf("%zu readers: %.1f KiB of user memory each, %zu upstream streams\n", readers_count,
                static_cast<double>(after - before) / 1024 / static_cast<double>(readers_count),
                feeds.feeds());

    // At a steady rate, paced by absolute times.
    std::size_t id = 0;
    auto commit = [&] {
      committed_ns[++id].store(NowNs());
      log.Add();
    };
    std::size_t steady = rate * seconds;
    double client_cpu = 0;
    const double steady_cpu = CpuSeconds(RUSAGE_SELF);
    std::thread reading([&] {
      readers.Drain(steady);
      client_cpu = CpuSeconds(RUSAGE_THREAD);
    });
    const Clock::time_point begin = Clock::now();
    for (std::size_t i = 0; i < steady; ++i) {
      const auto due = begin + std::chrono::nanoseconds(1'000'000'000 / rate) * i;
      while (Clock::now() < due) {
        pollfd none{-1, 0, 0};
        ::poll(&none, 0, 1);
      }
      commit();
    }
    reading.join();
    std::printf("%zu events/s for %zu s: p50 %.2f ms, p99 %.2f ms, worst %.2f ms from commit to reader\n",
                rate, seconds, readers.Percentile(0.5), readers.Percentile(0.99), readers.Percentile(1));
    const double steady_spent = CpuSeconds(RUSAGE_SELF) - steady_cpu - client_cpu;
    std::printf("server: %.0f %% of a core, %.2f us a delivery; this client: %.0f %%\n",
                steady_spent / static_cast<double>(seconds) * 100,
                steady_spent * 1e6 / static_cast<double>(steady * readers_count),
                client_cpu / static_cast<double>(seconds) * 100);

    // As fast as they are taken.
    const std::size_t flood = std::max<std::size_t>(1, 2'000'000 / readers_count);
    readers.Forget();
    client_cpu = 0;
    const double cpu = CpuSeconds(RUSAGE_SELF);
    const Clock::time_point flooded = Clock::now();
    std::thread flooding([&] {
      readers.Drain(flood);
      client_cpu = CpuSeconds(RUSAGE_THREAD);
    });
    for (std::size_t i = 0; i < flood; ++i) commit();
    flooding.join();
    const double spent = CpuSeconds(RUSAGE_SELF) - cpu - client_cpu;
    const std::chrono::duration<double> wall = Clock::now() - flooded;
    const double deliveries = static_cast<double>(flood * readers_count);
    std::printf(
        "flood: %.0f deliveries/s of wall time, %.0f a second and core of the server (%.2f us each)\n",
        deliveries / wall.count(), deliveries / spent, spent / deliveries * 1e6);
  }
  log.Finish();
  feeds.Drain();
  listener.Stop(std::chrono::seconds(5));
  feeds.Stop();
  return 0;
}
