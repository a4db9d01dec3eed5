// What must hold after every story, whatever it tells.
#pragma once

#include "tests/scenario/player.h"

namespace fabro::scenario {

// Reports through gtest: event ids are contiguous from 1; every stage that began has ended once when the run
// has; nothing follows the terminal event; and the records, replayed from nothing or from any snapshot on the
// way, give the very same state.
void CheckInvariants(const Player& player);

}  // namespace fabro::scenario
