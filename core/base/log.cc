#include "core/base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

#include "core/base/error.h"
#include "core/base/mutex.h"
#include "core/base/strings.h"

namespace fabro {
namespace {

constexpr std::array<std::string_view, 5> kLevelNames = {"debug", "info", "warn", "error", "off"};
constexpr std::array<std::string_view, 3> kFormatNames = {"auto", "text", "json"};

}  // namespace

std::string_view ToString(LogLevel level) { return kLevelNames[static_cast<std::size_t>(level)]; }

std::optional<LogLevel> ParseLogLevel(std::string_view text) {
  if (EqualsIgnoreCase(text, "warning")) return LogLevel::kWarn;
  for (std::size_t i = 0; i < kLevelNames.size(); ++i) {
    if (EqualsIgnoreCase(text, kLevelNames[i])) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

std::string_view ToString(LogFormat format) { return kFormatNames[static_cast<std::size_t>(format)]; }

std::optional<LogFormat> ParseLogFormat(std::string_view text) {
  for (std::size_t i = 0; i < kFormatNames.size(); ++i) {
    if (EqualsIgnoreCase(text, kFormatNames[i])) return static_cast<LogFormat>(i);
  }
  return std::nullopt;
}

namespace log {

// Turns values into text; a friend of Value.
struct Renderer {
  static std::string Number(double value) {
    if (!std::isfinite(value)) return "null";
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value);
    return text;
  }

  // The value's text, and whether it is text (and so wants quotes).
  static std::pair<std::string, bool> Text(const Value& value) {
    struct Visitor {
      std::pair<std::string, bool> operator()(std::string_view v) const {
        return {std::string(TruncateUtf8(v, kMaxTextCharacters)), true};
      }
      std::pair<std::string, bool> operator()(bool v) const { return {v ? "true" : "false", false}; }
      std::pair<std::string, bool> operator()(std::int64_t v) const { return {std::to_string(v), false}; }
      std::pair<std::string, bool> operator()(std::uint64_t v) const { return {std::to_string(v), false}; }
      std::pair<std::string, bool> operator()(double v) const { return {Number(v), false}; }
      std::pair<std::string, bool> operator()(std::chrono::milliseconds v) const {
        return {std::to_string(v.count()), false};
      }
      std::pair<std::string, bool> operator()(const RunId* v) const { return {v->ToString(), true}; }
      std::pair<std::string, bool> operator()(const absl::Status* v) const {
        return {std::string(TruncateUtf8(Describe(*v), kMaxTextCharacters)), true};
      }
    };
    return std::visit(Visitor(), value.value_);
  }
};

namespace {

// Text output stays one line and readable: quotes only where blanks or odd bytes need them.
void AppendBareOrQuoted(std::string& out, const std::string& text) {
  bool plain = !text.empty();
  for (const char c : text) plain = plain && c > ' ' && c != '"' && c != '=' && c != '\\' && c != 0x7f;
  if (plain) {
    out += text;
  } else {
    AppendJsonString(out, text);
  }
}

// A message is printed as it is, but a control character in it must not steer the terminal or start a line.
void AppendOneLine(std::string& out, std::string_view text) {
  for (const char c : ToValidUtf8(text)) {
    const bool control = (static_cast<unsigned char>(c) < 0x20) || c == 0x7f;
    out += control ? ' ' : c;
  }
}

std::string_view Colour(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "\x1b[2m";
    case LogLevel::kWarn:
      return "\x1b[33m";
    case LogLevel::kError:
      return "\x1b[31m";
    default:
      return "\x1b[32m";
  }
}

// Writes everything or gives up on an error that will not pass. A non-blocking descriptor (a terminal shared
// with a shell may be one) is waited for, a second at most, since nothing but the log's own thread is held
// up.
void WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n > 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
    } else if (n < 0 && errno == EAGAIN) {
      pollfd writable{.fd = fd, .events = POLLOUT, .revents = 0};
      if (::poll(&writable, 1, 1000) <= 0) return;
    } else if (n < 0 && errno != EINTR) {
      return;  // there is no better place to report it to
    }
  }
}

class FdSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FdSink(int fd) : fd_(fd) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    line_.assign(message.payload.data(), message.payload.size());
    WriteAll(fd_, line_);
  }
  void flush_() override {}

  const int fd_;
  std::string line_;
};

// One Start(): the format decided, the queue and its thread. Destruction writes what waits.
class Backend {
 public:
  explicit Backend(Options options) : options_(std::move(options)) {
    const bool terminal = ::isatty(options_.fd) == 1;
    json_ = options_.format == LogFormat::kJson || (options_.format == LogFormat::kAuto && !terminal);
    const char* no_colour = std::getenv("NO_COLOR");
    coloured_ = terminal && (no_colour == nullptr || *no_colour == '\0');
  }

  void StartThread() {
    pool_ = std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1);
    logger_ = std::make_shared<spdlog::async_logger>("fabro", std::make_shared<FdSink>(options_.fd), pool_,
                                                     spdlog::async_overflow_policy::overrun_oldest);
    logger_->set_level(spdlog::level::trace);
  }

  void Write(LogLevel level, std::string_view message, Fields fields) {
    if (logger_ != nullptr) ReportDropped();
    Put(Render(level, message, fields));
  }

 private:
  std::string Render(LogLevel level, std::string_view message, Fields fields) const {
    const Timestamp now = options_.clock->Now();
    std::string line =
        json_ ? RenderJson(now, level, message, fields) : RenderText(now, level, message, fields, coloured_);
    if (options_.redact) line = options_.redact(line);
    line += '\n';
    return line;
  }

  void Put(const std::string& line) {
    if (logger_ == nullptr) {
      WriteAll(options_.fd, line);
    } else {
      logger_->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
    }
  }

  void ReportDropped() {
    const std::size_t dropped = pool_->overrun_counter();
    const std::size_t before = reported_.exchange(dropped);
    if (dropped > before) {
      Put(Render(LogLevel::kWarn, "log lines dropped: the reader of the log is too slow",
                 {{"lines", dropped - before}}));
    }
  }

  const Options options_;
  bool json_ = false;
  bool coloured_ = false;
  std::atomic<std::size_t> reported_ = 0;
  std::shared_ptr<spdlog::details::thread_pool> pool_;  // shared because spdlog asks for it
  std::shared_ptr<spdlog::async_logger> logger_;        // before pool_ in destruction: it feeds the pool
};

std::shared_ptr<Backend> DirectBackend() {
  Options options;
  options.format = LogFormat::kText;
  return std::make_shared<Backend>(std::move(options));
}

struct Global {
  std::atomic<LogLevel> level = LogLevel::kInfo;
  Mutex mutex;
  // Shared: a thread in the middle of a line keeps the backend that Stop() replaces.
  std::shared_ptr<Backend> backend GUARDED_BY(mutex) = DirectBackend();

  std::shared_ptr<Backend> Get() {
    MutexLock lock(&mutex);
    return backend;
  }
  std::shared_ptr<Backend> Swap(std::shared_ptr<Backend> next) {
    MutexLock lock(&mutex);
    std::swap(backend, next);
    return next;
  }
};

Global& TheLog() {
  static Global& global = *new Global;  // never destroyed: objects that go away after main may still log
  return global;
}

}  // namespace

void Write(LogLevel level, std::string_view message, Fields fields) {
  if (!Enabled(level)) return;
  TheLog().Get()->Write(level, message, fields);
}

void Debug(std::string_view message, Fields fields) { Write(LogLevel::kDebug, message, fields); }
void Info(std::string_view message, Fields fields) { Write(LogLevel::kInfo, message, fields); }
void Warn(std::string_view message, Fields fields) { Write(LogLevel::kWarn, message, fields); }
void Error(std::string_view message, Fields fields) { Write(LogLevel::kError, message, fields); }

absl::Status Start(Options options) {
  SetLevel(options.level);
  auto backend = std::make_shared<Backend>(std::move(options));
  try {
    backend->StartThread();
  } catch (const std::exception& e) {
    return Internal(StrCat("starting the log: ", e.what()));
  }
  TheLog().Swap(std::move(backend));  // what it gives back ends here, with its thread
  return absl::OkStatus();
}

void Stop() { TheLog().Swap(DirectBackend()); }

void SetLevel(LogLevel level) { TheLog().level.store(level, std::memory_order_relaxed); }
LogLevel Level() { return TheLog().level.load(std::memory_order_relaxed); }

std::string RenderJson(Timestamp at, LogLevel level, std::string_view message, Fields fields) {
  std::string out =
      StrCat("{\"ts\":\"", FormatRfc3339(at), "\",\"level\":\"", ToString(level), "\",\"msg\":");
  AppendJsonString(out, TruncateUtf8(message, kMaxTextCharacters));
  for (const Field& field : fields) {
    out += ',';
    AppendJsonString(out, field.key);
    out += ':';
    const auto [text, quoted] = Renderer::Text(field.value);
    if (quoted) {
      AppendJsonString(out, text);
    } else {
      out += text;
    }
  }
  out += '}';
  return out;
}

std::string RenderText(Timestamp at, LogLevel level, std::string_view message, Fields fields, bool coloured) {
  std::string out = FormatRfc3339(at);
  out += ' ';
  if (coloured) out += Colour(level);
  std::string name(ToString(level));
  for (char& c : name) c = static_cast<char>(c - 'a' + 'A');
  name.resize(5, ' ');
  out += name;
  if (coloured) out += "\x1b[0m";
  out += ' ';
  AppendOneLine(out, TruncateUtf8(message, kMaxTextCharacters));
  for (const Field& field : fields) {
    out += ' ';
    if (coloured) out += "\x1b[2m";
    out += field.key;
    out += '=';
    if (coloured) out += "\x1b[0m";
    const auto [text, quoted] = Renderer::Text(field.value);
    if (quoted) {
      AppendBareOrQuoted(out, text);
    } else {
      out += text;
    }
  }
  return out;
}

}  // namespace log
}  // namespace fabro
