// What a server must have kept when it comes back.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/crash/hand.h"
#include "tests/crash/story.h"

namespace fabro::crash {

// A run as it is stored.
struct Stored {
  storage::RunRow row;
  std::vector<storage::EventBytes> log;
  std::string context;  // JSON, without ids that are chance
};
using Family = std::map<std::string, Stored>;  // by the workflow's name, which no two of them share

Family Read(testing::RunWorld& world, RunId root);
Events Parse(const std::vector<storage::EventBytes>& log);
int Count(const Events& events, v1::Event::PayloadCase what);

// What a crash left fits together.
void CheckStored(testing::RunWorld& world, const Stored& run);

// Nothing that was there has changed: the log goes on behind it.
void CheckKept(const Stored& before, const Stored& end);

// The log of a run that has ended is one that some course of things could have made.
void CheckSound(const Story& story, const Stored& end);

// The end is the one that the run came to without a crash.
void CheckSameEnd(const Stored& end, const Stored& uncut);

// The command in hand at the crash runs again as a new attempt, and that is not a retry.
void CheckResumption(const Stored& before, const Stored& end);

}  // namespace fabro::crash
