// Durable steps per second of whole runs: engine, actors, scheduler and store, without gRPC and HTTP. The
// runs are chains of conditional nodes, so nothing but the server's own work takes time. Beside it the bare
// floor: SQLite on one thread with the same rows, one transaction for as many steps as runs are in flight.
// Both alternate, because the disk's speed drifts.
//
//   step_bench [steps a measurement = 20000] [rounds = 5] [directory = .]
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "core/async/blocking_pool.h"
#include "core/async/runtime.h"
#include "core/async/waiter.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/strings.h"
#include "core/events/event_hub.h"
#include "core/runtime/supervisor.h"
#include "core/scheduler/timers.h"
#include "core/storage/apply.h"
#include "core/storage/sqlite/sqlite_connection.h"
#include "core/storage/sqlite/sqlite_store.h"
#include "core/workflow/load.h"
#include "tests/support/run_task.h"

namespace fabro::runtime {
namespace {

using Steady = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

class NoStages final : public stages::StageRunner {
 public:
  Task<engine::Outcome> Run(stages::StageRequest, stages::StageOutputSink*) override { std::abort(); }
};

std::shared_ptr<const workflow::Graph> Chain(int steps) {
  std::string source = "digraph chain { s [shape=Mdiamond]; e [shape=Msquare]; node [shape=diamond]; s";
  for (int n = 1; n < steps; ++n) source += StrCat(" -> d", n);
  source += " -> e }";
  workflow::LoadResult loaded = workflow::LoadWorkflow(source, {}, {});
  if (loaded.graph == nullptr) std::abort();
  return loaded.graph;
}

// The parts of a core that a run needs.
struct Core {
  Core(Runtime& r, std::size_t slots, Limits limits, const std::filesystem::path& directory)
      : runtime(r),
        runs_dir((directory / "runs").string()),
        store(Open(directory)),
        admission(slots, [this](RunId run) { supervisor.OnGrant(run); }),
        timers(*store, SystemTime(),
               [this](std::vector<RunId> runs) { return supervisor.OnTimersDue(std::move(runs)); }),
        supervisor(Work{r.executor(),
                        *store,
                        SystemTime(),
                        SystemRandom(),
                        stages,
                        hub,
                        admission,
                        timers,
                        runs_dir,
                        {},
                        limits},
                   files),
        ids(SystemRandom()) {
    admission.Start();
  }
  ~Core() { testing::RunTask(runtime.executor(), StopAll(&supervisor)); }

  static Task<bool> StopAll(Supervisor* supervisor) {
    co_await supervisor->Stop(std::chrono::milliseconds(0));
    co_return true;
  }
  static std::unique_ptr<storage::Store> Open(const std::filesystem::path& directory) {
    storage::sqlite::SqliteOptions options;
    options.path = directory / "fabro.db";
    auto store = storage::sqlite::OpenSqliteStore(options);
    if (!store.ok()) std::puts(Describe(store.status()).c_str()), std::abort();
    return *std::move(store);
  }

  Runtime& runtime;
  const std::string runs_dir;
  std::unique_ptr<storage::Store> store;
  NoStages stages;
  events::EventHub hub;
  BlockingPool files{"files", 1, 64};
  scheduler::Admission admission;
  scheduler::Timers timers;
  Supervisor supervisor;
  RunIdSource ids;
};

// Starts a run and waits for its end; the number of its last event, 0 when it failed.
Task<std::uint64_t> RunOne(Core* core, std::shared_ptr<const workflow::Graph> graph) {
  NewRun run;
  run.row.id = core->ids.Next(SystemTime().Now());
  run.row.created_at = SystemTime().Now();
  run.row.workflow_slug = run.row.workflow_name = run.row.title = "chain";
  run.source = {"digraph {}", "{}", "{}"};
  run.graph = std::move(graph);
  const RunId id = run.row.id;
  events::EventHub::Subscription subscription(core->hub, id);
  const auto created = co_await core->supervisor.Create(std::move(run));
  if (!created.ok()) co_return 0;
  while (true) {
    const auto row = co_await core->store->GetRun(id);
    if (!row.ok()) co_return 0;
    if (IsTerminal(row->status)) co_return row->status == RunStatus::kCompleted ? ToUint(row->head) : 0;
    const absl::Status more = co_await subscription.WaitPast(row->head);
    if (!more.ok()) co_return 0;
  }
}

Task<void> RunSome(Core* core, std::shared_ptr<const workflow::Graph> graph, int runs,
                   std::uint64_t* events) {
  for (int n = 0; n < runs; ++n) {
    const std::uint64_t head = co_await RunOne(core, graph);
    if (head == 0) std::puts("a run failed"), std::abort();
    *events += head;
  }
}

struct Measured {
  double steps_per_second = 0;
  double events_per_step = 0;
};

constexpr int kChain = 100;

Measured Ours(Runtime& runtime, int in_flight, int steps, Limits limits,
              const std::filesystem::path& directory) {
  const int runs_each = std::max(1, steps / kChain / in_flight);
  Core core(runtime, static_cast<std::size_t>(in_flight), limits, directory);
  const auto graph = Chain(kChain);
  std::vector<std::uint64_t> events(static_cast<std::size_t>(in_flight));
  const auto begin = Steady::now();
  {
    TaskScope scope(runtime.executor());
    for (std::uint64_t& count : events) scope.Spawn("client", RunSome(&core, graph, runs_each, &count));
    scope.JoinBlocking();
  }
  const double took = Seconds(Steady::now() - begin).count();
  const double done = static_cast<double>(runs_each) * kChain * in_flight;
  double all = 0;
  for (const std::uint64_t count : events) all += static_cast<double>(count);
  return {done / took, all / done};
}

// The rows of one step as the engine writes them: StageStarted, StageCompleted, EdgeSelected,
// CheckpointCompleted.
storage::WriteBatch Step(storage::RunRow& row, int records) {
  storage::AppendRecords append;
  append.expected_head = row.head;
  row.stage_count += 1;
  row.updated_at.unix_ms += 1;
  append.row = row;
  for (int n = 0; n < records; ++n)
    append.records.push_back({std::string(95, 'e'), n == 1 ? std::string(60, 'd') : ""});
  row.head = EventSeq(ToUint(row.head) + append.records.size());
  storage::WriteBatch batch;
  batch.writes.emplace_back(std::move(append));
  return batch;
}

double Floor(int in_flight, int steps, int records, const std::filesystem::path& directory) {
  const std::string path = (directory / "fabro.db").string();
  if (Core::Open(directory) == nullptr) std::abort();
  auto connection =
      storage::sqlite::SqliteConnection::Open(path, storage::sqlite::SqliteConnection::Role::kWriter);
  if (!connection.ok() || !(*connection)->RunScript("PRAGMA wal_autocheckpoint = 4096").ok()) std::abort();
  std::vector<storage::RunRow> rows(static_cast<std::size_t>(in_flight));
  RunIdSource ids(SystemRandom());
  if (!(*connection)->Begin().ok()) std::abort();
  for (storage::RunRow& row : rows) {
    row.id = ids.Next(SystemTime().Now());
    row.status = RunStatus::kRunning;
    row.workflow_slug = row.title = "chain";
    storage::WriteBatch batch;
    batch.writes.emplace_back(storage::CreateRun{row, {"digraph {}", "{}", "{}"}, {}});
    if (!Apply(**connection, batch).status.ok()) std::abort();
  }
  if (!(*connection)->Commit().ok()) std::abort();
  int done = 0;
  const auto begin = Steady::now();
  while (done < steps) {
    if (!(*connection)->Begin().ok()) std::abort();
    for (storage::RunRow& row : rows) {
      storage::WriteBatch batch = Step(row, records);
      if (!Apply(**connection, batch).status.ok()) std::abort();
    }
    if (!(*connection)->Commit().ok()) std::abort();
    done += in_flight;
  }
  return done / Seconds(Steady::now() - begin).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int Main(int argc, char** argv) {
  const int steps = argc > 1 ? std::atoi(argv[1]) : 20'000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  const auto directory = std::filesystem::path(argc > 3 ? argv[3] : ".") / "step_bench.tmp";
  constexpr std::array kInFlight{1, 16, 64};
  constexpr std::array kAims{0.8, 0.5, 0.6};
  std::array<std::vector<double>, 3> floor, single, ours;
  double events = 0;
  Runtime runtime(Runtime::DefaultThreads());
  Limits one_step;
  one_step.steps_per_commit = 1;
  auto fresh = [&directory] {
    std::filesystem::remove_all(directory);
    std::filesystem::create_directories(directory);
    return directory;
  };
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < kInFlight.size(); ++i) {
      const int some = kInFlight[i] == 1 ? steps / 5 : steps;
      const Measured measured = Ours(runtime, kInFlight[i], some, Limits(), fresh());
      ours[i].push_back(measured.steps_per_second);
      events = measured.events_per_step;
      single[i].push_back(Ours(runtime, kInFlight[i], some, one_step, fresh()).steps_per_second);
      floor[i].push_back(Floor(kInFlight[i], some, static_cast<int>(events + 0.5), fresh()));
    }
  }
  std::filesystem::remove_all(directory);
  std::printf("durable steps per second (medians of %d; %.1f events a step)\n", rounds, events);
  std::puts("runs in flight  SQLite floor  a commit a step  ratio   as shipped  ratio   aim");
  for (std::size_t i = 0; i < kInFlight.size(); ++i) {
    const double below = Median(floor[i]);
    std::printf("%14d %13.0f %16.0f %6.2f %12.0f %6.2f %5.1f\n", kInFlight[i], below, Median(single[i]),
                Median(single[i]) / below, Median(ours[i]), Median(ours[i]) / below, kAims[i]);
  }
  return 0;
}

}  // namespace
}  // namespace fabro::runtime

int main(int argc, char** argv) { return fabro::runtime::Main(argc, argv); }
