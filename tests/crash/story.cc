#include "tests/crash/story.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/strings.h"
#include "core/engine/outcome.h"
#include "fabro/v1/event.pb.h"

namespace fabro::crash {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::string_view kHead = R"(
  graph [goal="cross the river", stall_timeout="0s"]
  node [shape=parallelogram, script="true"]
  start [shape=Mdiamond]
  exit [shape=Msquare]
)";

// `text` with `#` for the piece's number.
std::string Number(std::string_view text, int number) {
  return ReplaceAll(text, "#", std::to_string(number));
}

// A part of a workflow between its first node and its last.
struct Piece {
  std::string_view name;
  std::string_view first;
  std::string_view last;
  std::string_view text;
  std::size_t stages;
  void (*note)(Story& story, int number) = nullptr;
};

// Their children's sources stand in strings, so that no quote is left in them.
constexpr std::array kPieces{
    Piece{"work", "work#", "more#", "work# -> more#", 2},
    Piece{"retries", "flaky#", "upload#",
          "flaky# [retry_policy=aggressive] upload# [retry_policy=patient] flaky# -> upload#", 6},
    Piece{"fix", "test#", "fixed#",
          R"(verdict# [shape=diamond] test# -> verdict# fix# -> test#
             verdict# -> fix# [condition="outcome=fail"] verdict# -> fixed# [condition="outcome=success"])",
          9},
    Piece{"broken", "broken#", "mend#", "broken# -> mend#", 2},
    Piece{"gate", "ask#", "pack#",
          R"(ask# [shape=hexagon, label="ask #"]
             ask# -> pack# [label="[A] Approve"] ask# -> drop# [label="[R] Reject"] drop# -> pack#)",
          2},
    Piece{"default", "deaf#", "after#",
          R"(deaf# [shape=hexagon, label="deaf #", timeout="1h", human.default_choice=R]
             deaf# -> after# [label="[A] Approve"] deaf# -> other# [label="[R] Reject"] other# -> after#)",
          3, [](Story& story, int n) { story.patience[Number("deaf #", n)] = hours(1); }},
    Piece{
        "late", "late#", "kept#",
        R"(late# [shape=hexagon, label="late #", timeout="30m", max_retries=1] late# -> kept# [label="[A] Go"])",
        3, [](Story& story, int n) { story.patience[Number("late #", n)] = minutes(30); }},
    Piece{"day", "day#", "night#", R"(day# [type="wait", duration="1d"] day# -> night#)", 2,
          [](Story& story, int n) { story.waits[Number("day#", n)] = hours(24); }},
    Piece{"side_by_side", "all#", "together#",
          R"(all# [shape=component] together# [shape=tripleoctagon]
             nap# [type="wait", duration="10s"] flaky# [retry_policy=aggressive]
             ask# [shape=hexagon, label="ask #"]
             deaf# [shape=hexagon, label="deaf #", timeout="20s", human.default_choice=A]
             all# -> left# -> nap# -> together#
             all# -> flaky# -> together#
             all# -> broken#
             broken# -> together#
             all# -> ask#  ask# -> said# [label="[A] Approve"] said# -> together#
             all# -> deaf# deaf# -> heard# [label="[A] Approve"] heard# -> together#)",
          14,
          [](Story& story, int n) {
            story.waits[Number("nap#", n)] = seconds(10);
            story.patience[Number("deaf #", n)] = seconds(20);
            story.has_one_timer_at_a_time = false;
          }},
    Piece{"race", "race#", "over#",
          R"(race# [shape=component, join_policy=first_success] over# [shape=tripleoctagon]
             mute# [shape=hexagon, label="mute #"]
             race# -> loser# -> over#
             race# -> mute#  mute# -> over# [label="[A] Approve"]
             race# -> broken# -> over#
             race# -> winner# -> over#)",
          7,
          [](Story& story, int n) {
            story.held.insert(Number("loser#", n));
            story.after[Number("winner#", n)] = {Number("loser#", n), Number("mute#", n),
                                                 Number("broken#", n)};
          }},
    Piece{"nested", "outer#", "done#",
          R"(outer# [shape=component] done# [shape=tripleoctagon]
             race# [shape=component, join_policy=first_success] over# [shape=tripleoctagon]
             flaky# [retry_policy=aggressive]
             outer# -> first# -> race#
             race# -> loser# -> over#
             race# -> winner# -> over#
             over# -> then# -> done#
             outer# -> flaky# -> work# -> done#)",
          13,
          [](Story& story, int n) {
            story.held.insert(Number("loser#", n));
            story.after[Number("winner#", n)] = {Number("loser#", n)};
            story.has_one_timer_at_a_time = false;
          }},
    Piece{"child", "kid#", "grown#",
          R"(kid# [shape=house, manager.poll_interval="20s", stack.child_dot_source="digraph kid# {
               graph [stall_timeout=0]
               node [shape=parallelogram, script=true] start [shape=Mdiamond] exit [shape=Msquare]
               cool# [type=wait, duration=1m] ask# [shape=hexagon, label=asking] flaky# [retry_policy=aggressive]
               start -> in# -> cool# -> flaky# -> ask#  ask# -> out# [label=Approve] out# -> exit }"]
             kid# -> grown#)",
          10, [](Story& story, int n) { story.waits[Number("cool#", n)] = minutes(1); }},
    Piece{"grandchild", "kin#", "kith#",
          R"(kin# [shape=house, manager.poll_interval="20s", stack.child_dot_source="digraph kin# {
               graph [stall_timeout=0]
               node [shape=parallelogram, script=true] start [shape=Mdiamond] exit [shape=Msquare]
               below# [shape=house, manager.poll_interval=30s, stack.child_dot_source=\"digraph below# {
                 graph [stall_timeout=0]
                 node [shape=parallelogram, script=true] start [shape=Mdiamond] exit [shape=Msquare]
                 start -> deep# -> exit }\"]
               start -> below# -> exit }"]
             kin# -> kith#)",
          6},
    Piece{"stray", "chase#", "caught#",
          R"(chase# [shape=component, join_policy=first_success] caught# [shape=tripleoctagon]
             stray# [shape=house, manager.poll_interval="20s", stack.child_dot_source="digraph stray# {
               graph [stall_timeout=0]
               node [shape=parallelogram, script=true] start [shape=Mdiamond] exit [shape=Msquare]
               mute# [shape=hexagon, label=mute] start -> in# -> mute#  mute# -> exit [label=Approve] }"]
             chase# -> stray# -> caught#
             chase# -> winner# -> caught#)",
          7, [](Story& story, int n) { story.after[Number("winner#", n)] = {Number("stray#", n)}; }},
    Piece{"back", "back#", "forward#",
          R"(turn# [shape=hexagon, label="turn #"]
             back# -> redo# -> turn#  turn# -> forward# [label="[A] Approve"])",
          6},
};

Story Compose(const std::vector<const Piece*>& pieces) {
  Story story;
  std::string chain = "start";
  std::string body;
  int number = 0;
  for (const Piece* piece : pieces) {
    ++number;
    body +=
        StrCat("  ", Number(piece->text, number), "\n  ", chain, " -> ", Number(piece->first, number), "\n");
    chain = Number(piece->last, number);
    story.stages += piece->stages;
    if (piece->note != nullptr) piece->note(story, number);
  }
  story.source = StrCat("digraph story {", kHead, body, "  ", chain, " -> exit\n}");
  return story;
}

engine::Outcome Ends(engine::OutcomeStatus status) {
  engine::Outcome outcome;
  outcome.status = status;
  return outcome;
}

Task<std::vector<v1::Event>> ReadLog(storage::Store* store, RunId run) {
  std::vector<v1::Event> events;
  while (true) {
    const EventSeq after{events.empty() ? 0 : events.back().id()};
    const auto page = co_await store->ReadEvents(run, after, storage::ReadLimits());
    if (!page.ok() || page->empty()) co_return events;
    for (const storage::EventBytes& bytes : *page) events.emplace_back().ParseFromString(bytes.event);
  }
}

bool HasBegun(const std::vector<v1::Event>& events, const std::string& node) {
  return std::ranges::any_of(events, [&](const v1::Event& event) {
    // A child has begun when its parent knows of it; a stage that fails at once, when it has.
    if (KindOf(node) == "stray") return event.subgraph_started().node_id() == node;
    if (KindOf(node) == "broken") return event.stage_failed().node_id() == node;
    return event.stage_started().node_id() == node;
  });
}

Task<absl::Status> AwaitBeginOf(storage::Store* store, events::EventHub* hub, RunId run,
                                std::vector<std::string> nodes) {
  events::EventHub::Subscription subscription(*hub, run);
  while (true) {
    const std::vector<v1::Event> events = co_await ReadLog(store, run);
    const bool all =
        std::ranges::all_of(nodes, [&](const std::string& node) { return HasBegun(events, node); });
    if (all) co_return absl::OkStatus();
    const EventSeq seen{events.empty() ? 0 : events.back().id()};
    const absl::Status news = co_await subscription.WaitPast(seen);
    if (!news.ok()) co_return news;
  }
}

}  // namespace

Story Twenty() {
  Story story;
  story.stages = 27;
  story.waits = {{"cool", seconds(90)}, {"nap", seconds(10)}};
  story.source = R"(digraph twenty {
  goal="cross the river"
  node [shape=parallelogram, script="true"]
  start [shape=Mdiamond]
  exit [shape=Msquare]
  start -> plan -> fetch -> build -> test -> verdict
  fetch [retry_policy=aggressive]
  verdict [shape=diamond]
  verdict -> fix [condition="outcome=fail"]
  fix -> test
  verdict -> review [condition="outcome=success"]
  review [shape=hexagon, label="Ship it?"]
  review -> pack [label="[A] Approve"]
  review -> fix [label="[R] Revise"]
  pack -> cool -> upload -> check -> tell
  cool [type="wait", duration="90s"]
  upload [retry_policy=patient]
  tell [shape=box, prompt="Say so."]
  tell -> tidy -> fan
  fan [shape=component]
  join [shape=tripleoctagon]
  fan -> left -> join
  fan -> right -> join
  join -> nap -> log -> confirm
  nap [type="wait", duration="10s"]
  confirm [shape=hexagon, label="Close?"]
  confirm -> close [label="[Y] Yes"]
  close -> exit
})";
  return story;
}

std::vector<std::string_view> PieceNames() {
  std::vector<std::string_view> names;
  for (const Piece& piece : kPieces) names.push_back(piece.name);
  return names;
}

Story OnePiece(std::string_view name) {
  const auto found = std::ranges::find_if(kPieces, [&](const Piece& piece) { return piece.name == name; });
  return Compose({&*found});
}

Story SomePieces(testing::SeededRandom& random) {
  std::vector<const Piece*> pieces;
  const std::size_t count = 2 + random.Below(3);
  while (pieces.size() < count) pieces.push_back(&kPieces[random.Below(kPieces.size())]);
  return Compose(pieces);
}

std::string_view KindOf(std::string_view node) {
  return node.substr(0, node.find_last_not_of("0123456789") + 1);
}

Task<engine::Outcome> Tell(storage::Store* store, events::EventHub* hub, const Story* story,
                           stages::StageRequest request, stages::StageOutputSink* sink) {
  const std::string node = request.node->id;
  const std::string kind(KindOf(node));
  if (const auto found = story->after.find(node); found != story->after.end()) {
    const absl::Status waited = co_await AwaitBeginOf(store, hub, request.run, found->second);
    if (!waited.ok()) co_return Ends(engine::OutcomeStatus::kFail);
  }
  const std::vector<v1::Event> events = co_await ReadLog(store, request.run);
  const auto ended = std::ranges::count_if(events, [&](const v1::Event& event) {
    return event.stage_failed().node_id() == node || event.stage_completed().node_id() == node;
  });
  co_await sink->Write(false, node + " speaks\n");
  if (kind == "test" && ended < 2) co_return Ends(engine::OutcomeStatus::kFail);
  if (kind == "broken") co_return Ends(engine::OutcomeStatus::kFail);
  const bool is_flaky = kind == "fetch" || kind == "upload" || kind == "flaky";
  if (is_flaky && ended < 2) co_return Ends(engine::OutcomeStatus::kRetry);
  engine::Outcome outcome;
  outcome.context_updates["seen." + node] = std::to_string(ended);
  co_return outcome;
}

}  // namespace fabro::crash
