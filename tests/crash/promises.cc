#include "tests/crash/promises.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/strings.h"

namespace fabro::crash {
namespace {

std::int64_t When(const v1::Event& event) {
  return event.ts().seconds() * 1000 + event.ts().nanos() / 1'000'000;
}

// The node whose stage the event ends.
std::string EndedBy(const v1::Event& event) {
  if (event.has_stage_completed()) return event.stage_completed().node_id();
  if (event.has_stage_failed() && !event.stage_failed().will_retry()) return event.stage_failed().node_id();
  return "";
}

bool EndsRun(const v1::Event& event) {
  return event.has_workflow_run_completed() || event.has_workflow_run_failed() ||
         event.has_workflow_run_cancelled();
}

// Sorted: which of two branches is ahead is chance.
std::vector<std::string> PathOf(const Events& events) {
  std::vector<std::string> path;
  for (const v1::Event& event : events) {
    if (event.has_edge_selected()) path.push_back(event.edge_selected().to_node());
  }
  std::sort(path.begin(), path.end());
  return path;
}

// How often each question was asked, by its text. Which of two branches asks first is chance, so ids are not
// compared with those of another course of things.
std::map<std::string, int> QuestionsOf(const Events& events) {
  std::map<std::string, int> asked;
  for (const v1::Event& event : events) {
    if (event.has_interview_started()) ++asked[event.interview_started().question()];
  }
  return asked;
}

// Each stage that begins was gone to since its node last ended: what had ended does not run again.
class Steps {
 public:
  void See(const v1::Event& event) {
    if (event.has_workflow_run_started()) ++entries_["start"];
    if (event.has_edge_selected()) ++entries_[event.edge_selected().to_node()];
    if (event.has_parallel_branch_started()) ++entries_[event.parallel_branch_started().branch()];
    if (event.has_workflow_run_rewound()) is_rewound_ = true;
    if (event.has_stage_started()) Begin(event);
    if (const std::string node = EndedBy(event); !node.empty()) {
      EXPECT_EQ(open_.erase(node), 1U) << "ends what has not begun: " << event.ShortDebugString();
    }
  }
  void ExpectAllEnded() const { EXPECT_TRUE(open_.empty()) << *open_.begin() << " never ended"; }

 private:
  void Begin(const v1::Event& event) {
    const std::string& node = event.stage_started().node_id();
    if (event.stage_started().attempt() > 1) {
      EXPECT_TRUE(open_.contains(node)) << "runs again: " << event.ShortDebugString();
      return;
    }
    // The checkpoint's next stage, which nobody has gone to since.
    const bool is_entered = --entries_[node] >= 0 || std::exchange(is_rewound_, false);
    EXPECT_TRUE(is_entered) << "runs again: " << event.ShortDebugString();
    entries_[node] = std::max(entries_[node], 0);
    open_.insert(node);
  }

  std::map<std::string, int> entries_;
  std::set<std::string> open_;
  bool is_rewound_ = false;
};

// No wait and no time-out was cut short, nor begun anew.
class Times {
 public:
  explicit Times(const Story& story) : story_(story) {}

  void See(const v1::Event& event) {
    const std::int64_t at = When(event);
    const std::string& begun = event.stage_started().node_id();
    if (const auto wait = story_.waits.find(begun); wait != story_.waits.end()) {
      due_[begun] = at + wait->second.count();
    }
    if (event.has_stage_completed()) Ring(event.stage_completed().node_id(), at);
    const std::string& asked = event.interview_started().question();
    if (const auto patience = story_.patience.find(asked); patience != story_.patience.end()) {
      due_[asked] = at + patience->second.count();
    }
    if (event.has_interview_timeout()) Ring(event.interview_timeout().question(), at);
  }

 private:
  void Ring(const std::string& what, std::int64_t at) const {
    const auto due = due_.find(what);
    if (due == due_.end()) return;
    EXPECT_GE(at, due->second) << what;
    if (story_.has_one_timer_at_a_time) {
      EXPECT_EQ(at, due->second) << what;
    }
  }

  const Story& story_;
  std::map<std::string, std::int64_t> due_;
};

}  // namespace

Events Parse(const std::vector<storage::EventBytes>& log) {
  Events events;
  for (const auto& bytes : log) EXPECT_TRUE(events.emplace_back().ParseFromString(bytes.event));
  return events;
}

int Count(const Events& events, v1::Event::PayloadCase what) {
  return static_cast<int>(
      std::ranges::count_if(events, [&](const v1::Event& event) { return event.payload_case() == what; }));
}

Family Read(testing::RunWorld& world, RunId root) {
  const std::vector<storage::RunRow> rows = FamilyOf(world, root);
  Family family;
  for (const storage::RunRow& row : rows) {
    Stored run{row, world.Log(row.id), ""};
    const auto loaded = world.Await(world.supervisor.Read(row.id));
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    if (loaded.ok()) run.context = loaded->machine.ContextJson();
    for (const storage::RunRow& each : rows) {
      run.context = ReplaceAll(run.context, each.id.ToString(), each.workflow_name);
    }
    EXPECT_TRUE(family.emplace(row.workflow_name, std::move(run)).second)
        << "two runs of " << row.workflow_name;
  }
  return family;
}

void CheckStored(testing::RunWorld& world, const Stored& run) {
  ASSERT_EQ(ToUint(run.row.head), run.log.size());
  const auto loaded = world.Await(world.supervisor.Read(run.row.id));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->machine.status(), run.row.status);
  std::string marked;
  bool is_marked = false;
  for (const v1::Event& event : Parse(run.log)) {
    EXPECT_EQ(event.run_id(), run.row.id.ToString());
    if (event.has_workflow_run_rewound()) marked.clear();
    if (!event.has_checkpoint_completed()) continue;
    is_marked = true;
    marked = event.checkpoint_completed().node_id();
  }
  const auto checkpoint = loaded->machine.Checkpoint();
  EXPECT_EQ(checkpoint.has_value(), is_marked);
  if (checkpoint && !marked.empty()) {
    EXPECT_EQ(checkpoint->current_node, marked);
  }
}

void CheckKept(const Stored& before, const Stored& end) {
  ASSERT_EQ(end.row.id, before.row.id) << "another run of " << end.row.workflow_name;
  ASSERT_GE(end.log.size(), before.log.size());
  for (std::size_t i = 0; i < before.log.size(); ++i) {
    ASSERT_EQ(end.log[i].event, before.log[i].event) << "event " << i + 1 << " was rewritten";
  }
  if (IsTerminal(before.row.status)) {
    EXPECT_EQ(end.row.status, before.row.status);
    EXPECT_EQ(end.row.head, before.row.head);
  }
}

void CheckSound(const Story& story, const Stored& end) {
  const Events events = Parse(end.log);
  Steps steps;
  Times times(story);
  std::set<std::string> questions;
  std::int64_t last = 0;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const v1::Event& event = events[i];
    ASSERT_EQ(event.id(), i + 1);
    ASSERT_EQ(ToUint(end.log[i].seq), i + 1);
    EXPECT_GE(When(event), last) << event.ShortDebugString();
    last = When(event);
    EXPECT_EQ(EndsRun(event), i + 1 == events.size()) << event.ShortDebugString();
    steps.See(event);
    times.See(event);
    if (event.has_interview_started()) {
      EXPECT_TRUE(questions.insert(event.interview_started().question_id()).second)
          << "asked twice: " << event.ShortDebugString();
    }
  }
  steps.ExpectAllEnded();
  EXPECT_EQ(end.row.queue_state, storage::QueueState::kNone);
  EXPECT_FALSE(end.row.wake_at);
}

void CheckSameEnd(const Stored& end, const Stored& uncut) {
  EXPECT_EQ(end.row.status, uncut.row.status);
  // A child that nobody waits for any more may have been stopped anywhere.
  if (uncut.row.status == RunStatus::kCancelled) return;
  EXPECT_EQ(end.row.outcome, uncut.row.outcome);
  EXPECT_EQ(end.row.error, uncut.row.error);
  EXPECT_EQ(end.row.stage_count, uncut.row.stage_count);
  EXPECT_EQ(end.context, uncut.context);
  const Events events = Parse(end.log);
  const Events other = Parse(uncut.log);
  EXPECT_EQ(PathOf(events), PathOf(other));
  EXPECT_EQ(QuestionsOf(events), QuestionsOf(other));
  for (const auto what :
       {v1::Event::kStageRetrying, v1::Event::kParallelBranchCompleted, v1::Event::kInterviewTimeout,
        v1::Event::kSubgraphCompleted, v1::Event::kWorkflowRunRewound}) {
    EXPECT_EQ(Count(events, what), Count(other, what)) << what;
  }
}

void CheckResumption(const Stored& before, const Stored& end) {
  const Events known = Parse(before.log);
  if (end.row.status == RunStatus::kCancelled) return;  // perhaps before it had its slot again
  if (Count(known, v1::Event::kParallelStarted) > Count(known, v1::Event::kParallelCompleted)) return;
  const v1::StageStarted* in_hand = nullptr;
  bool paused = false;
  for (const v1::Event& event : known) {
    if (event.has_stage_started()) in_hand = &event.stage_started();
    if (event.has_stage_completed() || event.has_stage_failed()) in_hand = nullptr;
    if (event.has_workflow_run_paused()) paused = true;
    if (event.has_workflow_run_unpaused()) paused = false;
  }
  if (in_hand == nullptr || paused || in_hand->handler_type() != "command") return;
  const Events events = Parse(end.log);
  ASSERT_GT(events.size(), known.size() + 1);
  const v1::Event& resumed = events[known.size()];
  ASSERT_TRUE(resumed.has_workflow_run_resumed()) << resumed.ShortDebugString();
  EXPECT_EQ(resumed.workflow_run_resumed().after(), known.size());
  const v1::Event& started = events[known.size() + 1];
  ASSERT_TRUE(started.has_stage_started()) << started.ShortDebugString();
  EXPECT_EQ(started.stage_started().node_id(), in_hand->node_id());
  EXPECT_EQ(started.stage_started().attempt(), in_hand->attempt() + 1);
  EXPECT_EQ(started.stage_started().max_attempts(), in_hand->max_attempts() + 1);
}

}  // namespace fabro::crash
