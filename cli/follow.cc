#include "cli/follow.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "cli/event.h"
#include "cli/event_follower.h"
#include "cli/exit_codes.h"
#include "cli/progress.h"
#include "cli/questions.h"
#include "cli/screen.h"
#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFrame{100};
constexpr milliseconds kQuietTick{1'000};

class Follower {
 public:
  Follower(Api& api, const std::string& run, std::uint64_t after, const FollowOptions& options,
           SignalPipe& signals)
      : api_(api),
        run_(run),
        options_(options),
        signals_(signals),
        in_place_(!options.json && CanRedraw(STDOUT_FILENO)),
        interactive_(in_place_ && IsTerminal(STDIN_FILENO)),
        events_(api, run, after, FollowPolicy(), SystemClock()),
        progress_(StyleOf(STDOUT_FILENO), in_place_),
        screen_(StyleOf(STDOUT_FILENO), in_place_),
        prepared_(options.answers) {}

  int Run() {
    while (!exit_code_) {
      Draw();
      std::vector<int> watch = {signals_.fd()};
      if (prompt_ != Prompt::kNone && !typed_.is_closed()) watch.push_back(STDIN_FILENO);
      EventFollower::Step step = events_.Wait(in_place_ ? kFrame : kQuietTick, watch);
      for (const std::string& event : step.events) TakeEvent(event);
      if (exit_code_) break;  // behind the last event the stream ends, which is no loss
      TellConnection();
      if (!step.failure.ok()) return GiveUp(step.failure);
      if (step.ended) return EndedUnseen();
      for (const int fd : step.ready) {
        if (fd == STDIN_FILENO) {
          TakeInput();
        } else {
          TakeSignal();
        }
      }
      Ask();
    }
    prompt_ = Prompt::kNone;
    Draw();
    return *exit_code_;
  }

 private:
  enum class Prompt { kNone, kAnswer, kCancel };

  void Say(Line line) { finished_.push_back(std::move(line)); }
  void Note(const std::string& text, Tone tone = Tone::kDim) {
    if (options_.json) {
      PrintNote(text);
    } else {
      Say({{StrCat("  ", text), tone}});
    }
  }

  void Draw() {
    if (options_.json) return;
    std::vector<Line> live;
    Line prompt;
    if (in_place_) {
      const int width = StyleOf(STDOUT_FILENO).width;
      progress_.set_width(width);
      screen_.set_width(width);
      if (prompt_ == Prompt::kNone) {
        live = progress_.Live(SystemClock().Now(), frame_++);
        if (!events_.is_connected() && !exit_code_)
          live.push_back({{"  the server does not answer; trying again", Tone::kWarn}});
        // What does not fit the screen could not be redrawn in place.
        const auto rows = static_cast<std::size_t>(std::max(RowsOf(STDOUT_FILENO) - 2, 1));
        if (live.size() > rows) live.resize(rows);
      } else if (prompt_ == Prompt::kAnswer) {
        prompt = {{"  > ", Tone::kAccent}};
      } else {
        prompt = {{"  cancel this run? y cancels it, n goes on, Ctrl-C leaves it running: ", Tone::kWarn}};
      }
    }
    if (!WriteText(STDOUT_FILENO, screen_.Update(finished_, live, prompt))) exit_code_ = kExitFailed;
    finished_.clear();
  }

  // On a pipe the loss of the connection is told once; on a terminal a line in motion tells it.
  void TellConnection() {
    if (in_place_ || events_.is_connected() == was_connected_) return;
    was_connected_ = events_.is_connected();
    PrintNote(was_connected_ ? "the server answers again" : "the server does not answer; trying again");
  }

  void TakeEvent(const std::string& json) {
    const absl::StatusOr<RunEvent> event = ParseEvent(json);
    if (options_.json && !WriteText(STDOUT_FILENO, json + "\n")) exit_code_ = kExitFailed;
    if (!event.ok()) {
      Note(MessageOf(event.status()), Tone::kBad);
      return;
    }
    if (!options_.json) {
      for (Line& line : progress_.Apply(*event, SystemClock().Now())) Say(std::move(line));
    }
    if (event->type == "InterviewStarted") {
      open_questions_.insert(event->question_id);
    } else if (event->type == "InterviewCompleted" || event->type == "InterviewTimeout") {
      open_questions_.erase(event->question_id);
      if (asked_ && asked_->id == event->question_id) CloseQuestion();
    } else if (event->ends_run()) {
      exit_code_ = event->type == "WorkflowRunCompleted" ? kExitOk
                   : event->type == "WorkflowRunFailed"  ? kExitFailed
                                                         : kExitCancelled;
    }
  }

  void CloseQuestion() {
    asked_.reset();
    if (prompt_ == Prompt::kAnswer) prompt_ = Prompt::kNone;
  }

  // Turns to the first open question that nobody has been asked yet.
  void Ask() {
    if (asked_ || exit_code_ || prompt_ != Prompt::kNone) return;
    const auto unseen = std::find_if(open_questions_.begin(), open_questions_.end(),
                                     [this](const std::string& id) { return !put_.contains(id); });
    if (unseen == open_questions_.end()) return;
    const std::string& id = *unseen;
    const absl::StatusOr<std::vector<Question>> questions = api_.Questions(run_);
    if (!questions.ok())
      return;  // asked again in the next round; a server that stays away ends the following
    put_.insert(id);
    const auto question =
        std::find_if(questions->begin(), questions->end(), [&id](const Question& q) { return q.id == id; });
    if (question != questions->end()) PutQuestion(*question);  // else it has been answered meanwhile
  }

  void PutQuestion(const Question& question) {
    if (!options_.json) {
      for (Line& line : ShowOptions(question, screen_.style())) Say(std::move(line));
    }
    asked_ = question;
    if (const std::optional<std::string> prepared = prepared_.Take(question)) {
      if (SubmitAnswer(*prepared)) return;
    }
    if (interactive_ && options_.asks && !typed_.is_closed()) {
      prompt_ = Prompt::kAnswer;
    } else {
      const std::string example =
          question.options.empty() ? "--text TEXT" : CleanLine(question.options[0].key);
      Note(StrCat("waiting for an answer: fabro answer ", run_, " ", CleanLine(question.id), " ", example));
      asked_.reset();
    }
  }

  // False when the question is still to be answered.
  bool SubmitAnswer(const std::string& text) {
    const absl::StatusOr<Answer> answer = ParseAnswer(*asked_, text);
    const absl::Status status = answer.ok() ? api_.Submit(run_, asked_->id, *answer) : answer.status();
    if (!status.ok()) Note(MessageOf(status), Tone::kBad);
    // A conflict means that somebody else was quicker, or that the run is over.
    const bool settled = status.ok() || status.code() == absl::StatusCode::kFailedPrecondition;
    if (settled) CloseQuestion();
    return settled;
  }

  void TakeInput() {
    if (!typed_.Read(STDIN_FILENO)) return;
    if (typed_.is_closed()) {
      Note(StrCat("no more input; answer with: fabro answer ", run_, " KEY"));
      prompt_ = Prompt::kNone;
      asked_.reset();
      return;
    }
    const std::string line = typed_.Take();
    screen_.PromptTaken();
    if (prompt_ == Prompt::kAnswer) {
      SubmitAnswer(line);
    } else {
      TakeCancelAnswer(line);
    }
  }

  void TakeCancelAnswer(const std::string& line) {
    const std::string word = ToLower(Trim(line));
    if (word == "y" || word == "yes") {
      prompt_ = Prompt::kNone;
      Cancel();
    } else if (word == "n" || word == "no") {
      prompt_ = asked_ ? Prompt::kAnswer : Prompt::kNone;
      interrupts_ = 0;
    }
  }

  void Cancel() {
    const absl::StatusOr<RunInfo> run = api_.Control(run_, "cancel");
    // A run that has just ended cannot be cancelled; its last event is on its way.
    if (!run.ok() && run.status().code() != absl::StatusCode::kFailedPrecondition) {
      Note(StrCat("not cancelled: ", MessageOf(run.status())), Tone::kBad);
      interrupts_ = 0;
    }
  }

  void TakeSignal() {
    const SignalPipe::Taken taken = signals_.Take();
    interrupts_ += taken.interrupts;
    if (taken.terminate) {
      exit_code_ = kExitTerminated;
    } else if (interrupts_ >= 2 || !options_.may_cancel) {
      Note(StrCat("left running; follow it again: fabro events ", run_, " --follow"));
      exit_code_ = kExitCancelled;
    } else if (interrupts_ == 1 && interactive_ && !typed_.is_closed()) {
      prompt_ = Prompt::kCancel;
    } else if (interrupts_ == 1) {
      Note("cancelling; Ctrl-C again leaves without waiting");
      Cancel();
    }
  }

  int GiveUp(const absl::Status& status) {
    prompt_ = Prompt::kNone;
    Draw();
    const int code = Fail(status, api_.server());
    if (code == kExitUnreachable) {
      PrintNote(StrCat("the run goes on when the server is back; follow it again: fabro events ", run_,
                       " --follow --after ", events_.last_id()));
    }
    return code;
  }

  // The server says that the stream is closed: every event has been seen, so the run's state is its end.
  int EndedUnseen() {
    prompt_ = Prompt::kNone;
    Draw();
    const absl::StatusOr<RunInfo> run = api_.Get(run_);
    if (!run.ok()) return Fail(run.status(), api_.server());
    if (run->status == "failed") return kExitFailed;
    return run->status == "cancelled" ? kExitCancelled : kExitOk;
  }

  Api& api_;
  const std::string run_;
  const FollowOptions options_;
  SignalPipe& signals_;
  const bool in_place_;
  const bool interactive_;
  EventFollower events_;
  Progress progress_;
  Screen screen_;
  PreparedAnswers prepared_;
  LineReader typed_;

  Prompt prompt_ = Prompt::kNone;
  std::optional<Question> asked_;         // answered next
  std::set<std::string> open_questions_;  // by the events
  std::set<std::string> put_;             // to the person, or answered for them
  std::vector<Line> finished_;            // not drawn yet
  int frame_ = 0;
  int interrupts_ = 0;
  bool was_connected_ = true;
  std::optional<int> exit_code_;
};

}  // namespace

int FollowRun(Api& api, const std::string& run, std::uint64_t after, const FollowOptions& options,
              SignalPipe& signals) {
  return Follower(api, run, after, options, signals).Run();
}

}  // namespace fabro::cli
