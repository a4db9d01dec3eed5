#include "tests/scenario/player.h"

#include <utility>
#include <variant>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/engine/history.h"
#include "tests/scenario/render.h"
#include "tests/scenario/words.h"

namespace fabro::scenario {
namespace {

using Words = std::vector<std::string>;

// The value of `key=value` among the words.
std::optional<std::string> ValueOf(const Words& words, std::string_view key) {
  for (const std::string& word : words) {
    if (word.starts_with(StrCat(key, "="))) return word.substr(key.size() + 1);
  }
  return std::nullopt;
}

std::vector<std::string> ListOf(const std::string& text) {
  std::vector<std::string> list;
  for (const std::string_view part : Split(text, ',')) list.emplace_back(part);
  return list;
}

// The word after `by`.
std::string By(const Words& words) {
  for (std::size_t i = 1; i + 1 < words.size(); ++i) {
    if (words[i] == "by") return words[i + 1];
  }
  return "someone";
}

engine::Answer AnswerOf(const Words& words) {
  engine::Answer answer{.question_id = words.size() > 1 ? words[1] : ""};
  answer.by = By(words);
  answer.value = ValueOf(words, "value");
  answer.selected_option_key = ValueOf(words, "key");
  if (const auto keys = ValueOf(words, "keys")) answer.selected_option_keys = ListOf(*keys);
  return answer;
}

std::string RenderQuestion(const engine::QuestionView& question, Timestamp now) {
  std::string out = StrCat("question ", question.id, " ", workflow::ToString(question.type), " of ",
                           question.stage_id, ": ", question.text);
  for (const workflow::HumanOption& option : question.options) {
    out += StrCat(" | ", option.key, " ", Quote(option.label), " -> ", option.target);
  }
  if (question.allow_freeform) out += " | or free text";
  if (question.expires_at) out += StrCat(", expires in ", FormatDuration(*question.expires_at - now));
  if (!question.default_choice.empty()) out += StrCat(", default ", question.default_choice);
  if (!question.context.empty()) out += StrCat(", context ", Quote(question.context));
  return out;
}

template <typename Map>
std::string RenderCounts(const Map& counts) {
  std::string out;
  for (const auto& [key, value] : counts) out += StrCat(out.empty() ? "" : ", ", key, ": ", value);
  return out;
}

}  // namespace

Player::Player(std::shared_ptr<const workflow::Graph> graph) {
  seed_.id = *RunId::Parse("01HZZZZZZZZZZZZZZZZZZZZZZZ");
  seed_.graph = std::move(graph);
  seed_.work_dir = "/work";
  machine_ = engine::Machine::Create(seed_);
  moments_.push_back({.records = 0, .snapshot = machine_->Snapshot()});
}

std::vector<std::string> Player::Play(std::string_view line) {
  said_.clear();
  const Words words = SplitWords(line);
  if (Configure(words) || Show(words)) return said_;
  if (words[0] == "crash") {
    Crash();
  } else if (words[0] == "fork") {
    Fork(words);
  } else if (const std::optional<engine::Input> input = InputOf(words)) {
    Feed(*input);
  } else if (words[0] != "tick" && words[0] != "rewind") {
    return {StrCat("error: not understood: ", line)};
  }
  moments_.push_back({.records = records_.size(), .snapshot = machine_->Snapshot()});
  Say(StrCat("= ", RenderState(*machine_, now_)));
  return said_;
}

// As the run's actor does: commit, then perform; the steps that need nothing from outside at once.
void Player::Feed(const engine::Input& input) {
  std::optional<engine::Input> next = input;
  while (next) {
    const bool gets_slot =
        std::holds_alternative<engine::Start>(*next) || std::holds_alternative<engine::Resume>(*next);
    if (gets_slot) has_slot_ = true;
    engine::Output output = machine_->Handle(*std::exchange(next, std::nullopt), now_, random_);
    if (!output.refusal.ok()) Say(RenderRefusal(output.refusal));
    for (engine::Record& record : output.records) {
      for (std::string& text : RenderRecord(record)) Say(std::move(text));
      records_.push_back(std::move(record));
    }
    for (const engine::Artifact& artifact : output.artifacts) {
      Say(StrCat("=> keep ", artifact.content.size(), " bytes of ", artifact.key, " of ", artifact.stage_id,
                 " as ", artifact.hash));
    }
    for (const engine::Effect& effect : output.effects) {
      if (std::holds_alternative<engine::ContinueStep>(effect)) {
        next = engine::Continue{};
      } else {
        Say(StrCat("=> ", RenderEffect(effect)));
        if (const auto* child = std::get_if<engine::StartChild>(&effect))
          children_[child->node->id] = child->child;
        if (std::holds_alternative<engine::Park>(effect)) has_slot_ = false;
      }
    }
  }
}

// From a snapshot alone: what it forgot shows in the rest of the story. (checks.cc replays the records.) A
// run that held a slot gets one at once when it is taken over; another waits for it, or for what it waited
// for.
void Player::Crash() {
  absl::StatusOr<engine::Machine> restored = engine::Machine::Restore(seed_, machine_->Snapshot(), {});
  if (!restored.ok()) return Say(StrCat("error: ", Describe(restored.status())));
  machine_ = *std::move(restored);
  if (std::exchange(has_slot_, false)) Feed(engine::Resume{.crashed = true});
}

bool Player::Configure(const Words& words) {
  if (words[0] == "chance" && words.size() == 2) {
    random_.set_unit(ParseDouble(words[1]).value_or(0));
    return true;
  }
  if (words[0] == "prepares") {
    prepares_ = true;
    return true;
  }
  if (words[0] == "goal" && words.size() == 2) {
    seed_.goal = words[1];
  } else if (words[0] == "trace" && words.size() == 2) {
    seed_.traceparent = words[1];
  } else if (words[0] == "models" && words.size() == 2) {
    seed_.simulate_models = words[1] == "simulated";
  } else {
    return false;
  }
  machine_ = engine::Machine::Create(seed_);
  return true;
}

bool Player::Show(const Words& words) {
  if (words[0] == "questions") {
    for (const engine::QuestionView& question : machine_->OpenQuestions())
      Say(RenderQuestion(question, now_));
  } else if (words[0] == "stages") {
    for (const engine::StageView& stage : machine_->Stages()) {
      Say(StrCat("stage ", stage.id, " (", stage.node_id, ") ", engine::ToString(stage.state),
                 stage.duration ? StrCat(" in ", FormatDuration(*stage.duration)) : ""));
    }
  } else if (words[0] == "context") {
    Say(machine_->ContextJson());
  } else if (words[0] == "checkpoint") {
    const std::optional<engine::CheckpointView> view = machine_->Checkpoint();
    if (!view) {
      Say("no checkpoint");
      return true;
    }
    Say(StrCat("current_node ", view->current_node, ", next ", view->next_node_id.value_or("-")));
    Say(StrCat("completed ", Join(view->completed_nodes, " ")));
    Say(StrCat("retries ", RenderCounts(view->node_retries)));
    Say(StrCat("visits ", RenderCounts(view->node_visits)));
    Say(StrCat("outcomes ", view->node_outcomes));
    Say(StrCat("loop failures ", RenderCounts(view->loop_failure_signatures)));
    Say(StrCat("restart failures ", RenderCounts(view->restart_failure_signatures)));
  } else {
    return false;
  }
  return true;
}

std::optional<engine::Input> Player::InputOf(const Words& words) {
  const std::string& verb = words[0];
  if (verb == "start") return engine::Start{.prepare = prepares_};
  if (verb == "child" && words.size() >= 3) return ChildInput(words);
  if (verb == "told" && words.size() >= 2) return ToldInput(words);
  if (verb == "rewind" && words.size() >= 2) return RewindInput(words);
  if (verb == "prepared") {
    engine::RunPrepared done;
    if (words.size() == 3 && words[1] == "fail") done.prepared.failure = words[2];
    done.prepared.work_dir = ValueOf(words, "dir").value_or("/work");
    done.prepared.repository = ValueOf(words, "repository").value_or("");
    done.prepared.base_sha = ValueOf(words, "sha").value_or("");
    return done;
  }
  if (verb == "slot") return engine::Resume{};
  if (verb == "continue") return engine::Continue{};
  if (verb == "stage" && words.size() >= 3) return StageInput(words);
  if (verb == "output" && words.size() >= 3) {
    using Stream = engine::StageOutput::Stream;
    return engine::StageOutput{.execution = ExecutionOf(ValueOf(words, "of")),
                               .stream = words[1] == "stderr" ? Stream::kStderr : Stream::kStdout,
                               .text = words[2]};
  }
  if (verb == "tick" && words.size() == 2) {
    now_ = now_ + ParseDuration(words[1]).value_or(std::chrono::milliseconds(0));
    const std::optional<Timestamp> wake_at = machine_->wake_at();
    if (wake_at && *wake_at <= now_) return engine::TimerDue{};
    return std::nullopt;
  }
  if (verb == "due") return engine::TimerDue{};
  if (verb == "cancel") return engine::Cancel{By(words)};
  if (verb == "pause") return engine::Pause{By(words)};
  if (verb == "unpause") return engine::Unpause{By(words)};
  if (verb == "answer") return AnswerOf(words);
  if (verb == "stall" && words.size() >= 2) {
    const auto idle = ParseDuration(words[1]).value_or(std::chrono::milliseconds(0));
    return engine::Stalled{.execution = ExecutionOf(ValueOf(words, "of")),
                           .idle = std::chrono::duration_cast<std::chrono::seconds>(idle)};
  }
  return std::nullopt;
}

// child NODE started START | refused "WHY" | completed STATUS [stages=N] [start=START] | failed "ERROR" |
// cancelled | seen [stop]
std::optional<engine::Input> Player::ChildInput(const Words& words) {
  const auto known = children_.find(words[1]);
  const RunId child = known == children_.end() ? RunId() : known->second;
  const std::string& what = words[2];
  const std::string text = words.size() > 3 ? words[3] : "";
  if (what == "started") return engine::ChildStarted{.child = child, .start_node = text};
  if (what == "seen") return engine::ChildObserved{.child = child, .stop = text == "stop"};
  if (what == "refused") {
    return engine::ChildRefused{.child = child, .failure = {text, engine::FailureClass::kStructural}};
  }
  engine::ChildFinished finished{.child = child};
  finished.start_node = ValueOf(words, "start").value_or("");
  finished.stages = static_cast<std::uint32_t>(ParseInt(ValueOf(words, "stages").value_or("0")).value_or(0));
  if (what == "failed") {
    finished.status = RunStatus::kFailed;
    finished.error = text;
  } else if (what == "cancelled") {
    finished.status = RunStatus::kCancelled;
  } else {
    finished.outcome = engine::ParseOutcomeStatus(text).value_or(engine::OutcomeStatus::kSuccess);
  }
  return finished;
}

std::optional<engine::Input> Player::ToldInput(const Words& words) {
  using std::chrono::milliseconds;
  const std::string& what = words[1];
  const std::string text = words.size() > 2 ? words[2] : "";
  if (what == "initializing") return engine::PreparationTold{engine::SandboxInitializing{text}};
  if (what == "ready") return engine::PreparationTold{engine::SandboxReady{text, milliseconds(5), ""}};
  if (what == "branch") return engine::PreparationTold{engine::BranchMade{text, "c0ffee"}};
  if (what == "setup") return engine::PreparationTold{engine::SetupStarted{1}};
  if (what == "command") return engine::PreparationTold{engine::SetupCommandStarted{text, 0}};
  if (what == "command-done") {
    return engine::PreparationTold{engine::SetupCommandCompleted{text, 0, 0, milliseconds(7)}};
  }
  if (what == "setup-done") return engine::PreparationTold{engine::SetupCompleted{milliseconds(8)}};
  if (what == "setup-failed")
    return engine::PreparationTold{engine::SetupFailed{text, 0, 2, "no such thing"}};
  if (what == "notice") return engine::PreparationTold{engine::PreparationNotice{"a_code", text}};
  return std::nullopt;
}

// The machine's bytes as they were after that event. Nothing: there is none.
std::optional<std::string> Player::StateAt(std::uint64_t checkpoint) const {
  if (checkpoint > records_.size()) return std::nullopt;
  std::vector<engine::RecordView> views;
  for (std::size_t i = 0; i < checkpoint; ++i) views.push_back({records_[i].event, records_[i].delta});
  const absl::StatusOr<engine::Machine> then = engine::Machine::Restore(seed_, "", views);
  return then.ok() ? std::optional(then->Snapshot()) : std::nullopt;
}

// rewind EVENT|last by NAME
std::optional<engine::Input> Player::RewindInput(const Words& words) {
  std::uint64_t checkpoint = 0;
  for (const engine::Record& record : records_) {
    const auto entry = engine::CheckpointIn({record.event, record.delta});
    if (entry.ok() && *entry && (words[1] == "last" || words[1] == std::to_string(ToUint((*entry)->id)))) {
      checkpoint = ToUint((*entry)->id);
    }
  }
  const std::optional<std::string> state = StateAt(checkpoint);
  if (checkpoint == 0 || !state) {
    Say("no such checkpoint");
    return std::nullopt;
  }
  return engine::Rewind{.checkpoint = checkpoint, .state = *state, .by = By(words)};
}

// fork EVENT: from here on the story is the new run's.
void Player::Fork(const Words& words) {
  const auto checkpoint = static_cast<std::uint64_t>(ParseInt(words.size() > 1 ? words[1] : "").value_or(0));
  const std::optional<std::string> state = StateAt(checkpoint);
  if (!state) return Say("error: no such event");
  const engine::ForkOrigin origin{
      .run = seed_.id, .checkpoint = checkpoint, .state = *state, .prepare = prepares_};
  seed_.id = *RunId::Parse("01JZZZZZZZZZZZZZZZZZZZZZZZ");
  machine_ = engine::Machine::Create(seed_);
  records_.clear();
  moments_.clear();
  has_slot_ = false;
  for (engine::Record& record : machine_->StartFork(origin, now_).records) {
    for (std::string& text : RenderRecord(record)) Say(std::move(text));
    records_.push_back(std::move(record));
  }
}

// By stage id or node id; without a name the oldest one. None: an execution that is not there.
engine::ExecutionId Player::ExecutionOf(const std::optional<std::string>& name) const {
  for (const engine::ExecutionView& execution : machine_->Executions()) {
    if (!name || execution.stage_id == *name || execution.node_id == *name) return execution.execution;
  }
  return engine::ExecutionId{};
}

// stage NODE STATUS ["MESSAGE" CLASS] [label=...] [next=a,b] [set KEY=JSON]... [notes=...] [files=a,b]
// [as=EXECUTION]
std::optional<engine::Input> Player::StageInput(const Words& words) {
  engine::StageFinished finished{.execution = ExecutionOf(words[1])};
  if (const auto execution = ValueOf(words, "as")) {
    finished.execution = engine::ExecutionId(static_cast<std::uint64_t>(ParseInt(*execution).value_or(0)));
  }
  engine::Outcome& outcome = finished.outcome;
  outcome.status = engine::ParseOutcomeStatus(words[2]).value_or(engine::OutcomeStatus::kFail);
  if (words.size() >= 5 && engine::ParseFailureClass(words[4])) {
    outcome.failure = engine::Failure{words[3], *engine::ParseFailureClass(words[4])};
  }
  outcome.preferred_label = ValueOf(words, "label").value_or("");
  outcome.notes = ValueOf(words, "notes").value_or("");
  outcome.git_commit_sha = ValueOf(words, "sha").value_or("");
  if (const auto used = ValueOf(words, "usage")) {  // tokens in, tokens out, dollars
    const std::vector<std::string> parts = ListOf(*used);
    engine::StageUsage& usage = outcome.usage.emplace();
    usage.model = "some-model";
    usage.input_tokens = static_cast<std::uint64_t>(ParseInt(parts[0]).value_or(0));
    if (parts.size() > 1) usage.output_tokens = static_cast<std::uint64_t>(ParseInt(parts[1]).value_or(0));
    if (parts.size() > 2) usage.cost = ParseDouble(parts[2]);
  }
  if (const auto next = ValueOf(words, "next")) outcome.suggested_next_ids = ListOf(*next);
  if (const auto files = ValueOf(words, "files")) outcome.files_touched = ListOf(*files);
  for (std::size_t i = 3; i + 1 < words.size(); ++i) {
    if (words[i] != "set") continue;
    const std::size_t equals = words[i + 1].find('=');
    outcome.context_updates[words[i + 1].substr(0, equals)] = words[i + 1].substr(equals + 1);
  }
  if (const auto fill = ValueOf(words, "fill")) {
    const std::size_t colon = fill->find(':');
    const double size = ParseDouble(fill->substr(colon + 1)).value_or(0);
    outcome.context_updates[fill->substr(0, colon)] =
        JsonString(std::string(static_cast<std::size_t>(size), 'x'));
  }
  return finished;
}

}  // namespace fabro::scenario
