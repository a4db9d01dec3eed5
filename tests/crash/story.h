// The workflows that are cut, and what their stages do. A node's name without its number says how it behaves:
// see Tell. How a stage ends depends on nothing but what is durable, so a run comes to the same end however
// often it is cut.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/events/event_hub.h"
#include "core/stages/stage_runner.h"
#include "core/storage/store.h"
#include "tests/support/seeded_random.h"

namespace fabro::crash {

struct Story {
  std::string source;
  std::size_t stages = 0;                                     // about as many as it begins
  std::set<std::string> held;                                 // end only when they are stopped
  std::map<std::string, std::vector<std::string>> after;      // ends only when these have begun
  std::map<std::string, std::chrono::milliseconds> waits;     // how long each wait node waits
  std::map<std::string, std::chrono::milliseconds> patience;  // by the text of a question that has a time-out
  bool has_one_timer_at_a_time = true;  // then each of them is on time to the millisecond
};

// More than twenty stages that do a bit of everything, one after the other and two of them side by side.
Story Twenty();

// One piece: a child run, a race, a gate that nobody answers, a way back ...
std::vector<std::string_view> PieceNames();
Story OnePiece(std::string_view name);

// Some pieces, one after the other, as chance has it.
Story SomePieces(testing::SeededRandom& random);

// "flaky12" -> "flaky"
std::string_view KindOf(std::string_view node);

// A stage's attempt: `test` fails twice and then succeeds, `fetch`, `upload` and `flaky` ask to be tried
// again twice, `broken` fails, `winner` waits for Story::after; all others succeed at once.
Task<engine::Outcome> Tell(storage::Store* store, events::EventHub* hub, const Story* story,
                           stages::StageRequest request, stages::StageOutputSink* sink);

}  // namespace fabro::crash
