#include "core/stages/hook_call.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/config/hooks.h"
#include "core/stages/command_text.h"
#include "core/stages/work_folder.h"

namespace fabro::stages {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kReasonBytes = 4096;

// What the answer says, if it says anything.
std::optional<Json> ObjectIn(std::string_view text) {
  if (text.size() > HookCaller::kMaxAnswerBytes || !text.starts_with('{')) return std::nullopt;
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) return std::nullopt;
  return value;
}

// The whole of it or, of a command that also said other things, its last line.
std::optional<Json> AnswerIn(std::string_view text) {
  text = Trim(text);
  std::optional<Json> whole = ObjectIn(text);
  if (whole) return whole;
  const std::size_t end = text.rfind('\n');
  if (end == std::string_view::npos) return std::nullopt;
  return ObjectIn(Trim(text.substr(end + 1)));
}

std::string TextAt(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void Put(Json& document, const char* name, const std::string& value) {
  if (!value.empty()) document[name] = ToValidUtf8(value);
}

bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsNamePart(char c) { return IsNameStart(c) || (c >= '0' && c <= '9'); }

// Takes the variable that `text`, behind its '$', begins with: NAME or {NAME}. Nothing: the '$' is one.
std::optional<std::string> TakeName(std::string_view& text) {
  const bool braced = text.starts_with('{');
  std::size_t end = braced ? 1 : 0;
  const std::size_t begin = end;
  if (end >= text.size() || !IsNameStart(text[end])) return std::nullopt;
  while (end < text.size() && IsNamePart(text[end])) ++end;
  if (braced && (end >= text.size() || text[end] != '}')) return std::nullopt;
  std::string name(text.substr(begin, end - begin));
  text.remove_prefix(braced ? end + 1 : end);
  return name;
}

}  // namespace

std::string DocumentOf(const Occasion& occasion) {
  Json document = Json::object();
  document["event"] = config::ToString(occasion.event);
  document["run_id"] = occasion.run.ToString();
  Put(document, "workflow_name", occasion.workflow_name);
  Put(document, "goal", occasion.goal);
  Put(document, "work_dir", occasion.work_dir);
  Put(document, "traceparent", occasion.traceparent);
  Put(document, "node_id", occasion.node_id);
  Put(document, "node_label", occasion.node_label);
  Put(document, "handler_type", occasion.node_kind);
  Put(document, "stage_id", occasion.stage_id);
  if (occasion.attempt > 0) document["attempt"] = occasion.attempt;
  Put(document, "status", occasion.status);
  Put(document, "failure_reason", occasion.failure);
  Put(document, "failure_class", occasion.failure_class);
  if (occasion.duration) document["duration_ms"] = occasion.duration->count();
  return document.dump();
}

Task<absl::StatusOr<Verdict>> HookCaller::Call(config::Hook hook, Occasion occasion) {
  if (hook.kind == config::Hook::Kind::kHttp) {
    co_return co_await CallHttp(std::move(hook), std::move(occasion));
  }
  co_return co_await CallCommand(std::move(hook), std::move(occasion));
}

Verdict HookCaller::Block(std::string_view reason) const {
  return Verdict{Verdict::Kind::kBlock, KeepEnds(redactor_.Redact(Trim(reason)), kReasonBytes)};
}

HookCaller::Said HookCaller::Listen(std::string_view text) {
  Said said;
  const std::optional<Json> answer = AnswerIn(text);
  if (!answer) return said;
  said.reason = TextAt(*answer, "reason");
  const std::string decision = TextAt(*answer, "decision");
  if (decision == "continue" || decision == "proceed") said.kind = Verdict::Kind::kGoOn;
  if (decision == "skip") said.kind = Verdict::Kind::kSkip;
  if (decision == "block") said.kind = Verdict::Kind::kBlock;
  if (answer->contains("decision") && !said.kind) {
    said.fault = "its decision is none of continue, skip and block";
  }
  return said;
}

// Of a hook that did what it should.
Verdict HookCaller::Judge(const Said& said) const {
  if (!said.fault.empty()) return Block(said.fault);
  if (!said.kind || *said.kind == Verdict::Kind::kGoOn) return Verdict();
  Verdict verdict = Block(said.reason.empty() ? "it gave no reason" : said.reason);
  verdict.kind = *said.kind;
  return verdict;
}

Task<absl::StatusOr<Verdict>> HookCaller::CallCommand(config::Hook hook, Occasion occasion) {
  const absl::Status made = co_await MakeWorkFolder(pool_, occasion.work_dir);
  if (absl::IsCancelled(made)) co_return made;
  if (!made.ok()) co_return Block(MessageOf(made));

  sandbox::Command command;
  command.argv = {"bash", "-c", hook.command};
  command.work_dir = occasion.work_dir;
  command.timeout = hook.timeout;
  command.input = DocumentOf(occasion);
  command.label = StrCat(occasion.run.ToString(), "-hook-", config::ToString(occasion.event));
  const std::string event(config::ToString(occasion.event));
  command.env = {{"FABRO_HOOK_EVENT", event},
                 {"FABRO_EVENT", event},
                 {"FABRO_HOOK_CONTEXT", "/dev/stdin"},
                 {"FABRO_RUN_ID", occasion.run.ToString()},
                 {"FABRO_WORKFLOW", occasion.workflow_name}};
  if (!occasion.node_id.empty()) {
    command.env.emplace_back("FABRO_NODE_ID", occasion.node_id);
    command.env.emplace_back("FABRO_STAGE_ID", occasion.stage_id);
    command.env.emplace_back("FABRO_ATTEMPT", std::to_string(occasion.attempt));
  }
  if (!occasion.traceparent.empty()) command.env.emplace_back("TRACEPARENT", occasion.traceparent);

  config::SandboxSettings where = occasion.settings->sandbox;
  if (!hook.sandbox) where.provider = config::SandboxProvider::kLocal;
  const std::unique_ptr<sandbox::Sandbox> sandbox = sandboxes_.For(where);
  const absl::StatusOr<sandbox::CommandResult> ran = co_await sandbox->Run(std::move(command), nullptr);
  if (absl::IsCancelled(ran.status())) co_return ran.status();
  if (!ran.ok()) co_return Block(StrCat("it could not be started: ", MessageOf(ran.status())));
  if (ran->end == sandbox::CommandResult::End::kCancelled) co_return Cancelled("the hook was stopped");

  const std::string fault = FaultOf(*ran, hook.timeout, "timeout_ms");
  Said said = Listen(ran->out);
  if (fault.empty() || !said.fault.empty()) co_return Judge(said);
  // Whatever it says, it did not say yes; only whether the stage is left out or fails is its choice.
  const bool has_words = !said.reason.empty() || !Trim(ran->err).empty();
  Verdict verdict = Block(!said.reason.empty() ? said.reason
                          : has_words          ? StrCat("it ", fault, ": ", Trim(ran->err))
                                               : StrCat("it ", fault));
  if (said.kind == Verdict::Kind::kSkip) verdict.kind = Verdict::Kind::kSkip;
  co_return verdict;
}

// `$NAME` and `${NAME}` stand for a variable that the hook allows and that may be had; `$$` is a dollar.
absl::StatusOr<std::string> HookCaller::HeaderValue(const config::Hook& hook, const std::string& header,
                                                    std::string_view value) const {
  std::string out;
  while (true) {
    const std::size_t dollar = value.find('$');
    out += value.substr(0, dollar);
    if (dollar == std::string_view::npos) return out;
    value.remove_prefix(dollar + 1);
    const bool doubled = value.starts_with('$');
    if (doubled) value.remove_prefix(1);
    const std::optional<std::string> name = doubled ? std::nullopt : TakeName(value);
    if (!name) {
      out += '$';
      continue;
    }
    const bool allowed = std::ranges::find(hook.allowed_env_vars, *name) != hook.allowed_env_vars.end();
    const std::optional<std::string> found = allowed ? variables_(*name) : std::nullopt;
    if (!found) {
      return FailedPrecondition(Reason::kInvalidArgument, header,
                                StrCat("its header ", header, " names the variable ", *name, ", which is ",
                                       allowed ? "not set, or not in allowed_env_vars of a hook of the server"
                                               : "not in its allowed_env_vars"));
    }
    out += *found;
  }
}

Task<absl::StatusOr<Verdict>> HookCaller::CallHttp(config::Hook hook, Occasion occasion) {
  net::HttpRequest request;
  request.method = "POST";
  request.url = hook.url;
  request.body = DocumentOf(occasion);
  request.deadline = Deadline::In(hook.timeout);
  request.max_response_bytes = kMaxAnswerBytes;
  request.verify_tls = hook.verify_tls;
  request.headers = {{"Content-Type", "application/json"}};
  if (!occasion.traceparent.empty()) request.headers.emplace_back("traceparent", occasion.traceparent);
  for (const auto& [name, text] : hook.headers) {
    absl::StatusOr<std::string> value = HeaderValue(hook, name, text);
    if (!value.ok()) co_return Block(MessageOf(value.status()));
    std::erase_if(request.headers, [&](const auto& known) { return EqualsIgnoreCase(known.first, name); });
    request.headers.emplace_back(name, *std::move(value));
  }
  const absl::StatusOr<net::HttpResponse> response = co_await http_.Fetch(std::move(request));
  if (absl::IsCancelled(response.status())) co_return response.status();
  if (!response.ok()) co_return Block(MessageOf(response.status()));
  const int status = response->head.status;
  const Said said = Listen(response->body);
  if (status < 200 || status > 299) {
    co_return Block(said.reason.empty() ? StrCat("it answered ", status)
                                        : StrCat("it answered ", status, ": ", said.reason));
  }
  co_return Judge(said);
}

}  // namespace fabro::stages
