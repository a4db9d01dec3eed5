#include "tests/scenario/checks.h"

#include <gtest/gtest.h>

#include <map>
#include <span>

#include "core/base/error.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/event.pb.h"
#include "tests/scenario/render.h"

namespace fabro::scenario {
namespace {

using engine::Machine;
using engine::Record;
using engine::RecordView;

bool IsTerminalEvent(const v1::Event& event) {
  return event.has_workflow_run_completed() || event.has_workflow_run_failed() ||
         event.has_workflow_run_cancelled();
}

void CheckLog(const Player& player) {
  std::uint64_t id = 0;
  std::int64_t last_ms = 0;
  bool ended = false;
  // By course: the node of the stage in hand.
  std::map<std::uint32_t, std::string> in_hand;
  for (const Record& record : player.records()) {
    v1::Event event;
    internal::v1::StateDelta delta;
    ASSERT_TRUE(event.ParseFromString(record.event));
    ASSERT_TRUE(delta.ParseFromString(record.delta));
    EXPECT_EQ(event.id(), ++id);
    EXPECT_EQ(event.run_id(), player.seed().id.ToString());
    const std::int64_t ms = event.ts().seconds() * 1000 + event.ts().nanos() / 1'000'000;
    EXPECT_GE(ms, last_ms) << "event " << id;
    last_ms = ms;
    EXPECT_FALSE(ended) << "event " << id << " follows the terminal one";
    ended = IsTerminalEvent(event);
    if (event.has_stage_started()) {
      const std::string& node = event.stage_started().node_id();
      const auto [at, is_new] = in_hand.emplace(delta.frame(), node);
      EXPECT_TRUE(is_new || at->second == node) << "event " << id;
    }
    const bool failed = event.has_stage_failed() && !event.stage_failed().will_retry();
    if (event.has_stage_completed() || failed) {
      EXPECT_EQ(in_hand.erase(delta.frame()), 1U) << "event " << id << " ends no stage";
    }
  }
  EXPECT_EQ(ended, IsTerminal(player.machine().status()));
  if (ended) {
    EXPECT_TRUE(in_hand.empty()) << "a stage never ended";
  }
}

std::vector<RecordView> Views(std::span<const Record> records) {
  std::vector<RecordView> views;
  for (const Record& record : records) views.push_back({record.event, record.delta});
  return views;
}

void ExpectSame(const Machine& restored, const Player& player) {
  const Machine& live = player.machine();
  EXPECT_EQ(restored.Snapshot(), live.Snapshot());
  EXPECT_EQ(restored.head(), live.head());
  EXPECT_EQ(restored.status(), live.status());
  EXPECT_EQ(restored.ContextJson(), live.ContextJson());
  EXPECT_EQ(restored.outcome(), live.outcome());
  EXPECT_EQ(restored.error(), live.error());
  EXPECT_EQ(restored.current_node(), live.current_node());
  EXPECT_EQ(restored.stage_count(), live.stage_count());
  EXPECT_EQ(restored.question_text(), live.question_text());
  EXPECT_EQ(restored.Stages().size(), live.Stages().size());
  EXPECT_EQ(restored.OpenQuestions().size(), live.OpenQuestions().size());
  EXPECT_EQ(restored.Checkpoint().has_value(), live.Checkpoint().has_value());
}

void CheckReplay(const Player& player) {
  const std::vector<RecordView> all = Views(player.records());
  for (const Player::Moment& moment : player.moments()) {
    const std::span<const RecordView> before(all.data(), moment.records);
    const std::span<const RecordView> after(all.data() + moment.records, all.size() - moment.records);
    absl::StatusOr<Machine> then = Machine::Restore(player.seed(), "", before);
    ASSERT_TRUE(then.ok()) << Describe(then.status());
    EXPECT_EQ(then->Snapshot(), moment.snapshot) << "replayed up to event " << moment.records;
    absl::StatusOr<Machine> now = Machine::Restore(player.seed(), moment.snapshot, after);
    ASSERT_TRUE(now.ok()) << Describe(now.status());
    ExpectSame(*now, player);
  }
}

}  // namespace

void CheckInvariants(const Player& player) {
  CheckLog(player);
  CheckReplay(player);
}

}  // namespace fabro::scenario
