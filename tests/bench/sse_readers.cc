// Many readers of one run's stream on one thread: how long after an event's own time stamp each of them has
// it.
//
//   sse_readers PORT RUN_ID READERS [SECONDS]
//
// Prints "connected" once all are, counts what is written from then on, ends after SECONDS or with the
// stream, and prints one line of JSON.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Reader {
  int fd = -1;
  bool answered = false;
  long last_id = 0;
  std::string rest;
};

long long NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// "ts":"2026-11-24T03:16:20.817Z" somewhere in the frame.
long long TimeStampMs(std::string_view frame) {
  const std::size_t at = frame.find("\"ts\":\"");
  if (at == std::string_view::npos || frame.size() < at + 30) return 0;
  const char* text = frame.data() + at + 6;
  // The day does not change often enough to be worth parsing twice.
  static std::string day;
  static long long day_ms = 0;
  if (day != std::string_view(text, 10)) {
    day.assign(text, 10);
    tm date{};
    if (strptime(day.c_str(), "%Y-%m-%d", &date) == nullptr) return 0;
    day_ms = static_cast<long long>(timegm(&date)) * 1000;
  }
  auto two = [](const char* p) { return (p[0] - '0') * 10 + (p[1] - '0'); };
  const int ms = two(text + 20) * 10 + (text[22] - '0');
  return day_ms + ((two(text + 11) * 60LL + two(text + 14)) * 60 + two(text + 17)) * 1000 + ms;
}

int Connect(int port, const std::string& run) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<unsigned short>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return -1;
  const std::string request =
      "GET /runs/" + run + "/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
  return write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size()) ? fd : -1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return std::puts("usage: sse_readers PORT RUN_ID READERS [SECONDS]"), 2;
  rlimit files{65536, 65536};
  setrlimit(RLIMIT_NOFILE, &files);
  std::vector<Reader> readers(static_cast<std::size_t>(std::atoi(argv[3])));
  const int poll = epoll_create1(0);
  for (std::size_t n = 0; n < readers.size(); ++n) {
    readers[n].fd = Connect(std::atoi(argv[1]), argv[2]);
    if (readers[n].fd < 0) return std::perror("connect"), 1;
    epoll_event event{EPOLLIN, {.u64 = n}};
    epoll_ctl(poll, EPOLL_CTL_ADD, readers[n].fd, &event);
  }
  std::size_t open = readers.size(), answered = 0;
  std::vector<int> delays;
  delays.reserve(4 << 20);
  bool counting = false;
  long gaps = 0;
  long long begun = 0;
  const double seconds = argc > 4 ? std::atof(argv[4]) : 1e9;
  std::vector<char> buffer(256 << 10);
  while (open > 0 && (!counting || static_cast<double>(NowMs() - begun) < seconds * 1000)) {
    epoll_event events[256];
    const int count = epoll_wait(poll, events, 256, 100);
    for (int n = 0; n < count; ++n) {
      Reader& reader = readers[events[n].data.u64];
      const ssize_t size = read(reader.fd, buffer.data(), buffer.size());
      if (size <= 0) {
        close(reader.fd);
        --open;
        continue;
      }
      const long long now = NowMs();
      reader.rest.append(buffer.data(), static_cast<std::size_t>(size));
      if (!reader.answered) {
        reader.answered = true;
        if (!reader.rest.starts_with("HTTP/1.1 200")) return std::puts(reader.rest.c_str()), 1;
        if (++answered == readers.size()) {
          std::puts("connected");
          std::fflush(stdout);
          counting = true;
          begun = NowMs();
        }
      }
      std::size_t from = 0;
      while (true) {
        const std::size_t at = reader.rest.find("id: ", from);
        const std::size_t end = at == std::string::npos ? at : reader.rest.find("\n\n", at);
        if (end == std::string::npos) break;
        const std::string_view frame(reader.rest.data() + at, end - at);
        const long id = std::strtol(frame.data() + 4, nullptr, 10);
        if (id != reader.last_id + 1) ++gaps;
        reader.last_id = id;
        // What is older was not late but asked for late: the reader catches up.
        const long long written = TimeStampMs(frame);
        if (counting && written >= begun) delays.push_back(static_cast<int>(now - written));
        from = end + 2;
      }
      reader.rest.erase(0, from);
    }
  }
  const double took = static_cast<double>(NowMs() - begun) / 1000;
  if (delays.empty()) return std::puts("no frames"), 1;
  std::sort(delays.begin(), delays.end());
  std::printf(
      "{\"seconds\": %.2f, \"frames\": %zu, \"gaps\": %ld, \"p50_ms\": %d, \"p99_ms\": %d, \"max_ms\": %d}\n",
      took, delays.size(), gaps, delays[delays.size() / 2], delays[delays.size() * 99 / 100], delays.back());
}
