#include "tests/scenario/render.h"

#include <algorithm>
#include <variant>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/event.pb.h"
#include "tests/scenario/words.h"

namespace fabro::scenario {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Bare where SplitWords would read it back as one word.
std::string Word(std::string_view text) {
  const bool plain = !text.empty() && text.find_first_of(" \"\\\n=") == std::string_view::npos;
  return plain ? std::string(text) : Quote(text);
}

// OUTCOME_STATUS_PARTIAL_SUCCESS -> partial_success
std::string EnumWord(const google::protobuf::EnumValueDescriptor* value) {
  std::string prefix;
  for (const char c : value->type()->name()) {
    if (c >= 'A' && c <= 'Z' && !prefix.empty()) prefix += '_';
    prefix += c;
  }
  return ToLower(value->name()).substr(prefix.size() + 1);
}

std::string RenderFields(const Message& message);

std::string RenderValue(const Message& message, const FieldDescriptor* field, int index) {
  const google::protobuf::Reflection& access = *message.GetReflection();
  const bool repeated = index >= 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return Word(repeated ? access.GetRepeatedString(message, field, index)
                           : access.GetString(message, field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumWord(repeated ? access.GetRepeatedEnum(message, field, index)
                               : access.GetEnum(message, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return access.GetBool(message, field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(access.GetUInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::to_string(access.GetUInt64(message, field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return StrCat("{", RenderFields(access.GetMessage(message, field)), "}");
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(access.GetInt32(message, field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return StrCat(access.GetDouble(message, field));
    default:
      return "?";
  }
}

std::string RenderFields(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  std::string out;
  for (const FieldDescriptor* field : fields) {
    if (!out.empty()) out += ' ';
    out += field->name() + "=";
    if (!field->is_repeated()) {
      out += RenderValue(message, field, -1);
      continue;
    }
    for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
      out += (i > 0 ? "," : "") + RenderValue(message, field, i);
    }
  }
  return out;
}

struct EffectText {
  std::string operator()(const engine::ExecuteStage& e) const {
    std::string out = StrCat("execute ", e.stage_id, " attempt ", e.attempt, "/", e.max_attempts, " visit ",
                             e.visit, " as ", static_cast<std::uint64_t>(e.execution));
    if (!e.branch.empty()) out += StrCat(" in ", e.branch);
    for (const std::string& outer : e.outer_branches) out += StrCat(" of ", outer);
    if (!e.adopt_branch.empty()) out += StrCat(" adopts ", e.adopt_branch);
    if (!e.restore_sha.empty()) out += StrCat(" from ", e.restore_sha);
    if (e.prepared.work_dir != "/work") out += StrCat(" dir=", e.prepared.work_dir);
    if (!e.traceparent.empty()) out += StrCat(" trace=", e.environment.back().second);
    const bool is_model =
        e.node->kind == workflow::NodeKind::kAgent || e.node->kind == workflow::NodeKind::kPrompt;
    if (is_model) out += StrCat(" fidelity=", workflow::ToString(e.fidelity));
    if (!e.thread_id.empty()) out += " thread=" + e.thread_id;
    if (!e.preamble.empty()) out += " preamble=" + Quote(e.preamble);
    if (!e.text.empty()) out += " text=" + Quote(e.text);
    if (e.timeout) out += " timeout=" + FormatDuration(*e.timeout);
    return out;
  }
  std::string operator()(const engine::CancelStage& e) const {
    return StrCat("cancel ", static_cast<std::uint64_t>(e.execution), " grace ", FormatDuration(e.grace));
  }
  std::string operator()(const engine::PrepareRun&) const { return "prepare"; }
  std::string operator()(const engine::CancelPreparation&) const { return "cancel preparation"; }
  std::string operator()(const engine::StartChild& e) const {
    return StrCat("start child ", e.child.ToString(), " of ", e.node->id, " in ", e.work_dir);
  }
  std::string operator()(const engine::CheckChild& e) const {
    return StrCat("look at child ", e.child.ToString());
  }
  std::string operator()(const engine::CancelChild& e) const {
    return StrCat("cancel child ", e.child.ToString());
  }
  std::string operator()(const engine::ContinueStep&) const { return "continue"; }
  std::string operator()(const engine::Park&) const { return "park"; }
  std::string operator()(const engine::RequestSlot&) const { return "request slot"; }
  std::string operator()(const engine::RunFinished&) const { return "finished"; }
};

std::string_view ActivityWord(engine::Activity activity) {
  switch (activity) {
    case engine::Activity::kQueued:
      return "waits for its first slot";
    case engine::Activity::kActive:
      return "active";
    case engine::Activity::kParked:
      return "parked";
    case engine::Activity::kEnded:
      return "ended";
  }
  return "?";
}

}  // namespace

std::vector<std::string> RenderRecord(const engine::Record& record) {
  v1::Event event;
  internal::v1::StateDelta delta;
  FABRO_CHECK(event.ParseFromString(record.event) && delta.ParseFromString(record.delta));
  std::vector<const FieldDescriptor*> fields;
  event.GetReflection()->ListFields(event, &fields);
  const FieldDescriptor* payload = fields.back();
  const std::string text = RenderFields(event.GetReflection()->GetMessage(event, payload));
  const std::string branch = delta.frame() == 0 ? "" : StrCat("[", delta.frame(), "] ");
  std::vector<std::string> lines{
      StrCat(event.id(), " ", branch, payload->message_type()->name(), text.empty() ? "" : " ", text)};
  for (const auto& entry : delta.context_updates()) {
    const std::string& value = entry.value();
    const std::string shown =
        value.size() <= 2000 ? value : StrCat(value.substr(0, 60), " ... (", value.size(), " bytes)");
    lines.push_back(StrCat("  context ", entry.key(), " = ", shown));
  }
  for (const std::string& key : delta.context_removed())
    lines.push_back(StrCat("  context ", key, " removed"));
  return lines;
}

std::string RenderEffect(const engine::Effect& effect) { return std::visit(EffectText{}, effect); }

std::string RenderRefusal(const absl::Status& refusal) {
  return StrCat("refused: ", Describe(refusal), " (", ToString(ReasonOf(refusal)), ")");
}

std::string RenderState(const engine::Machine& machine, Timestamp now) {
  std::string out(fabro::ToString(machine.status()));
  if (!machine.current_node().empty() && machine.activity() != engine::Activity::kEnded) {
    out += StrCat(" at ", machine.current_node());
  }
  if (machine.activity() != engine::Activity::kEnded) out += StrCat(", ", ActivityWord(machine.activity()));
  const std::vector<engine::ExecutionView> executions = machine.Executions();
  if (!executions.empty()) out += ", executing";
  const bool elsewhere =
      executions.size() > 1 || (!executions.empty() && executions.front().node_id != machine.current_node());
  for (std::size_t i = 0; elsewhere && i < executions.size(); ++i) out += " " + executions[i].stage_id;
  if (machine.wake_at()) {
    const auto left = std::max(*machine.wake_at() - now, std::chrono::milliseconds(0));
    out += StrCat(", wakes in ", FormatDuration(left));
  }
  if (!machine.outcome().empty()) out += StrCat(", outcome ", machine.outcome());
  if (machine.error()) out += StrCat(", error ", Quote(*machine.error()));
  if (!machine.question_text().empty()) out += StrCat(", asks ", Quote(machine.question_text()));
  return out;
}

}  // namespace fabro::scenario
