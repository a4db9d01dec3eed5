#include "core/stages/directive.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/strings.h"

namespace fabro::stages {
namespace {

using nlohmann::json;

constexpr const char* kKeys[] = {"outcome", "failure_reason", "preferred_next_label", "suggested_next_ids",
                                 "context_updates"};
constexpr std::size_t kMaxLine = 256 * 1024;

std::optional<json> ParseLine(std::string_view line) {
  line = Trim(line);
  if (line.size() < 2 || line.size() > kMaxLine || line.front() != '{' || line.back() != '}')
    return std::nullopt;
  // Depth is bounded by the library's own iterative parser; no exceptions with the last argument false.
  json object = json::parse(line, nullptr, false);
  if (!object.is_object()) return std::nullopt;
  for (const char* key : kKeys) {
    if (object.contains(key)) return object;
  }
  return std::nullopt;
}

std::optional<json> FindLast(std::string_view output) {
  while (!output.empty()) {
    const std::size_t newline = output.find_last_of('\n');
    const std::string_view line = newline == std::string_view::npos ? output : output.substr(newline + 1);
    if (auto found = ParseLine(line)) return found;
    if (newline == std::string_view::npos) return std::nullopt;
    output = output.substr(0, newline);
  }
  return std::nullopt;
}

bool IsSuccess(engine::OutcomeStatus status) {
  return status == engine::OutcomeStatus::kSuccess || status == engine::OutcomeStatus::kPartialSuccess;
}

void ApplyStatus(const json& directive, engine::Outcome* outcome) {
  const auto word = directive.find("outcome");
  if (word == directive.end() || !word->is_string()) return;
  const auto status = engine::ParseOutcomeStatus(word->get_ref<const std::string&>());
  if (!status || !IsSuccess(outcome->status)) return;
  outcome->status = *status;
  if (IsSuccess(*status)) return;
  const auto reason = directive.find("failure_reason");
  engine::Failure failure;
  failure.message = reason != directive.end() && reason->is_string() ? reason->get<std::string>()
                                                                     : "the stage reported a failure";
  outcome->failure = failure;
}

}  // namespace

void ApplyDirective(std::string_view output, engine::Outcome* outcome) {
  const auto directive = FindLast(output);
  if (!directive) return;
  ApplyStatus(*directive, outcome);
  if (const auto label = directive->find("preferred_next_label");
      label != directive->end() && label->is_string()) {
    outcome->preferred_label = label->get<std::string>();
  }
  if (const auto ids = directive->find("suggested_next_ids"); ids != directive->end() && ids->is_array()) {
    for (const json& id : *ids) {
      if (id.is_string()) outcome->suggested_next_ids.push_back(id.get<std::string>());
    }
  }
  if (const auto updates = directive->find("context_updates");
      updates != directive->end() && updates->is_object()) {
    for (const auto& [key, value] : updates->items()) {
      outcome->context_updates[key] = value.dump(-1, ' ', false, json::error_handler_t::replace);
    }
  }
}

}  // namespace fabro::stages
