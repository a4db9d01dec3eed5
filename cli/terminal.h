// The process's outputs and its Ctrl-C.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/text.h"

namespace fabro::cli {

// What a descriptor can show: colours on a terminal unless NO_COLOR is set or TERM is dumb, Unicode when the
// locale says UTF-8, the terminal's width (COLUMNS, else 80; no bound on a pipe).
Style StyleOf(int fd);
bool IsTerminal(int fd);
bool CanRedraw(int fd);  // a terminal that is not dumb
int RowsOf(int fd);      // 24 when unknown

// Writes all of it; false when the reader has gone.
bool WriteText(int fd, std::string_view text);
void Print(const Line& line);  // standard output
void PrintLines(const std::vector<Line>& lines);
// "error: ..." on standard error, and a hint below when there is one; each may have several lines.
void PrintError(std::string_view message, std::string_view hint = "");
void PrintWarning(std::string_view message);
void PrintNote(std::string_view message);  // standard error, dim

// While it lives, SIGINT and SIGTERM make fd() readable instead of ending the process. One at a time.
class SignalPipe {
 public:
  SignalPipe();
  SignalPipe(const SignalPipe&) = delete;
  SignalPipe& operator=(const SignalPipe&) = delete;
  ~SignalPipe();

  int fd() const { return fds_[0]; }
  struct Taken {
    int interrupts = 0;      // SIGINT
    bool terminate = false;  // SIGTERM
  };
  Taken Take();

 private:
  int fds_[2];
};

// Lines typed on standard input, without waiting for them.
class LineReader {
 public:
  // Reads what is there; true when a line is complete (Take gives it) or the input has ended (is_closed).
  bool Read(int fd);
  std::string Take();
  bool is_closed() const { return closed_; }

 private:
  std::string buffer_;
  bool closed_ = false;
};

}  // namespace fabro::cli
