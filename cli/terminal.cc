#include "cli/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::cli {
namespace {

constexpr int kUnboundedWidth = 1'000'000;
constexpr std::size_t kMaxLine = 256 << 10;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

bool LocaleIsUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string value = ToLower(Variable(name));
    if (value.empty()) continue;
    return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

int WidthOfTerminal(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const auto columns = ParseInt(Variable("COLUMNS"));
  return columns && *columns >= 20 && *columns <= 10'000 ? static_cast<int>(*columns) : 80;
}

// The write end for the handler, which can hold no object. -1: nobody listens.
volatile std::sig_atomic_t signal_fd = -1;

void OnSignal(int signal_number) {
  const int saved = errno;
  const char byte = signal_number == SIGINT ? 'i' : 't';
  // A full pipe means that nobody has looked for long; one more would tell nothing new.
  [[maybe_unused]] const ssize_t written = ::write(signal_fd, &byte, 1);
  errno = saved;
}

void PrintMarked(std::string_view mark, Tone tone, std::string_view message) {
  const Style style = StyleOf(STDERR_FILENO);
  std::string out;
  for (const std::string& line : CleanLines(message)) {
    out += Paint({{std::string(mark), tone}, {line}}, style);
    out += '\n';
  }
  WriteText(STDERR_FILENO, out);
}

}  // namespace

bool IsTerminal(int fd) { return ::isatty(fd) == 1; }
bool CanRedraw(int fd) { return IsTerminal(fd) && Variable("TERM") != "dumb"; }

int RowsOf(int fd) {
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

Style StyleOf(int fd) {
  const bool terminal = IsTerminal(fd);
  return {.colours = CanRedraw(fd) && Variable("NO_COLOR").empty(),
          .unicode = LocaleIsUtf8(),
          .width = terminal ? WidthOfTerminal(fd) : kUnboundedWidth};
}

bool WriteText(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

void Print(const Line& line) { PrintLines({line}); }

void PrintLines(const std::vector<Line>& lines) {
  const Style style = StyleOf(STDOUT_FILENO);
  std::string out;
  for (const Line& line : lines) out.append(Paint(line, style)).append("\n");
  WriteText(STDOUT_FILENO, out);
}

void PrintError(std::string_view message, std::string_view hint) {
  PrintMarked("error: ", Tone::kBad, message);
  if (!hint.empty()) PrintMarked("  hint: ", Tone::kDim, hint);
}

void PrintWarning(std::string_view message) { PrintMarked("warning: ", Tone::kWarn, message); }
void PrintNote(std::string_view message) { PrintMarked("", Tone::kPlain, message); }

SignalPipe::SignalPipe() {
  FABRO_CHECK(signal_fd == -1);
  FABRO_CHECK(::pipe2(fds_, O_CLOEXEC | O_NONBLOCK) == 0);
  signal_fd = fds_[1];
  struct sigaction action{};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

SignalPipe::~SignalPipe() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  signal_fd = -1;
  ::close(fds_[0]);
  ::close(fds_[1]);
}

SignalPipe::Taken SignalPipe::Take() {
  Taken taken;
  char bytes[64];
  for (ssize_t n = 0; (n = ::read(fds_[0], bytes, sizeof bytes)) > 0;) {
    for (ssize_t i = 0; i < n; ++i) {
      if (bytes[i] == 'i') {
        ++taken.interrupts;
      } else {
        taken.terminate = true;
      }
    }
  }
  return taken;
}

bool LineReader::Read(int fd) {
  char bytes[4096];
  const ssize_t n = ::read(fd, bytes, sizeof bytes);
  if (n > 0) buffer_.append(bytes, static_cast<std::size_t>(n));
  if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) closed_ = true;
  if (buffer_.size() > kMaxLine) buffer_.resize(kMaxLine);
  return closed_ || buffer_.find('\n') != std::string::npos;
}

std::string LineReader::Take() {
  const std::size_t end = buffer_.find('\n');
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end == std::string::npos ? buffer_.size() : end + 1);
  return line;
}

}  // namespace fabro::cli
