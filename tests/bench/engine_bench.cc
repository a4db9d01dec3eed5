// What a step of a run costs before anything is stored: deciding, folding and encoding its events, in
// microseconds. usage: engine_bench [steps]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/engine/machine.h"
#include "core/workflow/load.h"

namespace fabro {
namespace {

using engine::Machine;
using SteadyClock = std::chrono::steady_clock;

double MicrosecondsSince(SteadyClock::time_point begin) {
  return std::chrono::duration<double, std::micro>(SteadyClock::now() - begin).count();
}

// Two diamonds and a command in a circle, with conditions over the context on the way.
constexpr std::string_view kCircle = R"(digraph circle {
  graph [goal="Measure"]
  start -> work
  work [shape=parallelogram, script="w"]
  work -> one
  one [shape=diamond]
  two [shape=diamond]
  one -> exit [condition="context.left = 0"]
  one -> two [condition="outcome=success && context.left > 0"]
  two -> exit [condition="context.name matches ^z"]
  two -> work
})";

engine::RunSeed MakeSeed() {
  return {.id = *RunId::Parse("01HZZZZZZZZZZZZZZZZZZZZZZZ"),
          .graph = workflow::LoadWorkflow(kCircle, {}, {}).graph,
          .goal = "",
          .work_dir = "/work"};
}

Machine MachineInTheCircle(const engine::RunSeed& seed, Timestamp now, std::vector<engine::Record>& records) {
  Machine machine = Machine::Create(seed);
  const auto feed = [&](const engine::Input& input) {
    for (engine::Record& record : machine.Handle(input, now, SystemRandom()).records) {
      records.push_back(std::move(record));
    }
  };
  feed(engine::Start{});
  feed(engine::Continue{});
  engine::StageFinished finished{.execution = machine.Executions().front().execution};
  finished.outcome.context_updates = {
      {"left", "1000000000"}, {"name", "\"abc\""}, {"command.output", "\"ok\""}};
  feed(finished);
  return machine;
}

int Main(int steps) {
  const engine::RunSeed seed = MakeSeed();
  Timestamp now{1'767'225'600'000};
  std::vector<engine::Record> records;
  Machine machine = MachineInTheCircle(seed, now, records);

  std::vector<double> rounds;
  std::size_t bytes = 0;
  std::size_t snapshots = 0;
  constexpr int kRounds = 10;
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = SteadyClock::now();
    for (int i = 0; i < steps / kRounds; ++i) {
      now.unix_ms += 1;
      const std::vector<engine::ExecutionView> executions = machine.Executions();
      engine::Input input = engine::Continue{};
      if (!executions.empty()) input = engine::StageFinished{.execution = executions.front().execution};
      engine::Output output = machine.Handle(input, now, SystemRandom());
      for (engine::Record& record : output.records) {
        bytes += record.event.size() + record.delta.size();
        records.push_back(std::move(record));
      }
      snapshots += machine.MaybeSnapshot() ? 1 : 0;
    }
    rounds.push_back(MicrosecondsSince(begin) / (steps / kRounds));
  }
  std::ranges::sort(rounds);
  std::printf("step: %.2f us (median of %d; %.2f to %.2f), %zu bytes, %zu snapshots in %d steps\n",
              rounds[kRounds / 2], kRounds, rounds.front(), rounds.back(), bytes / steps, snapshots, steps);

  std::vector<engine::RecordView> views;
  for (const engine::Record& record : records) views.push_back({record.event, record.delta});
  auto begin = SteadyClock::now();
  const bool restored = Machine::Restore(seed, "", views).ok();
  std::printf("restore: %.2f us an event (%zu events, %s)\n", MicrosecondsSince(begin) / views.size(),
              views.size(), restored ? "ok" : "FAILED");
  begin = SteadyClock::now();
  const std::string snapshot = machine.Snapshot();
  std::printf("snapshot of %d stages: %.0f us, %zu bytes\n", steps, MicrosecondsSince(begin),
              snapshot.size());
  return restored ? 0 : 1;
}

}  // namespace
}  // namespace fabro

int main(int argc, char** argv) {
  return fabro::Main(argc > 1 ? std::max(100, std::atoi(argv[1])) : 100'000);
}
