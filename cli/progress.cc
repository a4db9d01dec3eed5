#include "cli/progress.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/strings.h"

namespace fabro::cli {
namespace {

constexpr std::array<std::string_view, 8> kSpinner = {"⠋", "⠙", "⠸", "⠴", "⠦", "⠧", "⠇", "⠏"};
constexpr std::string_view kAsciiSpinner = "|/-\\";
constexpr std::size_t kMaxOpenLine = 4096;  // output without a line end is cut there

// Stages that only steer: a line for each would be noise.
bool IsSilent(std::string_view handler) {
  return handler == "start" || handler == "exit" || handler == "conditional";
}

std::string FirstLine(const std::vector<std::string>& lines) {
  return lines.empty() ? std::string() : lines[0];
}

// A question and its answer have lines of their own.
bool IsTold(std::string_view handler) { return IsSilent(handler) || handler == "human"; }

// The reason's lines without empty ones and without headings of empty sections ("## stderr" and nothing
// below).
std::vector<std::string> Dense(std::vector<std::string> lines) {
  std::vector<std::string> dense;
  const auto drop_heading = [&dense] {
    if (dense.size() > 1 && dense.back().starts_with("## ")) dense.pop_back();
  };
  for (std::string& line : lines) {
    if (Trim(line).empty()) continue;
    if (line.starts_with("## ")) drop_heading();
    dense.push_back(std::move(line));
  }
  drop_heading();
  return dense;
}

// The reason's further lines, the last of them where there are too many: errors stand at the end of an
// output.
void AppendDetails(const std::vector<std::string>& details, std::vector<Line>& lines) {
  if (details.size() <= 1) return;
  std::size_t first = 1;
  if (details.size() - 1 > Progress::kFailureLines) {
    first = details.size() - Progress::kFailureLines;
    lines.push_back({{StrCat("    (", first - 1, " lines before)"), Tone::kDim}});
  }
  for (std::size_t i = first; i < details.size(); ++i)
    lines.push_back({{StrCat("    ", details[i]), Tone::kDim}});
}

}  // namespace

std::string ShowAttempt(int attempt, int max_attempts) {
  if (max_attempts <= 1 && attempt <= 1) return "";
  return StrCat(" (attempt ", attempt, " of ", std::max(attempt, max_attempts), ")");
}

std::string Progress::Mark(std::string_view unicode, std::string_view ascii) const {
  return std::string(style_.unicode ? unicode : ascii);
}

std::vector<Line> Progress::Apply(const RunEvent& event, Timestamp now) {
  const std::chrono::milliseconds ahead = now - event.ts;
  clock_ahead_ =
      clock_ahead_ ? std::min(*clock_ahead_, ahead) : ahead;  // the least is the nearest to the truth

  std::vector<Line> lines;
  if (event.type == "StageStarted") {
    StartStage(event, lines);
  } else if (event.type == "StageOutput") {
    TakeOutput(event, lines);
  } else if (event.type == "StageCompleted" || event.type == "StageFailed") {
    EndStage(event, lines);
  } else if (event.type == "StageRetrying") {
    const auto it = stages_.find(event.node);
    if (it != stages_.end()) it->second.retry_at = event.ts + event.delay;
    lines.push_back({{StrCat("    trying again in ", ShowDuration(event.delay)), Tone::kDim}});
  } else if (event.ends_run()) {
    stages_.clear();
    EndRun(event, lines);
  } else {
    TellOther(event, lines);
  }
  return lines;
}

void Progress::StartStage(const RunEvent& event, std::vector<Line>& lines) {
  Stage& stage = stages_[event.node];
  stage = Stage{.name = CleanLine(event.name.empty() ? event.node : event.name),
                .handler = event.handler,
                .attempt = event.attempt,
                .max_attempts = event.max_attempts,
                .started = event.ts};
  if (in_place_ || IsTold(stage.handler)) return;
  lines.push_back(
      {{Mark("▶ ", "> ")}, {stage.name}, {ShowAttempt(stage.attempt, stage.max_attempts), Tone::kDim}});
}

void Progress::TakeOutput(const RunEvent& event, std::vector<Line>& lines) {
  const auto it = stages_.find(event.node);
  if (it == stages_.end()) return;
  Stage& stage = it->second;
  stage.open_line += Clean(event.text);
  std::size_t start = 0;
  for (std::size_t end; (end = stage.open_line.find('\n', start)) != std::string::npos; start = end + 1) {
    stage.tail.push_back(stage.open_line.substr(start, end - start));
    if (!in_place_) lines.push_back({{StrCat("    ", stage.tail.back()), Tone::kDim}});
    if (stage.tail.size() > kTailLines) stage.tail.pop_front();
  }
  stage.open_line.erase(0, start);
  if (stage.open_line.size() > kMaxOpenLine) stage.open_line.resize(kMaxOpenLine);
}

void Progress::EndStage(const RunEvent& event, std::vector<Line>& lines) {
  const auto it = stages_.find(event.node);
  Stage stage = it != stages_.end() ? std::move(it->second) : Stage{.name = CleanLine(event.node)};
  if (it != stages_.end()) {
    if (event.will_retry) {
      it->second = Stage{.name = stage.name, .handler = stage.handler, .started = event.ts};
      it->second.retry_at = event.ts;
    } else {
      stages_.erase(it);
    }
  }
  if (!in_place_ && !stage.open_line.empty())
    lines.push_back({{StrCat("    ", stage.open_line), Tone::kDim}});

  const bool failed = event.type == "StageFailed";
  if (!failed && IsTold(stage.handler)) return;
  auto took = event.duration;
  if (took.count() == 0 && it != stages_.end()) took = event.ts - stage.started;
  const std::string note = StrCat("  ", ShowDuration(took), ShowAttempt(event.attempt, event.max_attempts));
  if (failed) {
    const std::vector<std::string> reason = Dense(CleanLines(event.text));
    lines.push_back({{event.will_retry ? Mark("↻ ", "! ") : Mark("✗ ", "x "),
                      event.will_retry ? Tone::kWarn : Tone::kBad},
                     {stage.name},
                     {note, Tone::kDim},
                     {StrCat("  ", FirstLine(reason)), event.will_retry ? Tone::kWarn : Tone::kBad}});
    // What the stage has written stands above already, unless it was in motion.
    if (in_place_ || stage.tail.empty()) AppendDetails(reason, lines);
  } else if (event.status == "success") {
    lines.push_back({{Mark("✓ ", "+ "), Tone::kGood}, {stage.name}, {note, Tone::kDim}});
  } else {
    lines.push_back({{Mark("~ ", "~ "), Tone::kWarn},
                     {stage.name},
                     {note, Tone::kDim},
                     {StrCat("  ", ReplaceAll(CleanLine(event.status), "_", " ")), Tone::kWarn}});
  }
}

void Progress::EndRun(const RunEvent& event, std::vector<Line>& lines) const {
  const std::string took = StrCat(" after ", ShowDuration(event.duration));
  if (event.type == "WorkflowRunCompleted") {
    const bool whole = event.status != "partial_success";
    lines.push_back({{Mark("✓ ", "+ "), whole ? Tone::kGood : Tone::kWarn},
                     {whole ? "completed" : "completed in part", Tone::kStrong},
                     {took, Tone::kDim}});
  } else if (event.type == "WorkflowRunFailed") {
    const std::vector<std::string> reason = CleanLines(event.text);
    lines.push_back({{Mark("✗ ", "x "), Tone::kBad},
                     {"failed", Tone::kStrong},
                     {took, Tone::kDim},
                     {StrCat(": ", FirstLine(reason)), Tone::kBad}});
    AppendDetails(reason, lines);
  } else {
    lines.push_back({{Mark("■ ", "# "), Tone::kWarn},
                     {"cancelled", Tone::kStrong},
                     {event.by.empty() ? "" : StrCat(" by ", CleanLine(event.by))},
                     {took, Tone::kDim}});
  }
}

void Progress::TellOther(const RunEvent& event, std::vector<Line>& lines) const {
  const auto say = [&lines](Tone tone, std::string text) { lines.push_back({{std::move(text), tone}}); };
  const std::string by = event.by.empty() ? std::string() : StrCat(" by ", CleanLine(event.by));
  if (event.type == "WorkflowRunStarted") {
    lines.push_back({{Mark("● ", "* "), Tone::kAccent},
                     {CleanLine(event.name), Tone::kStrong},
                     {event.text.empty() ? "" : StrCat("  ", CleanLine(event.text)), Tone::kDim}});
  } else if (event.type == "EdgeSelected") {
    if (event.reason == "unconditional" || event.reason.empty()) return;
    const std::string why =
        event.label.empty() ? ReplaceAll(CleanLine(event.reason), "_", " ") : CleanLine(event.label);
    say(Tone::kDim, StrCat(Mark("  ↳ ", "  -> "), CleanLine(event.to), "  (", why, ")"));
  } else if (event.type == "InterviewStarted") {
    lines.push_back({{Mark("? ", "? "), Tone::kAccent}, {CleanLine(event.text), Tone::kStrong}});
  } else if (event.type == "InterviewCompleted") {
    say(Tone::kPlain, StrCat("    answered", by, ": ", CleanLine(event.answer)));
  } else if (event.type == "InterviewTimeout") {
    say(Tone::kWarn, StrCat("    nobody answered in ", ShowDuration(event.duration)));
  } else if (event.type == "RunNotice") {
    const Tone tone = event.status == "error"  ? Tone::kBad
                      : event.status == "warn" ? Tone::kWarn
                                               : Tone::kDim;
    say(tone, StrCat("  ", Mark("· ", "- "), CleanLine(event.text)));
  } else if (event.type == "WorkflowRunPaused") {
    say(Tone::kWarn, StrCat("  paused", by));
  } else if (event.type == "WorkflowRunUnpaused") {
    say(Tone::kPlain, StrCat("  going on", by));
  } else if (event.type == "WorkflowRunResumed") {
    say(Tone::kWarn, "  the server was restarted; going on from the last checkpoint");
  } else if (event.type == "LoopRestart") {
    say(Tone::kDim, StrCat(Mark("  ↻ ", "  -> "), "starting over at ", CleanLine(event.to)));
  } else if (event.type == "StallWatchdogTimeout") {
    say(Tone::kBad, StrCat("  no sign of life from ", CleanLine(event.node)));
  } else if (event.type == "ParallelBranchCompleted") {
    say(Tone::kDim, StrCat("  branch ", CleanLine(event.name), ": ", CleanLine(event.status), "  ",
                           ShowDuration(event.duration)));
  }
}

std::vector<Line> Progress::Live(Timestamp now, int frame) const {
  std::vector<Line> lines;
  if (!in_place_) return lines;
  const Timestamp server_now = now + -clock_ahead_.value_or(std::chrono::milliseconds(0));
  const std::string turn = style_.unicode ? std::string(kSpinner[frame % kSpinner.size()])
                                          : std::string(1, kAsciiSpinner[frame % kAsciiSpinner.size()]);
  for (const auto& [node, stage] : stages_) {
    if (IsSilent(stage.handler)) continue;
    Line line = {{StrCat(turn, " "), Tone::kAccent}, {stage.name, Tone::kStrong}};
    if (stage.retry_at) {
      line.push_back({StrCat("  next attempt in ", ShowDuration(*stage.retry_at - server_now)), Tone::kWarn});
    } else {
      line.push_back({StrCat("  ", ShowDuration(server_now - stage.started),
                             ShowAttempt(stage.attempt, stage.max_attempts)),
                      Tone::kDim});
    }
    lines.push_back(std::move(line));
    for (const std::string& output : stage.tail) lines.push_back({{StrCat("    ", output), Tone::kDim}});
  }
  return lines;
}

}  // namespace fabro::cli
