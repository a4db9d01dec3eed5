// Everything that runs workflows, put together without a network: the real store, scheduler and supervisor on
// time, chance and stages that belong to the test.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/async/blocking_pool.h"
#include "core/async/runtime.h"
#include "core/async/with_deadline.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/events/event_hub.h"
#include "core/runtime/supervisor.h"
#include "core/scheduler/timers.h"
#include "core/storage/sqlite/sqlite_store.h"
#include "core/workflow/load.h"
#include "fabro/v1/event.pb.h"
#include "tests/support/manual_time.h"
#include "tests/support/run_task.h"
#include "tests/support/scripted_stages.h"
#include "tests/support/seeded_random.h"

namespace fabro::testing {

struct WorldOptions {
  std::filesystem::path folder;
  std::size_t slots = 5;
  std::uint64_t seed = 1;
  Timestamp now = Timestamp{1'767'225'600'000};
  std::function<std::unique_ptr<storage::SqlConnection>(std::unique_ptr<storage::SqlConnection>)> wrap;
  runtime::Limits limits = {};
  stages::RunPreparer* preparer = nullptr;
  runtime::WorkflowSource* workflows = nullptr;
};

class RunWorld {
 public:
  explicit RunWorld(WorldOptions options)
      : options_(std::move(options)),
        runtime(2),
        time(options_.now),
        random(options_.seed),
        store(OpenStore()),
        files("files", 1, 1024),
        background(runtime.executor()),
        admission(options_.slots, [this](RunId run) { supervisor.OnGrant(run); }),
        timers(*store, time,
               [this](std::vector<RunId> runs) { return supervisor.OnTimersDue(std::move(runs)); }),
        supervisor(runtime::Work{runtime.executor(),
                                 *store,
                                 time,
                                 random,
                                 stages,
                                 hub,
                                 admission,
                                 timers,
                                 "/runs",
                                 {},
                                 options_.limits,
                                 options_.preparer,
                                 options_.workflows},
                   files),
        run_ids(random) {}
  ~RunWorld() { Stop(std::chrono::milliseconds(0)); }

  // What a server does when it starts; a test may look around before.
  void Start() {
    ASSERT_TRUE(Await(supervisor.Recover()).ok());
    background.Spawn("timers", timers.Run());
    admission.Start();
  }
  void Stop(std::chrono::milliseconds grace) {
    if (std::exchange(stopped_, true)) return;
    background.Cancel();
    background.JoinBlocking();
    TaskScope stopping(runtime.executor());
    stopping.Spawn("stop", supervisor.Stop(grace));
    stopping.JoinBlocking();
    store->Close();
  }

  template <typename T>
  T Await(Task<T> task) {
    return RunTask(runtime.executor(), std::move(task));
  }

  runtime::NewRun MakeRun(const std::string& source) {
    const workflow::LoadResult loaded = workflow::LoadWorkflow(source, {}, {});
    EXPECT_NE(loaded.graph, nullptr) << workflow::JoinMessages(loaded.diagnostics);
    runtime::NewRun run;
    run.row.id = run_ids.Next(time.Now());
    run.row.created_at = time.Now();
    run.row.workflow_name = loaded.graph->name;
    run.row.goal = loaded.graph->goal;
    run.source.source = source;
    run.source.vars_json = "{}";
    run.graph = loaded.graph;
    return run;
  }
  RunId Create(const std::string& source) {
    const auto created = Await(supervisor.Create(MakeRun(source)));
    EXPECT_TRUE(created.ok()) << created.status();
    return created.ok() ? created->id : RunId();
  }
  absl::StatusOr<storage::RunRow> Tell(RunId run, engine::Input input) {
    return Await(supervisor.Tell(run, std::move(input)));
  }
  absl::StatusOr<storage::RunRow> AnswerWith(RunId run, std::string question, std::string key) {
    engine::Answer answer;
    answer.question_id = std::move(question);
    answer.selected_option_key = std::move(key);
    answer.by = "tester";
    return Tell(run, answer);
  }

  storage::RunRow Row(RunId run) {
    const auto row = Await(store->GetRun(run));
    EXPECT_TRUE(row.ok()) << row.status();
    return row.ok() ? *row : storage::RunRow();
  }
  // The run's row as soon as it is as wanted; a failure of the test after 30 s of real time.
  storage::RunRow AwaitRow(RunId run, std::function<bool(const storage::RunRow&)> wanted) {
    auto row = Await(WithDeadline(Deadline::In(std::chrono::seconds(30)), Watch(run, std::move(wanted))));
    EXPECT_TRUE(row.ok()) << row.status() << "; " << Describe(run);
    return row.ok() ? *std::move(row) : Row(run);
  }
  // For a failure's message.
  std::string Describe(RunId run) {
    const storage::RunRow row = Row(run);
    std::string text = StrCat("the run is ", ToString(row.status), " at ", row.current_node, ", ",
                              FormatRfc3339(time.Now()));
    if (row.wake_at) text += StrCat(", wakes at ", FormatRfc3339(*row.wake_at));
    text += StrCat(", slots held: ", admission.counts().held, ", its last events:");
    const std::vector<storage::EventBytes> log = Log(run);
    for (std::size_t i = log.size() - std::min<std::size_t>(log.size(), 6); i < log.size(); ++i) {
      v1::Event event;
      EXPECT_TRUE(event.ParseFromString(log[i].event));
      text += StrCat("\n  ", event.ShortDebugString());
    }
    return text;
  }
  // Until the run has an event past `seen`, for at most so long in real time.
  void AwaitNews(RunId run, EventSeq seen, std::chrono::milliseconds at_most) {
    (void)Await(WithDeadline(Deadline::In(at_most), WatchPast(run, seen)));
  }
  storage::RunRow AwaitEnd(RunId run) {
    return AwaitRow(run, [](const storage::RunRow& row) { return IsTerminal(row.status); });
  }
  storage::RunRow AwaitQuestion(RunId run) {
    return AwaitRow(run, [](const storage::RunRow& row) { return row.open_questions > 0; });
  }
  // Until no run is in memory: whatever is left waits for a person, a time or a slot.
  void AwaitNoActors() {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (supervisor.actor_count() != 0) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up) << supervisor.actor_count() << " actors stay";
      std::this_thread::yield();
    }
  }

  std::vector<storage::EventBytes> Log(RunId run) {
    std::vector<storage::EventBytes> all;
    while (true) {
      const EventSeq after = all.empty() ? EventSeq{0} : all.back().seq;
      auto page = Await(store->ReadEvents(run, after, storage::ReadLimits()));
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok() || page->empty()) return all;
      for (auto& event : *page) all.push_back(std::move(event));
    }
  }
  std::vector<v1::Event> Events(RunId run) {
    std::vector<v1::Event> events;
    for (const storage::EventBytes& bytes : Log(run)) {
      EXPECT_TRUE(events.emplace_back().ParseFromString(bytes.event));
      EXPECT_EQ(events.back().id(), events.size());
    }
    return events;
  }
  int CountEvents(RunId run, v1::Event::PayloadCase what) {
    int count = 0;
    for (const v1::Event& event : Events(run)) count += event.payload_case() == what ? 1 : 0;
    return count;
  }

 private:
  std::unique_ptr<storage::Store> OpenStore() {
    storage::sqlite::SqliteOptions sqlite;
    sqlite.path = options_.folder / "fabro.db";
    sqlite.wrap = options_.wrap;
    auto opened = storage::sqlite::OpenSqliteStore(std::move(sqlite));
    EXPECT_TRUE(opened.ok()) << opened.status();
    return *std::move(opened);
  }
  Task<absl::StatusOr<storage::RunRow>> Watch(RunId run, std::function<bool(const storage::RunRow&)> wanted) {
    events::EventHub::Subscription subscription(hub, run);
    while (true) {
      absl::StatusOr<storage::RunRow> row = co_await store->GetRun(run);
      if (!row.ok() || wanted(*row)) co_return row;
      // A slot that comes or goes changes the row and makes no event: then a second look finds it.
      const Deadline look_again = Deadline::In(std::chrono::milliseconds(20));
      const absl::Status news = co_await WithDeadline(look_again, subscription.WaitPast(row->head));
      const bool cancelled = co_await IsCancelled();
      if (cancelled) co_return news;
    }
  }

  Task<absl::Status> WatchPast(RunId run, EventSeq seen) {
    events::EventHub::Subscription subscription(hub, run);
    const absl::StatusOr<storage::RunRow> row = co_await store->GetRun(run);
    if (row.ok() && row->head > seen) co_return absl::OkStatus();
    co_return co_await subscription.WaitPast(seen);
  }

  const WorldOptions options_;
  bool stopped_ = false;

 public:
  Runtime runtime;
  ManualTime time;
  SeededRandom random;
  std::unique_ptr<storage::Store> store;
  events::EventHub hub;
  BlockingPool files;
  ScriptedStages stages;
  TaskScope background;
  scheduler::Admission admission;
  scheduler::Timers timers;
  runtime::Supervisor supervisor;
  RunIdSource run_ids;
};

}  // namespace fabro::testing
