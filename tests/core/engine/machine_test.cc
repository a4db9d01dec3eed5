// What the stories (tests/scenario) cannot tell: damaged logs, snapshots, and how often they are taken.
#include "core/engine/machine.h"

#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/workflow/load.h"

namespace fabro::engine {
namespace {

constexpr Timestamp kNow{1'767'225'600'000};

std::shared_ptr<const workflow::Graph> Load(std::string_view source) {
  const workflow::LoadResult loaded = workflow::LoadWorkflow(source, {}, {});
  EXPECT_NE(loaded.graph, nullptr) << workflow::JoinMessages(loaded.diagnostics);
  return loaded.graph;
}

RunSeed SeedOf(std::string_view source) {
  return {
      .id = *RunId::Parse("01HZZZZZZZZZZZZZZZZZZZZZZZ"), .graph = Load(source), .goal = "", .work_dir = ""};
}

std::vector<RecordView> Views(const std::vector<Record>& records) {
  std::vector<RecordView> views;
  for (const Record& record : records) views.push_back({record.event, record.delta});
  return views;
}

// Feeds the input and then whatever needs nothing from outside; at most `steps` of it.
std::vector<Record> Drive(Machine& machine, const Input& input, int steps) {
  std::vector<Record> records;
  Input next = input;
  for (int i = 0; i < steps; ++i) {
    Output output = machine.Handle(next, kNow, SystemRandom());
    for (Record& record : output.records) records.push_back(std::move(record));
    if (output.effects.empty() || !std::holds_alternative<ContinueStep>(output.effects.back())) break;
    next = Continue{};
  }
  return records;
}

constexpr std::string_view kLine = R"(digraph line {
  start -> build -> exit
  build [shape=parallelogram, script="make"]
})";

constexpr std::string_view kCircle = R"(digraph circle {
  start -> one
  one [shape=diamond]
  two [shape=diamond]
  one -> two  two -> one
  one -> exit [condition="context.never=1"]
})";

TEST(Machine, RefusesALogWithAGap) {
  Machine machine = Machine::Create(SeedOf(kLine));
  std::vector<Record> records = Drive(machine, Start{}, 9);
  records.erase(records.begin() + 2);
  const auto restored = Machine::Restore(SeedOf(kLine), "", Views(records));
  EXPECT_EQ(restored.status().code(), absl::StatusCode::kDataLoss);
}

TEST(Machine, RefusesALogOfAnotherGraph) {
  Machine machine = Machine::Create(SeedOf(kLine));
  const std::vector<Record> records = Drive(machine, Start{}, 9);
  const auto other = SeedOf("digraph { start -> test -> exit test [shape=parallelogram, script=t] }");
  EXPECT_EQ(Machine::Restore(other, "", Views(records)).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Machine::Restore(other, machine.Snapshot(), {}).status().code(), absl::StatusCode::kDataLoss);
}

TEST(Machine, RefusesASnapshotOfAnotherRun) {
  Machine machine = Machine::Create(SeedOf(kLine));
  RunSeed other = SeedOf(kLine);
  other.id = *RunId::Parse("01HYYYYYYYYYYYYYYYYYYYYYYY");
  EXPECT_EQ(Machine::Restore(other, machine.Snapshot(), {}).status().code(), absl::StatusCode::kDataLoss);
}

// Branches, a question, a child and what was decided before: all that a snapshot can hold.
constexpr std::string_view kBusy = R"(digraph busy {
  start -> fan
  fan [shape=component]
  ask [shape=hexagon, label="Go?", timeout="1m"]
  work [shape=parallelogram, script="w"]
  kid [shape=house, stack.child_workflow="kid.dot"]
  nap [shape=insulator, duration="1m"]
  inner [shape=component]
  join [shape=tripleoctagon]
  fan -> ask  fan -> work -> join  fan -> kid -> join  fan -> inner  fan -> nap -> join
  inner -> nap  inner -> work
  ask -> join [label="Yes"]
  join -> exit
})";

TEST(Machine, SurvivesDamageOfBranches) {
  google::protobuf::SetLogHandler(nullptr);
  const RunSeed seed = SeedOf(kBusy);
  Machine machine = Machine::Create(seed);
  std::vector<Record> records = Drive(machine, Start{}, 20);
  const std::string snapshot = machine.Snapshot();
  int refused = 0;
  for (std::size_t i = 0; i < snapshot.size(); ++i) {
    for (const char flip : {'\x01', '\x02', '\x04', '\x80', '\xff'}) {
      std::string damaged = snapshot;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      for (const Input& input : {Input(Resume{.crashed = true}), Input(TimerDue{}), Input(Cancel{"x"})}) {
        absl::StatusOr<Machine> restored = Machine::Restore(seed, damaged, {});
        refused += restored.ok() ? 0 : 1;
        if (!restored.ok()) break;
        restored->Handle(input, Timestamp{kNow.unix_ms + 120'000}, SystemRandom());
        restored->Checkpoint();
        restored->Stages();
        restored->OpenQuestions();
        restored->ContextJson();
        restored->wake_at();
      }
    }
  }
  EXPECT_GT(refused, 300);
  for (Record& record : records) {
    for (std::string* bytes : {&record.event, &record.delta}) {
      for (char& byte : *bytes) {
        byte = static_cast<char>(byte ^ 0x41);
        Machine::Restore(seed, "", Views(records)).status().IgnoreError();
        byte = static_cast<char>(byte ^ 0x41);
      }
    }
  }
  EXPECT_TRUE(Machine::Restore(seed, "", Views(records)).ok());
}

// Every prefix and every changed byte of a log gives an error or a state, and never anything worse.
TEST(Machine, SurvivesDamage) {
  google::protobuf::SetLogHandler(nullptr);  // it would tell each damaged text
  Machine machine = Machine::Create(SeedOf(kCircle));
  std::vector<Record> records = Drive(machine, Start{}, 4);
  const std::string snapshot = machine.Snapshot();
  const RunSeed seed = SeedOf(kCircle);
  int refused = 0;
  for (std::size_t i = 0; i < snapshot.size(); ++i) {
    refused += Machine::Restore(seed, snapshot.substr(0, i), {}).ok() ? 0 : 1;
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      std::string damaged = snapshot;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      absl::StatusOr<Machine> restored = Machine::Restore(seed, damaged, Views(records));
      refused += restored.ok() ? 0 : 1;
      restored = Machine::Restore(seed, damaged, {});
      if (!restored.ok()) continue;
      restored->Handle(Resume{.crashed = true}, kNow, SystemRandom());
      restored->Handle(Cancel{"x"}, kNow, SystemRandom());
      restored->Checkpoint();
      restored->Stages();
      restored->OpenQuestions();
    }
  }
  EXPECT_GT(refused, 100);
  for (Record& record : records) {
    for (char& byte : record.event) {
      byte = static_cast<char>(byte ^ 0x41);
      Machine::Restore(seed, "", Views(records)).status().IgnoreError();
      byte = static_cast<char>(byte ^ 0x41);
    }
  }
  EXPECT_TRUE(Machine::Restore(seed, "", Views(records)).ok());
}

TEST(Machine, TakesSnapshotsInProportionToItsLog) {
  Machine machine = Machine::Create(SeedOf(kCircle));
  std::size_t log_bytes = 0;
  std::size_t snapshot_bytes = 0;
  std::size_t tail_bytes = 0;
  std::string latest;
  Input input = Start{};
  for (int step = 0; step < 20000; ++step) {
    for (const Record& record : machine.Handle(input, kNow, SystemRandom()).records) {
      tail_bytes += record.event.size() + record.delta.size();
      log_bytes += record.event.size() + record.delta.size();
    }
    input = Continue{};
    if (std::optional<std::string> snapshot = machine.MaybeSnapshot()) {
      latest = *std::move(snapshot);
      snapshot_bytes += latest.size();
      tail_bytes = 0;
    }
    ASSERT_LE(tail_bytes, std::max<std::size_t>(latest.size(), 32 * 1024) + 4096);
  }
  EXPECT_GT(snapshot_bytes, 0U);
  EXPECT_LT(snapshot_bytes, log_bytes);
}

TEST(Machine, StopsAtTheVisitLimitOfAnEndlessCircle) {
  std::string source(kCircle);
  source.insert(source.find('{') + 1, " graph [max_node_visits=1000]\n");
  Machine machine = Machine::Create(SeedOf(source));
  Drive(machine, Start{}, 100000);
  EXPECT_EQ(machine.status(), RunStatus::kFailed);
  EXPECT_EQ(machine.error(), "node \"one\" visited 1000 times (graph limit 1000); run is stuck in a cycle");
}

TEST(Machine, EndsACircleThatNeedsNothingFromOutside) {
  Machine machine = Machine::Create(SeedOf(kCircle));
  Drive(machine, Start{}, 100000);
  EXPECT_EQ(machine.status(), RunStatus::kFailed);
  EXPECT_EQ(machine.error(),
            "node \"two\": 10000 steps in a row needed nothing from outside; run is stuck in a cycle");
}

TEST(Machine, RefusesMoreBranchesThanItCanFollow) {
  std::string source =
      "digraph wide { start -> fan  fan [shape=component] join [shape=tripleoctagon] join -> exit";
  for (int i = 0; i < 1001; ++i)
    source += StrCat(" a", i, " [shape=parallelogram, script=x] fan -> a", i, " -> join");
  Machine machine = Machine::Create(SeedOf(source + " }"));
  Drive(machine, Start{}, 9);
  EXPECT_EQ(machine.status(), RunStatus::kFailed);
  EXPECT_EQ(machine.error(), "node \"fan\": 1001 more branches, beside 0, are over the limit of 1000");
}

// A parallel node whose branch leads back into it begins branches in branches.
TEST(Machine, EndsBranchesThatBranchForEver) {
  Machine machine = Machine::Create(SeedOf(R"(digraph hall {
    start -> fan
    fan [shape=component]
    again [shape=diamond]
    other [shape=diamond]
    fan -> again  fan -> other -> exit
    again -> fan
  })"));
  Drive(machine, Start{}, 100000);
  EXPECT_EQ(machine.status(), RunStatus::kFailed);
  EXPECT_NE(machine.error()->find("over the limit of 1000"), std::string::npos) << *machine.error();
}

TEST(Machine, KeepsTimeInOrderWhenTheClockIsSetBack) {
  Machine machine = Machine::Create(SeedOf(kLine));
  Drive(machine, Start{}, 9);
  machine.Handle(Cancel{"alice"}, Timestamp{kNow.unix_ms - 5000}, SystemRandom());
  EXPECT_EQ(machine.finished_at(), kNow);
}

}  // namespace
}  // namespace fabro::engine
