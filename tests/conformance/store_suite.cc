#include "tests/conformance/store_suite.h"

#include <algorithm>

#include "core/base/error.h"

namespace fabro::storage {

void StoreSuite::SetUp() {
  harness_ = GetParam().make();
  Reopen();
}

void StoreSuite::Reopen(StoreLimits limits) {
  store_.reset();
  auto opened = harness_->Open(limits);
  ASSERT_TRUE(opened.ok()) << Describe(opened.status());
  store_ = *std::move(opened);
}

RunId StoreSuite::Id(int n) {
  std::array<std::uint8_t, RunId::kBytes> bytes{};
  bytes[0] = 1;
  bytes[4] = static_cast<std::uint8_t>(n >> 8);
  bytes[5] = static_cast<std::uint8_t>(n);
  bytes[15] = static_cast<std::uint8_t>(n * 37);
  return RunId::FromBytes(bytes);
}

RunRow StoreSuite::Row(int n) {
  RunRow row;
  row.id = Id(n);
  row.created_at = {1'900'000'000'000 + n};
  row.updated_at = row.created_at;
  row.workflow_name = "Ship It";
  row.workflow_slug = "ship-it";
  row.title = "run " + std::to_string(n);
  row.goal = "Grüße 🚀";
  row.created_by = "local";
  row.queue_key = n;
  return row;
}

RunSource StoreSuite::Source(int n) {
  return {"digraph { a -> b } // " + std::to_string(n), "{\"x\":1}", "{}", "trace " + std::to_string(n)};
}

std::vector<RecordBytes> StoreSuite::Records(int first, int count) {
  std::vector<RecordBytes> records;
  for (int seq = first; seq < first + count; ++seq) {
    records.push_back({"e" + std::to_string(seq), "d" + std::to_string(seq)});
  }
  return records;
}

absl::StatusOr<CommitResult> StoreSuite::Commit(Write write) {
  std::vector<Write> writes;
  writes.push_back(std::move(write));
  return Commit(std::move(writes));
}

absl::StatusOr<CommitResult> StoreSuite::Commit(std::vector<Write> writes) {
  WriteBatch batch;
  batch.writes = std::move(writes);
  return Await(store().Commit(std::move(batch)));
}

absl::StatusOr<CommitResult> StoreSuite::Create(RunRow row, int records) {
  return Commit(CreateRun{std::move(row), Source(1), Records(1, records)});
}

absl::StatusOr<CommitResult> StoreSuite::Append(RunRow row, int head, int records,
                                                std::optional<std::string> snapshot) {
  return Commit(
      AppendRecords{EventSeq(head), std::move(row), Records(head + 1, records), std::move(snapshot)});
}

RunRow StoreSuite::Get(int n) {
  auto row = Await(store().GetRun(Id(n)));
  EXPECT_TRUE(row.ok()) << Describe(row.status());
  return row.ok() ? *row : RunRow{};
}

std::vector<int> StoreSuite::List(RunFilter filter, std::int64_t limit, std::int64_t offset) {
  const auto page = Await(store().ListRuns(std::move(filter), limit, offset));
  EXPECT_TRUE(page.ok()) << Describe(page.status());
  std::vector<int> numbers;
  if (page.ok()) {
    for (const RunRow& row : page->rows) numbers.push_back(row.id.bytes()[4] << 8 | row.id.bytes()[5]);
  }
  return numbers;
}

namespace {

using Numbers = std::vector<int>;

// A row in which every field says something.
RunRow Full(RunRow row, RunId parent) {
  row.parent = parent;
  row.forked_from = RunId::Parse("01KDVDNA000000000000000042");
  row.labels = {{"z", "1"}, {"repository", "fabro"}, {"a", ""}};
  row.status = RunStatus::kPaused;
  row.queue_state = QueueState::kResumable;
  row.priority = -7;
  row.queue_key = std::int64_t{1} << 60;
  row.wake_at = Timestamp{2'000'000'000'123};
  row.started_at = Timestamp{1};
  row.finished_at = Timestamp{0};
  row.updated_at = {1'900'000'000'999};
  row.outcome = "partial_success";
  row.error = "";
  row.simulated = true;
  row.stage_count = 12;
  row.open_questions = 3;
  row.question_text = std::string("Ship?\0\n\"", 8);
  row.current_node = "ask";
  return row;
}

TEST_P(StoreSuite, KeepsEveryFieldOfARunAlsoAfterReopening) {
  RunRow row = Full(Row(1), Id(99));
  ASSERT_TRUE(Create(row, 2).ok());
  row.head = EventSeq{2};
  EXPECT_EQ(Get(1), row);
  Reopen();  // the row cache is empty now
  EXPECT_EQ(Get(1), row);
  EXPECT_EQ(Get(1), row);
}

TEST_P(StoreSuite, ReplacesTheMutableFieldsOnAppend) {
  RunRow row = Row(1);
  ASSERT_TRUE(Create(row).ok());
  const RunRow full = Full(Row(1), Id(9));
  row.status = full.status;
  row.queue_state = full.queue_state;
  row.priority = full.priority;
  row.queue_key = full.queue_key;
  row.wake_at = full.wake_at;
  row.started_at = full.started_at;
  row.finished_at = full.finished_at;
  row.updated_at = full.updated_at;
  row.outcome = full.outcome;
  row.error = "boom";
  row.simulated = true;
  row.stage_count = 5;
  row.open_questions = 1;
  row.question_text = "Ship?";
  row.current_node = "ask";
  ASSERT_TRUE(Append(row, 0, 3).ok());
  row.head = EventSeq{3};
  EXPECT_EQ(Get(1), row);
  Reopen();
  EXPECT_EQ(Get(1), row);

  row.stage_count = 6;  // nothing that an index holds
  row.error.reset();
  ASSERT_TRUE(Append(row, 3, 1).ok());
  row.head = EventSeq{4};
  row.wake_at.reset();
  row.queue_state = QueueState::kNone;
  ASSERT_TRUE(Append(row, 4, 0).ok());
  Reopen();
  EXPECT_EQ(Get(1), row);
}

TEST_P(StoreSuite, SaysThatARunIsNotThere) {
  const auto row = Await(store().GetRun(Id(1)));
  EXPECT_EQ(row.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(row.status()), Reason::kRunNotFound);
  EXPECT_EQ(MessageOf(row.status()), "Run " + Id(1).ToString() + " not found.");
  EXPECT_EQ(ReasonOf(Await(store().GetRunSource(Id(1))).status()), Reason::kRunNotFound);
  EXPECT_EQ(ReasonOf(Await(store().LoadRun(Id(1))).status()), Reason::kRunNotFound);
  EXPECT_TRUE(Await(store().ReadRecords(Id(1), {}, {}))->empty());
  EXPECT_EQ(Await(store().LatestSnapshot(Id(1)))->has_value(), false);
  EXPECT_EQ(*Await(store().QueuePosition(Id(1))), std::nullopt);
  EXPECT_EQ(ReasonOf(Append(Row(1), 0, 1).status()), Reason::kRunNotFound);
  EXPECT_EQ(ReasonOf(Commit(DeleteRun{Id(1)}).status()), Reason::kRunNotFound);
}

TEST_P(StoreSuite, KeepsTheSource) {
  ASSERT_TRUE(Create(Row(1)).ok());
  const auto source = Await(store().GetRunSource(Id(1)));
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(*source, Source(1));
}

TEST_P(StoreSuite, RefusesToCreateARunTwice) {
  ASSERT_TRUE(Create(Row(1), 1).ok());
  const auto again = Create(Row(1), 5);
  EXPECT_EQ(again.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonOf(again.status()), Reason::kStaleHead);
  EXPECT_EQ(Get(1).head, EventSeq{1});
}

TEST_P(StoreSuite, AppendsOnlyAtTheExpectedHead) {
  ASSERT_TRUE(Create(Row(1), 2).ok());
  EXPECT_EQ(Append(Row(1), 2, 3)->head, EventSeq{5});
  for (const int head : {0, 2, 4, 6}) {
    const auto refused = Append(Row(1), head, 1);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kAborted) << head;
    EXPECT_EQ(ReasonOf(refused.status()), Reason::kStaleHead) << head;
  }
  EXPECT_EQ(Get(1).head, EventSeq{5});
  EXPECT_EQ(Await(store().ReadRecords(Id(1), {}, {}))->size(), 5u);
}

TEST_P(StoreSuite, GivesRecordsAfterAnyCursorInOrderWithoutAGap) {
  ASSERT_TRUE(Create(Row(1), 3).ok());
  ASSERT_TRUE(Create(Row(2), 1).ok());
  ASSERT_TRUE(Append(Row(1), 3, 4).ok());
  ASSERT_TRUE(Append(Row(2), 1, 2).ok());
  ASSERT_TRUE(Append(Row(1), 7, 1).ok());
  for (int after = 0; after <= 9; ++after) {
    for (std::size_t limit = 1; limit <= 9; ++limit) {
      const ReadLimits limits{limit, 1 << 20};
      const auto records = Await(store().ReadRecords(Id(1), EventSeq(after), limits));
      const auto events = Await(store().ReadEvents(Id(1), EventSeq(after), limits));
      ASSERT_TRUE(records.ok() && events.ok());
      ASSERT_EQ(records->size(), std::min<std::size_t>(limit, after >= 8 ? 0 : 8 - after)) << after;
      ASSERT_EQ(events->size(), records->size());
      for (std::size_t i = 0; i < records->size(); ++i) {
        const int seq = after + 1 + static_cast<int>(i);
        EXPECT_EQ((*records)[i].seq, EventSeq(seq));
        EXPECT_EQ((*records)[i].event, "e" + std::to_string(seq));
        EXPECT_EQ((*records)[i].delta, "d" + std::to_string(seq));
        EXPECT_EQ((*events)[i].seq, EventSeq(seq));
        EXPECT_EQ((*events)[i].event, "e" + std::to_string(seq));
      }
    }
  }
  EXPECT_TRUE(Await(store().ReadRecords(Id(1), EventSeq(~std::uint64_t{0}), {}))->empty());
}

TEST_P(StoreSuite, BoundsAReadInBytesButGivesAtLeastOneRecord) {
  ASSERT_TRUE(Create(Row(1), 0).ok());
  std::vector<RecordBytes> records;
  for (int i = 0; i < 5; ++i) records.push_back({std::string(1000, static_cast<char>('a' + i)), ""});
  ASSERT_TRUE(Commit(AppendRecords{EventSeq{0}, Row(1), records, {}}).ok());
  const ReadLimits two{100, 2500};
  const ReadLimits tiny{100, 1};
  EXPECT_EQ(Await(store().ReadRecords(Id(1), EventSeq{0}, two))->size(), 2u);
  EXPECT_EQ(Await(store().ReadRecords(Id(1), EventSeq{3}, tiny))->size(), 1u);
  EXPECT_EQ(Await(store().ReadEvents(Id(1), EventSeq{4}, tiny))->front().event, std::string(1000, 'e'));
}

TEST_P(StoreSuite, KeepsAnyBytesOfAnySize) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  const std::string large(3 << 20, '\x80');
  const std::vector<RecordBytes> records{{all, ""}, {"", all}, {large, "x"}, {"", ""}};
  ASSERT_TRUE(Commit(CreateRun{Row(1), Source(1), records}).ok());
  const ReadLimits limits{100, std::size_t{16} << 20};
  const auto read = Await(store().ReadRecords(Id(1), {}, limits));
  ASSERT_EQ(read->size(), 4u);
  for (std::size_t i = 0; i < records.size(); ++i) {
    EXPECT_TRUE((*read)[i].event == records[i].event && (*read)[i].delta == records[i].delta) << i;
  }
}

TEST_P(StoreSuite, KeepsTheLatestSnapshot) {
  ASSERT_TRUE(Create(Row(1), 1).ok());
  EXPECT_EQ(*Await(store().LatestSnapshot(Id(1))), std::nullopt);
  ASSERT_TRUE(Append(Row(1), 1, 2, "three").ok());
  ASSERT_TRUE(Append(Row(1), 3, 1).ok());
  EXPECT_EQ(*Await(store().LatestSnapshot(Id(1))), (Snapshot{EventSeq{3}, "three"}));
  ASSERT_TRUE(Append(Row(1), 4, 1, std::string("fi\0ve", 5)).ok());
  EXPECT_EQ(*Await(store().LatestSnapshot(Id(1))), (Snapshot{EventSeq{5}, std::string("fi\0ve", 5)}));
}

TEST_P(StoreSuite, LoadsARunWithTheRecordsAfterItsSnapshot) {
  ASSERT_TRUE(Create(Row(1), 2).ok());
  auto loaded = Await(store().LoadRun(Id(1)));
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->snapshot, std::nullopt);
  EXPECT_EQ(loaded->tail.size(), 2u);
  ASSERT_TRUE(Append(Row(1), 2, 1, "three").ok());
  ASSERT_TRUE(Append(Row(1), 3, 2).ok());
  loaded = Await(store().LoadRun(Id(1)));
  EXPECT_EQ(loaded->row.head, EventSeq{5});
  EXPECT_EQ(loaded->source, Source(1));
  EXPECT_EQ(loaded->snapshot, (Snapshot{EventSeq{3}, "three"}));
  const std::vector<EventRecord> tail{{EventSeq{4}, "e4", "d4"}, {EventSeq{5}, "e5", "d5"}};
  EXPECT_EQ(loaded->tail, tail);
}

TEST_P(StoreSuite, AppliesABatchEntirelyOrNotAtAll) {
  ASSERT_TRUE(Create(Row(1), 1).ok());
  const PutIdempotent put{"local", "key", "hash", "answer", {10}, {20}};
  const auto refused = Commit({CreateRun{Row(2), Source(2), Records(1, 1)}, put,
                               AppendRecords{EventSeq{7}, Row(1), Records(8, 1), {}}});
  EXPECT_EQ(ReasonOf(refused.status()), Reason::kStaleHead);
  EXPECT_EQ(ReasonOf(Await(store().GetRun(Id(2))).status()), Reason::kRunNotFound);
  EXPECT_EQ(*Await(store().GetIdempotent("local", "key")) == std::nullopt, true);
  EXPECT_EQ(Get(1).head, EventSeq{1});

  const auto applied = Commit({CreateRun{Row(2), Source(2), Records(1, 1)}, put,
                               AppendRecords{EventSeq{1}, Row(1), Records(2, 1), {}}});
  ASSERT_TRUE(applied.ok());
  EXPECT_EQ(applied->head, EventSeq{2});
  EXPECT_EQ(Get(2).head, EventSeq{1});
}

TEST_P(StoreSuite, AppliesTheWritesOfABatchInOrder) {
  EXPECT_EQ(Commit({CreateRun{Row(1), Source(1), Records(1, 1)},
                    AppendRecords{EventSeq{1}, Row(1), Records(2, 2), {}}})
                ->head,
            EventSeq{3});
  EXPECT_EQ(Get(1).head, EventSeq{3});
  EXPECT_TRUE(Commit(std::vector<Write>{}).ok());
}

TEST_P(StoreSuite, DeletesARunWithItsChildRuns) {
  for (int n = 1; n <= 4; ++n) {
    RunRow row = Row(n);
    row.status = RunStatus::kFailed;
    row.queue_state = QueueState::kNone;
    if (n == 2) row.parent = Id(1);
    if (n == 3) row.parent = Id(2);
    ASSERT_TRUE(Create(row, 2).ok());
  }
  RunRow grandchild = Row(3);
  grandchild.status = RunStatus::kRunning;
  ASSERT_TRUE(Append(grandchild, 2, 1, "snap").ok());
  const auto refused = Commit(DeleteRun{Id(1)});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(refused.status()), Reason::kRunActive);
  EXPECT_EQ(Get(3).head, EventSeq{3});

  grandchild.status = RunStatus::kCompleted;
  ASSERT_TRUE(Append(grandchild, 3, 1).ok());
  ASSERT_TRUE(Commit(DeleteRun{Id(1)}).ok());
  for (int n = 1; n <= 3; ++n) {
    EXPECT_EQ(ReasonOf(Await(store().GetRun(Id(n))).status()), Reason::kRunNotFound) << n;
    EXPECT_TRUE(Await(store().ReadRecords(Id(n), {}, {}))->empty()) << n;
    EXPECT_EQ(*Await(store().LatestSnapshot(Id(n))), std::nullopt) << n;
    EXPECT_EQ(ReasonOf(Await(store().GetRunSource(Id(n))).status()), Reason::kRunNotFound) << n;
  }
  EXPECT_EQ(Get(4).head, EventSeq{2});
  EXPECT_EQ(List({}), Numbers{4});
  EXPECT_EQ(Await(store().ListRuns({}, 1, 0))->total, 1);
  EXPECT_EQ(*Await(store().CountByStatus()), (StatusCounts{0, 0, 0, 0, 0, 1, 0}));

  ASSERT_TRUE(Create(Row(5), 1).ok());  // may get the place of a deleted one, never its log
  EXPECT_EQ(Await(store().ReadRecords(Id(5), {}, {}))->size(), 1u);
  EXPECT_TRUE(Await(store().ReadRecords(Id(3), {}, {}))->empty());
}

TEST_P(StoreSuite, ListsNewestOrOldestFirstInPages) {
  for (const int n : {3, 1, 2, 5, 4}) ASSERT_TRUE(Create(Row(n)).ok());
  EXPECT_EQ(List({}), (Numbers{5, 4, 3, 2, 1}));
  EXPECT_EQ(List({}, 2), (Numbers{5, 4}));
  EXPECT_EQ(List({}, 2, 3), (Numbers{2, 1}));
  EXPECT_EQ(List({}, 2, 5), Numbers{});
  RunFilter oldest;
  oldest.oldest_first = true;
  EXPECT_EQ(List(oldest, 2, 1), (Numbers{2, 3}));
  const auto page = Await(store().ListRuns({}, 2, 4));
  EXPECT_EQ(page->total, 5);
  EXPECT_EQ(page->rows.front().title, "run 1");
}

TEST_P(StoreSuite, FiltersByStatusWorkflowAndParent) {
  for (int n = 0; n < 42; ++n) {
    RunRow row = Row(n);
    row.status = kAllRunStatuses[n % 7];
    row.queue_state = QueueState::kNone;
    row.workflow_slug = n % 2 == 0 ? "even" : "odd";
    if (n % 3 == 0) row.parent = Id(1000);
    ASSERT_TRUE(Create(row).ok());
  }
  for (int mask = 0; mask < 1 << 7; mask += 5) {
    for (const char* workflow : {"", "even", "none"}) {
      for (const bool with_parent : {false, true}) {
        for (const bool oldest : {false, true}) {
          RunFilter filter;
          for (int s = 0; s < 7; ++s) {
            if ((mask >> s & 1) != 0) filter.statuses.push_back(kAllRunStatuses[s]);
          }
          filter.workflow_slug = workflow;
          if (with_parent) filter.parent = Id(1000);
          filter.oldest_first = oldest;
          Numbers expected;
          for (int n = 0; n < 42; ++n) {
            const bool status_fits = mask == 0 || (mask >> n % 7 & 1) != 0;
            const bool workflow_fits =
                filter.workflow_slug.empty() || (n % 2 == 0 && filter.workflow_slug == "even");
            if (status_fits && workflow_fits && (!with_parent || n % 3 == 0)) expected.push_back(n);
          }
          if (!oldest) std::reverse(expected.begin(), expected.end());
          const auto page = Await(store().ListRuns(filter, 5, 3));
          ASSERT_TRUE(page.ok());
          EXPECT_EQ(page->total, static_cast<std::int64_t>(expected.size()));
          const std::size_t from = std::min<std::size_t>(3, expected.size());
          const std::size_t to = std::min<std::size_t>(8, expected.size());
          EXPECT_EQ(List(filter, 5, 3), Numbers(expected.begin() + from, expected.begin() + to))
              << mask << ' ' << workflow << ' ' << with_parent << ' ' << oldest;
        }
      }
    }
  }
}

TEST_P(StoreSuite, FollowsARunThroughItsStatusesInListsAndCounts) {
  RunRow row = Row(1);
  ASSERT_TRUE(Create(row).ok());
  int head = 0;
  for (const RunStatus status : {RunStatus::kStarting, RunStatus::kRunning, RunStatus::kPaused,
                                 RunStatus::kRunning, RunStatus::kCompleted}) {
    row.status = status;
    ASSERT_TRUE(Append(row, head++, 1).ok());
    for (const RunStatus other : kAllRunStatuses) {
      RunFilter filter;
      filter.statuses = {other};
      EXPECT_EQ(List(filter), other == status ? Numbers{1} : Numbers{});
      EXPECT_EQ((*Await(store().CountByStatus()))[static_cast<std::size_t>(other)], other == status ? 1 : 0);
    }
  }
}

TEST_P(StoreSuite, GivesRunnableRunsInSchedulingOrder) {
  struct Case {
    QueueState state;
    int priority;
    std::int64_t key;
  };
  const std::vector<Case> cases{
      {QueueState::kQueued, 0, 5},    {QueueState::kResumable, 0, 9}, {QueueState::kQueued, 3, 7},
      {QueueState::kNone, 9, 1},      {QueueState::kQueued, -2, 1},   {QueueState::kActive, 0, 8},
      {QueueState::kResumable, 2, 9}, {QueueState::kQueued, 0, 4},    {QueueState::kQueued, 0, 4},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    RunRow row = Row(static_cast<int>(i));
    row.queue_state = cases[i].state;
    row.priority = cases[i].priority;
    row.queue_key = cases[i].key;
    ASSERT_TRUE(Create(row).ok());
  }
  const Numbers expected{5, 6, 1, 2, 7, 8, 0, 4};
  for (const std::int64_t page_size : {1, 3, 100}) {
    Numbers seen;
    std::optional<RunnableCursor> after;
    while (true) {
      const auto page = Await(store().ListRunnable(page_size, after));
      ASSERT_TRUE(page.ok());
      if (page->empty()) break;
      for (const RunRow& row : *page) seen.push_back(row.id.bytes()[5]);
      const RunRow& last = page->back();
      after = RunnableCursor{last.queue_state, last.priority, last.queue_key, last.id};
    }
    EXPECT_EQ(seen, expected) << page_size;
  }
  const std::vector<std::pair<int, std::optional<std::int64_t>>> positions{
      {2, 1}, {7, 2}, {8, 3}, {0, 4}, {4, 5}, {5, std::nullopt}, {1, std::nullopt}, {3, std::nullopt}};
  for (const auto& [n, position] : positions) EXPECT_EQ(*Await(store().QueuePosition(Id(n))), position) << n;
  const auto page = Await(store().ListRuns({}, 100, 0));
  for (const RunRow& row : page->rows) {
    for (const auto& [n, position] : positions) {
      if (row.id == Id(n)) EXPECT_EQ(row.queue_position, position) << n;
    }
  }
}

TEST_P(StoreSuite, KnowsTheTimersThatAreDue) {
  EXPECT_EQ(*Await(store().NextWakeAt()), std::nullopt);
  const std::vector<std::optional<std::int64_t>> times{500, std::nullopt, 100, 300, 100};
  for (std::size_t i = 0; i < times.size(); ++i) {
    RunRow row = Row(static_cast<int>(i));
    if (times[i]) row.wake_at = Timestamp{*times[i]};
    ASSERT_TRUE(Create(row).ok());
  }
  EXPECT_EQ(*Await(store().NextWakeAt()), Timestamp{100});
  EXPECT_TRUE(Await(store().DueTimers({99}, 10))->empty());
  const std::vector<Timer> due{{Id(2), {100}}, {Id(4), {100}}, {Id(3), {300}}};
  EXPECT_EQ(*Await(store().DueTimers({300}, 10)), due);
  EXPECT_EQ(Await(store().DueTimers({300}, 1))->size(), 1u);

  RunRow woken = Row(2);
  ASSERT_TRUE(Append(woken, 0, 1).ok());
  woken = Row(4);
  woken.wake_at = Timestamp{50};
  ASSERT_TRUE(Append(woken, 0, 1).ok());
  EXPECT_EQ(*Await(store().NextWakeAt()), Timestamp{50});
  const std::vector<Timer> later{{Id(4), {50}}, {Id(3), {300}}};
  EXPECT_EQ(*Await(store().DueTimers({300}, 10)), later);
}

TEST_P(StoreSuite, AnswersARequestOnceUntilItsAnswerExpires) {
  EXPECT_FALSE(Await(store().GetIdempotent("ann", "k"))->has_value());
  ASSERT_TRUE(Commit(PutIdempotent{"ann", "k", "h1", "first", {100}, {200}}).ok());
  ASSERT_TRUE(Commit(PutIdempotent{"bob", "k", "h1", "his", {100}, {900}}).ok());
  const auto again = Commit(PutIdempotent{"ann", "k", "h2", "second", {199}, {300}});
  EXPECT_EQ(again.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReasonOf(again.status()), Reason::kIdempotencyReuse);
  auto stored = Await(store().GetIdempotent("ann", "k"));
  ASSERT_TRUE(stored.ok() && stored->has_value());
  EXPECT_EQ((*stored)->request_hash, "h1");
  EXPECT_EQ((*stored)->response, "first");
  EXPECT_EQ((*stored)->expires_at, Timestamp{200});

  ASSERT_TRUE(Commit(PutIdempotent{"ann", "k", "h2", "second", {200}, {300}}).ok());
  EXPECT_EQ((*Await(store().GetIdempotent("ann", "k")))->response, "second");
  EXPECT_EQ((*Await(store().GetIdempotent("bob", "k")))->response, "his");
}

TEST_P(StoreSuite, ForgetsExpiredAnswersAsNewOnesCome) {
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(Commit(PutIdempotent{"ann", "old" + std::to_string(i), "h", "x", {100}, {200}}).ok());
  }
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(Commit(PutIdempotent{"ann", "new" + std::to_string(i), "h", "x", {300}, {400}}).ok());
  }
  int left = 0;
  for (int i = 0; i < 10; ++i) {
    left += Await(store().GetIdempotent("ann", "old" + std::to_string(i)))->has_value() ? 1 : 0;
    EXPECT_TRUE(Await(store().GetIdempotent("ann", "new" + std::to_string(i)))->has_value());
  }
  EXPECT_EQ(left, 0);
}

AppendAudit Audited(int at, std::string principal, std::string action, std::string resource) {
  AppendAudit audit;
  audit.at = {at};
  audit.principal = std::move(principal);
  audit.action = std::move(action);
  audit.resource = std::move(resource);
  audit.outcome = "ok";
  audit.request_id = "request " + std::to_string(at);
  return audit;
}

TEST_P(StoreSuite, KeepsTheAuditInOrderAlsoAfterReopening) {
  ASSERT_TRUE(Commit(Audited(1, "alice", "start", "runs/1")).ok());
  ASSERT_TRUE(Commit({Audited(2, "cn:bob", "cancel", "runs/1"), Audited(3, "zoë", "delete", "")}).ok());
  Reopen();
  ASSERT_TRUE(Commit(Audited(4, "alice", "start", "runs/2")).ok());
  const auto page = Await(store().ListAudit({}, 10, 0));
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->entries.size(), 4U);
  EXPECT_FALSE(page->has_more);
  std::uint64_t before = 0;
  for (std::size_t i = 4; i-- > 0;) {
    EXPECT_EQ(page->entries[i].what.at.unix_ms, 4 - static_cast<int>(i));
    EXPECT_GT(page->entries[i].id, before);
    before = page->entries[i].id;
  }
  const AppendAudit& second = page->entries[2].what;
  EXPECT_EQ(second.principal, "cn:bob");
  EXPECT_EQ(second.action, "cancel");
  EXPECT_EQ(second.resource, "runs/1");
  EXPECT_EQ(second.outcome, "ok");
  EXPECT_EQ(second.request_id, "request 2");
}

TEST_P(StoreSuite, FiltersAndPagesTheAudit) {
  for (int n = 0; n < 60; ++n) {
    ASSERT_TRUE(Commit(Audited(n, n % 2 == 0 ? "alice" : "bob", n % 3 == 0 ? "start" : "cancel",
                               "runs/" + std::to_string(n % 5)))
                    .ok());
  }
  for (const AuditFilter& filter :
       {AuditFilter{}, AuditFilter{"alice", "", ""}, AuditFilter{"", "start", ""},
        AuditFilter{"", "", "runs/4"}, AuditFilter{"bob", "cancel", ""}, AuditFilter{"bob", "", "runs/1"},
        AuditFilter{"alice", "start", "runs/0"}, AuditFilter{"carol", "", ""}}) {
    std::vector<std::int64_t> expected;
    for (int n = 59; n >= 0; --n) {
      const AppendAudit audit = Audited(n, n % 2 == 0 ? "alice" : "bob", n % 3 == 0 ? "start" : "cancel",
                                        "runs/" + std::to_string(n % 5));
      const bool wanted = (filter.principal.empty() || filter.principal == audit.principal) &&
                          (filter.action.empty() || filter.action == audit.action) &&
                          (filter.resource.empty() || filter.resource == audit.resource);
      if (wanted) expected.push_back(n);
    }
    std::vector<std::int64_t> found;
    bool more = true;
    while (more) {
      const auto page = Await(store().ListAudit(filter, 7, static_cast<std::int64_t>(found.size())));
      ASSERT_TRUE(page.ok()) << page.status();
      for (const AuditEntry& entry : page->entries) found.push_back(entry.what.at.unix_ms);
      more = page->has_more;
    }
    EXPECT_EQ(found, expected) << filter.principal << ' ' << filter.action << ' ' << filter.resource;
  }
}

TEST_P(StoreSuite, AuditsWhatHappenedAndNothingElse) {
  ASSERT_TRUE(Commit({CreateRun{Row(1), Source(1), {}}, Audited(1, "alice", "start", "runs/1")}).ok());
  EXPECT_FALSE(Commit({Audited(2, "bob", "start", "runs/1"), CreateRun{Row(1), Source(1), {}}}).ok());
  EXPECT_FALSE(Commit({DeleteRun{Id(2)}, Audited(3, "bob", "delete", "runs/2")}).ok());
  RunRow ended = Row(1);
  ended.status = RunStatus::kCompleted;
  ASSERT_TRUE(Append(ended, 0, 1).ok());
  ASSERT_TRUE(Commit({DeleteRun{Id(1)}, Audited(4, "carol", "delete", "runs/1")}).ok());
  const auto page = Await(store().ListAudit({}, 10, 0));
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->entries.size(), 2U);  // of the run that is gone
  EXPECT_EQ(page->entries[0].what.principal, "carol");
  EXPECT_EQ(page->entries[1].what.principal, "alice");
}

TEST_P(StoreSuite, ConcurrentWritersEachGetTheirOwnOutcome) {
  constexpr int kWriters = 32;
  constexpr int kAppends = 20;
  for (int n = 0; n < kWriters; ++n) ASSERT_TRUE(Create(Row(n)).ok());
  std::array<int, kWriters> applied{};
  std::array<int, kWriters> refused{};
  auto work = [](Store& store, int n, int& good, int& bad) -> Task<void> {
    for (int head = 0; head < kAppends; ++head) {
      WriteBatch batch;
      batch.writes.push_back(AppendRecords{EventSeq(head), Row(n), Records(head + 1, 1), {}});
      WriteBatch copy = batch;
      absl::StatusOr<CommitResult> first = co_await store.Commit(std::move(batch));
      if (first.ok() && first->head == EventSeq(head + 1)) ++good;
      absl::StatusOr<CommitResult> second = co_await store.Commit(std::move(copy));
      if (ReasonOf(second.status()) == Reason::kStaleHead) ++bad;
    }
  };
  {
    TaskScope scope(runtime_.executor());
    for (int n = 0; n < kWriters; ++n) scope.Spawn("writer", work(store(), n, applied[n], refused[n]));
    scope.JoinBlocking();
  }
  for (int n = 0; n < kWriters; ++n) {
    EXPECT_EQ(applied[n], kAppends);
    EXPECT_EQ(refused[n], kAppends);
    EXPECT_EQ(Get(n).head, EventSeq(kAppends));
    EXPECT_EQ(Await(store().ReadRecords(Id(n), {}, {}))->size(), static_cast<std::size_t>(kAppends));
  }
}

TEST_P(StoreSuite, AddsUpWhatWasUsedWithWhatUsedIt) {
  EXPECT_EQ(*Await(store().GetUsage()), Usage());
  RunRow row = Row(1);
  ASSERT_TRUE(Create(row).ok());
  Usage used;
  used.runs = 1;
  used.runtime = std::chrono::milliseconds(1500);
  used.models["large"] = {1, 100, 20, 5'000'000};
  const auto append = [&](int head) {
    return Commit({AppendRecords{EventSeq(static_cast<std::uint64_t>(head)), row, Records(head + 1, 1), {}},
                   AddUsage{used}});
  };
  ASSERT_TRUE(append(0).ok());
  EXPECT_FALSE(append(0).ok());  // refused, and so is what it used
  used.models["small"] = {2, 10, 2, 1};
  ASSERT_TRUE(append(1).ok());
  row.status = RunStatus::kCompleted;
  ASSERT_TRUE(Append(row, 2, 1).ok());
  ASSERT_TRUE(Commit(DeleteRun{row.id}).ok());
  Reopen();
  Usage sum;
  sum.runs = 2;
  sum.runtime = std::chrono::milliseconds(3000);
  sum.models["large"] = {2, 200, 40, 10'000'000};
  sum.models["small"] = {2, 10, 2, 1};
  EXPECT_EQ(*Await(store().GetUsage()), sum);
}

TEST_P(StoreSuite, ListsRetrosByTheirEnd) {
  const auto stats = [](int n) {
    RetroStats stats;
    stats.finished_at = {1000 + n / 2};  // in pairs
    stats.smoothness = static_cast<Smoothness>(1 + n % 5);
    stats.duration = std::chrono::milliseconds(n);
    if (n % 2 == 0) stats.cost_nanos = n;
    stats.retries = 1;
    stats.friction_points = 2;
    stats.stages_completed = 3;
    stats.stages_failed = 4;
    for (int file = 0; file < n % 3; ++file)
      stats.files_touched.push_back(std::string(1, '\n') + "f" + std::to_string(file));
    return stats;
  };
  for (int n = 0; n < 40; ++n) {
    RunRow row = Row(n);
    row.workflow_slug = n % 3 == 0 ? "fizz" : "buzz";
    ASSERT_TRUE(Create(row).ok());
    row.status = RunStatus::kCompleted;
    ASSERT_TRUE(Commit({AppendRecords{{}, row, Records(1, 1), {}}, PutRetro{row.id, stats(n)}}).ok());
  }
  const auto list = [&](const RetroFilter& filter) {
    std::vector<RunId> found;
    bool more = true;
    while (more) {
      const auto page = Await(store().ListRetros(filter, 7, static_cast<std::int64_t>(found.size())));
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      for (const Retro& retro : page->retros) found.push_back(retro.run);
      more = page->has_more;
    }
    return found;
  };
  for (const RetroFilter& filter :
       {RetroFilter{}, RetroFilter{"fizz", {}}, RetroFilter{"", Smoothness::kBumpy},
        RetroFilter{"buzz", Smoothness::kFailed}, RetroFilter{"none", {}}}) {
    std::vector<RunId> expected;
    for (int n = 39; n >= 0; --n) {
      const bool wanted =
          (filter.workflow_slug.empty() || filter.workflow_slug == (n % 3 == 0 ? "fizz" : "buzz")) &&
          (!filter.smoothness || *filter.smoothness == stats(n).smoothness);
      if (wanted) expected.push_back(Id(n));
    }
    EXPECT_EQ(list(filter), expected) << filter.workflow_slug;
  }
  // A second one of the same run changes nothing; a run takes its own along; a refused batch leaves none.
  ASSERT_TRUE(Commit(PutRetro{Id(38), stats(1)}).ok());
  ASSERT_TRUE(Commit(DeleteRun{Id(39)}).ok());
  ASSERT_TRUE(Create(Row(40)).ok());
  EXPECT_FALSE(
      Commit({AppendRecords{EventSeq(7), Row(40), Records(8, 1), {}}, PutRetro{Id(40), stats(40)}}).ok());
  Reopen();
  const auto page = Await(store().ListRetros({}, 2, 0));
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->retros.size(), 2U);
  EXPECT_EQ(page->retros[0].run, Id(38));
  EXPECT_EQ(page->retros[0].title, Row(38).title);
  EXPECT_EQ(page->retros[0].workflow_slug, "buzz");
  EXPECT_EQ(page->retros[0].stats, stats(38));
  EXPECT_EQ(page->retros[1].stats, stats(37));
}

TEST_P(StoreSuite, KeepsArtifactsOnceAndAsLongAsARunNamesThem) {
  const auto kept = [](int run, std::string key, std::string content) -> PutArtifact {
    ArtifactRef ref{.hash = std::string(64, content[0]),
                    .bytes = content.size(),
                    .key = std::move(key),
                    .stage_id = "work",
                    .created_at = {run}};
    return {Id(run), std::move(ref), std::move(content)};
  };
  const std::string large(200'000, 'a');
  for (int n = 1; n <= 3; ++n) ASSERT_TRUE(Create(Row(n)).ok());
  std::string bytes("b\0\xff", 3);  // not text
  ASSERT_TRUE(
      Commit({AppendRecords{{}, Row(1), Records(1, 1), {}}, kept(1, "x", large), kept(1, "y", bytes)}).ok());
  ASSERT_TRUE(Commit({AppendRecords{{}, Row(2), Records(1, 1), {}}, kept(2, "z", large)}).ok());
  ASSERT_TRUE(Commit({AppendRecords{EventSeq(1), Row(1), Records(2, 1), {}}, kept(1, "x", large)}).ok());
  // Refused with its batch.
  EXPECT_FALSE(Commit({AppendRecords{EventSeq(7), Row(3), Records(8, 1), {}}, kept(3, "x", "c")}).ok());
  Reopen();
  EXPECT_EQ(*Await(store().GetArtifact(std::string(64, 'a'))), large);
  EXPECT_EQ(*Await(store().GetArtifact(std::string(64, 'b'))), bytes);
  EXPECT_EQ(ReasonOf(Await(store().GetArtifact(std::string(64, 'c'))).status()), Reason::kNotFound);
  const auto first = Await(store().ListArtifacts(Id(1), 2, 0));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->has_more);
  EXPECT_EQ(first->refs, (std::vector<ArtifactRef>{kept(1, "x", large).ref, kept(1, "y", bytes).ref}));
  const auto rest = Await(store().ListArtifacts(Id(1), 2, 2));
  EXPECT_FALSE(rest->has_more);
  EXPECT_EQ(rest->refs, (std::vector<ArtifactRef>{kept(1, "x", large).ref}));
  EXPECT_TRUE(Await(store().ListArtifacts(Id(3), 2, 0))->refs.empty());
  EXPECT_TRUE(Await(store().ListArtifacts(Id(9), 2, 0))->refs.empty());

  // A fork takes over what its origin names, and not of one that is gone.
  ASSERT_TRUE(Commit({CreateRun{Row(4), Source(4), {}}, ShareArtifacts{Id(1), Id(4)}}).ok());
  EXPECT_EQ(ReasonOf(Commit({CreateRun{Row(5), Source(5), {}}, ShareArtifacts{Id(9), Id(5)}}).status()),
            Reason::kRunNotFound);
  EXPECT_EQ(ReasonOf(Await(store().GetRun(Id(5))).status()), Reason::kRunNotFound);
  EXPECT_EQ(Await(store().ListArtifacts(Id(4), 9, 0))->refs.size(), 3U);

  const auto remove = [&](int n, int head) {
    RunRow ended = Row(n);
    ended.status = RunStatus::kCompleted;
    ASSERT_TRUE(Append(ended, head, 1).ok());
    ASSERT_TRUE(Commit(DeleteRun{Id(n)}).ok());
  };
  remove(1, 2);
  EXPECT_TRUE(Await(store().GetArtifact(std::string(64, 'b'))).ok());
  remove(4, 0);
  EXPECT_EQ(ReasonOf(Await(store().GetArtifact(std::string(64, 'b'))).status()), Reason::kNotFound);
  EXPECT_TRUE(Await(store().GetArtifact(std::string(64, 'a'))).ok());
  remove(2, 1);
  Reopen();
  EXPECT_EQ(ReasonOf(Await(store().GetArtifact(std::string(64, 'a'))).status()), Reason::kNotFound);
}

TEST_P(StoreSuite, SaysWhetherItCanBeWritten) { EXPECT_TRUE(Await(store().CheckWritable()).ok()); }

TEST_P(StoreSuite, RefusesWorkAfterClose) {
  ASSERT_TRUE(Create(Row(1)).ok());
  store().Close();
  store().Close();
  EXPECT_EQ(ReasonOf(Create(Row(2)).status()), Reason::kDraining);
  EXPECT_EQ(ReasonOf(Await(store().ListRuns({}, 1, 0)).status()), Reason::kDraining);
  Reopen();
  EXPECT_EQ(List({}), Numbers{1});
}

TEST_P(StoreSuite, ACancelledCallerCommitsNothingNew) {
  absl::Status seen;
  auto work = [](Store& store, absl::Status& out) -> Task<void> {
    while (!co_await IsCancelled()) co_await Yield();
    WriteBatch batch;
    batch.writes.push_back(CreateRun{Row(1), Source(1), {}});
    out = (co_await store.Commit(std::move(batch))).status();
  };
  TaskScope scope(runtime_.executor());
  scope.Cancel();
  scope.Spawn("cancelled", work(store(), seen));
  scope.JoinBlocking();
  EXPECT_EQ(seen.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(ReasonOf(Await(store().GetRun(Id(1))).status()), Reason::kRunNotFound);
}

}  // namespace
}  // namespace fabro::storage
