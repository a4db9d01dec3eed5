#include "tests/crash/hand.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/strings.h"

namespace fabro::crash {

using storage::RunRow;
using testing::RunWorld;

std::vector<RunRow> FamilyOf(RunWorld& world, RunId root) {
  std::vector<RunRow> family{world.Row(root)};
  for (std::size_t i = 0; i < family.size(); ++i) {
    storage::RunFilter filter;
    filter.parent = family[i].id;
    filter.oldest_first = true;
    const auto children = world.Await(world.store->ListRuns(filter, 100, 0));
    EXPECT_TRUE(children.ok()) << children.status();
    if (children.ok()) family.insert(family.end(), children->rows.begin(), children->rows.end());
  }
  return family;
}

namespace {

std::string Describe(RunWorld& world, const std::vector<RunRow>& family) {
  std::string text = StrCat("it is ", FormatRfc3339(world.time.Now()));
  if (const auto sleeper = world.time.EarliestSleeper())
    text += StrCat(", somebody sleeps until ", FormatRfc3339(*sleeper));
  for (const RunRow& row : family) {
    text += StrCat("\n", row.workflow_name, " is ", ToString(row.status), " at ", row.current_node,
                   ", queue state ", static_cast<int>(row.queue_state));
    if (row.wake_at) text += StrCat(", wakes at ", FormatRfc3339(*row.wake_at));
    for (const v1::Event& event : world.Events(row.id)) text += StrCat("\n  ", event.ShortDebugString());
  }
  return text;
}

}  // namespace

void Hand::Drive() {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!::testing::Test::HasFailure()) {
    const std::vector<RunRow> family = FamilyOf(world_, root_);
    for (const RunRow& row : family) told_.Note(row);
    const auto open = std::ranges::find_if(family, [](const RunRow& row) { return !IsTerminal(row.status); });
    if (open == family.end()) return;
    if (!Act(family)) world_.AwaitNews(open->id, open->head, std::chrono::milliseconds(2));
    ASSERT_LT(std::chrono::steady_clock::now(), give_up) << Describe(world_, family);
  }
}

bool Hand::Act(const std::vector<RunRow>& family) {
  for (const RunRow& row : family) {
    if (IsTerminal(row.status)) continue;
    if (row.status == RunStatus::kPaused) return Do(row.id, engine::Unpause{"hand"});
    if (pauses_left_ > 0 && row.status == RunStatus::kRunning && random_.Below(12) == 0) {
      --pauses_left_;
      return Do(row.id, engine::Pause{"hand"});
    }
    if (row.open_questions > 0 && Answer(row)) return true;
  }
  return LetsTimePass(family);
}

// Nobody answers what is called mute or deaf, what is called late only when it is asked again; at a turn the
// run goes back once.
bool Hand::Answer(const RunRow& row) {
  const auto loaded = world_.Await(world_.supervisor.Read(row.id));
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  if (!loaded.ok()) return false;
  for (const engine::QuestionView& question : loaded->machine.OpenQuestions()) {
    const std::vector<std::string_view> words = Split(question.text, ' ');
    if (words[0] == "mute" || words[0] == "deaf") continue;
    if (words[0] == "late" && world_.CountEvents(row.id, v1::Event::kInterviewTimeout) == 0) continue;
    if (words[0] == "turn" && TakesBack(row.id, std::string(words[1]))) return true;
    const auto told = world_.AnswerWith(row.id, question.id, question.options.front().key);
    if (told.ok()) told_.Note(*told);
    return true;
  }
  return false;
}

bool Hand::TakesBack(RunId run, const std::string& number) {
  const auto checkpoints = world_.Await(world_.supervisor.Checkpoints(run));
  EXPECT_TRUE(checkpoints.ok()) << checkpoints.status();
  if (!checkpoints.ok()) return false;
  const auto wanted = std::ranges::find_if(
      *checkpoints, [&](const engine::CheckpointEntry& entry) { return entry.node_id == "back" + number; });
  EXPECT_NE(wanted, checkpoints->end()) << "no checkpoint after back" << number;
  if (wanted == checkpoints->end()) return false;
  for (const v1::Event& event : world_.Events(run)) {
    if (event.has_workflow_run_rewound() && event.workflow_run_rewound().checkpoint() == ToUint(wanted->id))
      return false;
  }
  const auto told = world_.Await(world_.supervisor.Rewind(run, wanted->id, "hand"));
  if (told.ok()) told_.Note(*told);
  return true;
}

// To the next instant that one of them waits for, once somebody sleeps until then: whoever has looked at the
// clock, but does not sleep yet, would sleep too long.
bool Hand::LetsTimePass(const std::vector<RunRow>& family) {
  std::optional<Timestamp> next;
  for (const RunRow& row : family) {
    if (!IsTerminal(row.status) && row.wake_at) next = std::min(next.value_or(*row.wake_at), *row.wake_at);
  }
  if (!next || *next <= world_.time.Now()) return false;
  const std::optional<Timestamp> sleeper = world_.time.EarliestSleeper();
  if (!sleeper || *sleeper > *next) return false;
  world_.time.AdvanceTo(*sleeper);
  return true;
}

bool Hand::Do(RunId run, engine::Input input) {
  const auto told = world_.Tell(run, std::move(input));
  EXPECT_TRUE(told.ok() || absl::IsFailedPrecondition(told.status())) << told.status();
  if (told.ok()) told_.Note(*told);
  return told.ok();
}

}  // namespace fabro::crash
