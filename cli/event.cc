#include "cli/event.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace fabro::cli {
namespace {

using Json = nlohmann::json;

std::string Text(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::int64_t Number(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end()) return 0;
  if (it->is_number_unsigned()) {
    const std::uint64_t value = it->get<std::uint64_t>();
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return static_cast<std::int64_t>(std::min(value, kMost));
  }
  return it->is_number_integer() ? it->get<std::int64_t>() : 0;
}

std::string FirstOf(const Json& object, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    std::string text = Text(object, key);
    if (!text.empty()) return text;
  }
  return "";
}

}  // namespace

absl::StatusOr<RunEvent> ParseEvent(std::string_view json) {
  const Json object = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  RunEvent event;
  if (object.is_object()) {
    event.id = static_cast<std::uint64_t>(std::max<std::int64_t>(Number(object, "id"), 0));
    event.type = Text(object, "event");
  }
  if (event.id == 0 || event.type.empty()) {
    return InvalidArgument(Reason::kInvalidArgument, "", "the server sent something that is no event");
  }
  event.ts = ParseRfc3339(Text(object, "ts")).value_or(Timestamp());
  event.node = FirstOf(object, {"node_id", "stage", "node"});
  event.name = FirstOf(object, {"name", "branch"});
  event.handler = Text(object, "handler_type");
  event.status = FirstOf(object, {"status", "level"});
  event.text = FirstOf(object, {"text", "question", "message", "error", "goal", "command"});
  if (const auto failure = object.find("failure"); failure != object.end() && failure->is_object()) {
    event.text = Text(*failure, "message");
  }
  event.code = Text(object, "code");
  event.by = Text(object, "by");
  event.answer = Text(object, "answer");
  event.question_id = Text(object, "question_id");
  event.from = Text(object, "from_node");
  event.to = Text(object, "to_node");
  event.reason = Text(object, "reason");
  event.label = FirstOf(object, {event.reason == "condition" ? "condition" : "label", "label"});
  event.stream = Text(object, "stream");
  event.duration = std::chrono::milliseconds(Number(object, "duration_ms"));
  event.delay = std::chrono::milliseconds(Number(object, "delay_ms"));
  event.attempt = static_cast<int>(std::min<std::int64_t>(Number(object, "attempt"), 1'000'000));
  event.max_attempts = static_cast<int>(std::min<std::int64_t>(Number(object, "max_attempts"), 1'000'000));
  const auto will_retry = object.find("will_retry");
  event.will_retry = will_retry != object.end() && will_retry->is_boolean() && will_retry->get<bool>();
  return event;
}

}  // namespace fabro::cli
