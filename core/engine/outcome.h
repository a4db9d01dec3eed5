// How a stage ended: what a handler hands to the engine.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fabro::engine {

// The words of fabro.v1.OutcomeStatus.
enum class OutcomeStatus : std::uint8_t { kSuccess, kPartialSuccess, kFail, kRetry, kSkipped };
std::string_view ToString(OutcomeStatus status);  // "partial_success"
std::optional<OutcomeStatus> ParseOutcomeStatus(std::string_view text);

// What kind of failure; decides whether another attempt makes sense. The words of fabro.v1.FailureClass.
enum class FailureClass : std::uint8_t {
  kDeterministic,
  kTransientInfra,
  kBudgetExhausted,
  kCanceled,
  kStructural,
  kCompilationLoop,
};
std::string_view ToString(FailureClass failure_class);  // "transient_infra"
std::optional<FailureClass> ParseFailureClass(std::string_view text);

struct Failure {
  std::string message;
  FailureClass failure_class = FailureClass::kDeterministic;
  bool timed_out = false;  // stopped at its time limit; for its event, no part of the state
  bool operator==(const Failure&) const = default;
};

// What a stage used of models.
struct StageUsage {
  std::string model;
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;
  std::uint64_t cache_read_tokens = 0;
  std::uint64_t cache_write_tokens = 0;
  std::uint64_t reasoning_tokens = 0;
  std::optional<double> cost;  // US dollars; not set: the model's price is not known
};

// Texts are taken as they are: redaction, the size limits and the artifact store come before.
struct Outcome {
  OutcomeStatus status = OutcomeStatus::kSuccess;
  std::optional<Failure> failure;  // a `fail` or `retry` without one gets a general text
  std::string preferred_label;     // empty: none
  std::vector<std::string> suggested_next_ids;
  std::map<std::string, std::string, std::less<>> context_updates;  // key -> compact JSON text
  std::string notes;                                                // empty: none
  std::vector<std::string> files_touched;
  std::string git_commit_sha;       // the commit that holds the files after the stage; empty: none
  std::optional<StageUsage> usage;  // of a stage that called a model
};

}  // namespace fabro::engine
