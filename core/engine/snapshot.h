// A run's state as bytes, and back.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/engine/run_state.h"
#include "core/workflow/graph.h"

namespace fabro::engine {

inline constexpr std::uint32_t kSnapshotVersion = 2;

// Equal states give equal bytes.
std::string EncodeSnapshot(const RunId& run, const workflow::Graph& graph, const RunState& state);

// DataLoss when the bytes are no snapshot of this run over this graph.
absl::StatusOr<RunState> DecodeSnapshot(const RunId& run, const workflow::Graph& graph,
                                        std::string_view bytes);

}  // namespace fabro::engine
