// Structured logs: a message in plain words and typed fields beside it.
//
//   log::Info("run started", {{"run", id}, {"node", node}, {"attempt", 2}});
//
// On a terminal a line is text, elsewhere one JSON object: {"ts":...,"level":"info","msg":...,<fields>}.
// Before Start() and after Stop() lines are written at once, as text, to standard error; in between a thread
// of the log's own writes them, so that a caller never waits for a slow terminal or a full pipe. When more
// than kQueueLines wait, the oldest are dropped and a later line says how many. Every function may be called
// from any thread.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/secret.h"

namespace fabro {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError, kOff };
std::string_view ToString(LogLevel level);                     // "debug", "info", "warn", "error", "off"
std::optional<LogLevel> ParseLogLevel(std::string_view text);  // the inverse, any case; "warning" too

enum class LogFormat : std::uint8_t { kAuto, kText, kJson };  // kAuto: text on a terminal, else JSON
std::string_view ToString(LogFormat format);
std::optional<LogFormat> ParseLogFormat(std::string_view text);

}  // namespace fabro

namespace fabro::log {

inline constexpr std::size_t kQueueLines = 8192;
inline constexpr std::size_t kMaxTextCharacters = 4096;  // of one message or one field; the rest is cut off

// What a field may hold. It refers to its argument, which lives as long as the call that logs it.
class Value {
 public:
  Value(std::string_view text) : value_(text) {}                      // NOLINT(google-explicit-constructor)
  Value(const char* text) : value_(std::string_view(text)) {}         // NOLINT(google-explicit-constructor)
  Value(const std::string& text) : value_(std::string_view(text)) {}  // NOLINT(google-explicit-constructor)
  Value(bool value) : value_(value) {}                                // NOLINT(google-explicit-constructor)
  Value(double value) : value_(value) {}                              // NOLINT(google-explicit-constructor)
  Value(std::chrono::milliseconds value) : value_(value) {}           // NOLINT(google-explicit-constructor)
  Value(const RunId& run) : value_(&run) {}                           // NOLINT(google-explicit-constructor)
  Value(const absl::Status& status) : value_(&status) {}              // NOLINT(google-explicit-constructor)
  Value(EventSeq seq) : value_(static_cast<std::uint64_t>(seq)) {}    // NOLINT(google-explicit-constructor)
  template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>)
  Value(T value) {  // NOLINT(google-explicit-constructor)
    if constexpr (std::is_signed_v<T>) {
      value_ = static_cast<std::int64_t>(value);
    } else {
      value_ = static_cast<std::uint64_t>(value);
    }
  }
  Value(const SecretString&) = delete;
  template <typename T>
  Value(const T*) = delete;  // a pointer would become a bool

 private:
  friend struct Renderer;
  std::variant<std::string_view, bool, std::int64_t, std::uint64_t, double, std::chrono::milliseconds,
               const RunId*, const absl::Status*>
      value_;
};

struct Field {
  std::string_view key;  // lower_snake; not "ts", "level" or "msg"
  Value value;
};
using Fields = std::initializer_list<Field>;

void Debug(std::string_view message, Fields fields = {});
void Info(std::string_view message, Fields fields = {});
void Warn(std::string_view message, Fields fields = {});
void Error(std::string_view message, Fields fields = {});
void Write(LogLevel level, std::string_view message, Fields fields);

struct Options {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kAuto;
  int fd = 2;  // stays open until Stop(); not closed
  const Clock* clock = &SystemClock();
  // Applied to every finished line, for secrets that slipped into a message; must not log. Empty: none.
  std::function<std::string(std::string_view)> redact;
};

// Starts the writer thread; replaces an earlier Start(). Fails when the thread cannot be made.
absl::Status Start(Options options);
// Writes what waits and stops the thread.
void Stop();

void SetLevel(LogLevel level);  // takes effect at once
LogLevel Level();
inline bool Enabled(LogLevel level) { return level >= Level() && level != LogLevel::kOff; }

// The line that a call makes, without its newline: a pure function, for the log itself and its tests.
std::string RenderJson(Timestamp at, LogLevel level, std::string_view message, Fields fields);
std::string RenderText(Timestamp at, LogLevel level, std::string_view message, Fields fields, bool coloured);

}  // namespace fabro::log
