#include "core/base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro {
namespace {

class FixedClock final : public Clock {
 public:
  Timestamp Now() const override { return {1774872000123}; }
  std::chrono::steady_clock::time_point Steady() const override { return {}; }
};

// A pipe as the log's output; its default capacity holds what the tests write.
class LogPipe {
 public:
  LogPipe() { EXPECT_EQ(::pipe2(fds_, O_CLOEXEC), 0); }
  ~LogPipe() {
    log::Stop();
    log::SetLevel(LogLevel::kInfo);
    ::close(fds_[0]);
    ::close(fds_[1]);
  }
  int read_end() const { return fds_[0]; }
  int write_end() const { return fds_[1]; }

  std::vector<std::string> StopAndRead() {
    log::Stop();
    ::fcntl(fds_[0], F_SETFL, O_NONBLOCK);
    std::string text;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::read(fds_[0], buffer, sizeof buffer)) > 0;) text.append(buffer, n);
    std::vector<std::string> lines;
    for (const std::string_view line : Split(text, '\n')) lines.emplace_back(line);
    if (!lines.empty() && lines.back().empty()) lines.pop_back();
    return lines;
  }

 private:
  int fds_[2];
};

TEST(Log, WritesOneJsonObjectALineWithTypedFields) {
  LogPipe pipe;
  const FixedClock clock;
  ASSERT_TRUE(log::Start({.fd = pipe.write_end(), .clock = &clock}).ok());
  const std::string name = "say \"hi\"\n";
  log::Info("stage done", {{"node", name},
                           {"exit", -1},
                           {"bytes", 18446744073709551615u},
                           {"ok", true},
                           {"took_ms", std::chrono::milliseconds(12)},
                           {"ratio", 0.5}});
  const auto lines = pipe.StopAndRead();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(
      lines[0],
      R"({"ts":"2026-03-30T12:00:00.123Z","level":"info","msg":"stage done","node":"say \"hi\"\n","exit":-1,)"
      R"("bytes":18446744073709551615,"ok":true,"took_ms":12,"ratio":0.5})");
}

TEST(Log, RendersTextWithQuotesOnlyWhereNeeded) {
  const absl::Status status = NotFound(Reason::kRunNotFound, "x", "no such run");
  EXPECT_EQ(log::RenderText({1774872000123}, LogLevel::kWarn, "two\nlines\x1b[2J",
                            {{"a", "plain"}, {"b", "with blank"}, {"c", ""}, {"error", status}}, false),
            "2026-03-30T12:00:00.123Z WARN  two lines [2J a=plain b=\"with blank\" c=\"\" error=\"NOT_FOUND: "
            "no such "
            "run\"");
}

TEST(Log, IsJsonEvenForBytesThatAreNoUtf8AndNumbersThatAreNone) {
  EXPECT_EQ(log::RenderJson({0}, LogLevel::kError, "\xff", {{"x", std::numeric_limits<double>::infinity()}}),
            "{\"ts\":\"1970-01-01T00:00:00.000Z\",\"level\":\"error\",\"msg\":\"\xEF\xBF\xBD\",\"x\":null}");
}

TEST(Log, LevelCanBeSetLive) {
  LogPipe pipe;
  ASSERT_TRUE(log::Start({.level = LogLevel::kWarn, .fd = pipe.write_end()}).ok());
  log::Info("hidden");
  log::SetLevel(LogLevel::kDebug);
  log::Debug("shown");
  log::SetLevel(LogLevel::kOff);
  log::Error("hidden too");
  const auto lines = pipe.StopAndRead();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("\"msg\":\"shown\""), std::string::npos);
}

TEST(Log, RedactsTheFinishedLine) {
  LogPipe pipe;
  log::Options options{.fd = pipe.write_end()};
  options.redact = [](std::string_view line) { return ReplaceAll(line, "hunter22", "REDACTED"); };
  ASSERT_TRUE(log::Start(options).ok());
  log::Info("logging in with hunter22", {{"password", "hunter22"}});
  const auto lines = pipe.StopAndRead();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].find("hunter22"), std::string::npos);
  EXPECT_NE(lines[0].find("\"password\":\"REDACTED\""), std::string::npos);
}

TEST(Log, CutsTextThatIsTooLong) {
  const std::string line = log::RenderJson({0}, LogLevel::kInfo, std::string(100000, 'x'), {});
  EXPECT_LT(line.size(), log::kMaxTextCharacters + 100);
}

TEST(Log, KeepsLinesWholeWhenManyThreadsWrite) {
  LogPipe pipe;
  ASSERT_TRUE(log::Start({.fd = pipe.write_end()}).ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 100; ++i) log::Info("line", {{"thread", t}, {"i", i}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto lines = pipe.StopAndRead();
  EXPECT_EQ(lines.size(), 400u);
  for (const std::string& line : lines) {
    EXPECT_TRUE(line.starts_with("{\"ts\":") && line.ends_with("}")) << line;
  }
}

TEST(Log, NeverHoldsUpACallerWhenNobodyReads) {
  LogPipe pipe;
  ASSERT_TRUE(log::Start({.fd = pipe.write_end()}).ok());
  // Far more than pipe and queue hold: this loop would never end if a caller waited for the reader.
  for (std::size_t i = 0; i < log::kQueueLines * 3; ++i) log::Info("nobody listens", {{"i", i}});
  std::string seen;
  std::thread reader([&] {
    char buffer[65536];
    for (ssize_t n = 0; (n = ::read(pipe.read_end(), buffer, sizeof buffer)) > 0;) {
      seen.append(buffer, n);
      if (seen.find("the end") != std::string::npos) return;
    }
  });
  log::Info("the end");
  reader.join();
  EXPECT_NE(seen.find("log lines dropped"), std::string::npos);
}

TEST(LogLevel, IsReadInAnyCase) {
  EXPECT_EQ(ParseLogLevel("INFO"), LogLevel::kInfo);
  EXPECT_EQ(ParseLogLevel("Warning"), LogLevel::kWarn);
  EXPECT_EQ(ParseLogLevel("loud"), std::nullopt);
  EXPECT_EQ(ParseLogFormat("json"), LogFormat::kJson);
}

TEST(SecretString, CannotBeLogged) {
  EXPECT_FALSE((std::is_constructible_v<log::Value, const SecretString&>));
  EXPECT_FALSE((std::is_convertible_v<SecretString, std::string>));
  EXPECT_FALSE((std::is_constructible_v<log::Value, const int*>));
  SecretString secret("hunter22");
  const SecretString moved = std::move(secret);
  EXPECT_EQ(moved.Reveal(), "hunter22");
}

}  // namespace
}  // namespace fabro
