// A run told in lines: each event gives finished lines, and the stages at work give lines in motion. State
// and event in, lines out; no I/O, no clock.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/event.h"
#include "cli/text.h"

namespace fabro::cli {

class Progress {
 public:
  static constexpr std::size_t kTailLines = 5;      // of a stage's output, while it works
  static constexpr std::size_t kFailureLines = 15;  // of a failed stage's reason

  // With `in_place`, a stage at work and the end of its output are lines in motion (Live); without, its start
  // and all its output are finished lines.
  Progress(Style style, bool in_place) : style_(style), in_place_(in_place) {}

  // The finished lines that the event gives. `now` is this machine's clock when the event arrived.
  std::vector<Line> Apply(const RunEvent& event, Timestamp now);

  // The lines in motion; `frame` counts up and turns the spinners.
  std::vector<Line> Live(Timestamp now, int frame) const;

  void set_width(int width) { style_.width = width; }

 private:
  struct Stage {
    std::string name;
    std::string handler;
    int attempt = 0;
    int max_attempts = 0;
    Timestamp started;                  // by the server's clock
    std::optional<Timestamp> retry_at;  // between two attempts
    std::deque<std::string> tail;
    std::string open_line;  // output since the last line end
  };

  std::string Mark(std::string_view unicode, std::string_view ascii) const;
  void StartStage(const RunEvent& event, std::vector<Line>& lines);
  void TakeOutput(const RunEvent& event, std::vector<Line>& lines);
  void EndStage(const RunEvent& event, std::vector<Line>& lines);
  void EndRun(const RunEvent& event, std::vector<Line>& lines) const;
  void TellOther(const RunEvent& event, std::vector<Line>& lines) const;

  Style style_;
  const bool in_place_;
  std::map<std::string, Stage> stages_;                   // at work, by node
  std::optional<std::chrono::milliseconds> clock_ahead_;  // this machine's clock against the server's
};

// "(attempt 2 of 3)", or nothing for the only attempt.
std::string ShowAttempt(int attempt, int max_attempts);

}  // namespace fabro::cli
