// One hook, called for one occasion.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/async/blocking_pool.h"
#include "core/async/task.h"
#include "core/base/ids.h"
#include "core/config/run_settings.h"
#include "core/events/redactor.h"
#include "core/net/http_client.h"
#include "core/sandbox/sandboxes.h"

namespace fabro::stages {

// What hooks are told of.
struct Occasion {
  config::HookEvent event = config::HookEvent::kRunStart;
  RunId run;
  std::string workflow_name;
  std::string goal;
  std::string work_dir;  // where the run's, or the stage's, commands work
  std::string traceparent;
  std::shared_ptr<const config::RunSettings> settings;  // not null

  // Of a stage; empty: it is about the run.
  std::string node_id;
  std::string node_label;
  std::string node_kind;  // "command"
  std::string stage_id;
  std::uint32_t attempt = 0;

  // Of what has ended.
  std::string status;  // "success"; of a run "completed" or "failed"
  std::string failure;
  std::string failure_class;
  std::optional<std::chrono::milliseconds> duration;
};

// The JSON document that a hook gets: the members above that are not empty.
std::string DocumentOf(const Occasion& occasion);

struct Verdict {
  enum class Kind : std::uint8_t { kGoOn, kSkip, kBlock };
  Kind kind = Kind::kGoOn;
  std::string reason;  // redacted; set unless it goes on
};

// Thread-safe. A command hook gets the document on its standard input and goes on by exit code 0; an http
// hook gets it by POST and goes on by a status of 2xx. Either may say otherwise by a JSON object, as its
// answer's body or as the last line of standard output: {"decision": "continue" | "proceed" | "skip" |
// "block", "reason": "..."}. A hook that fails, in whatever way, blocks, and the reason tells how it failed.
class HookCaller {
 public:
  static constexpr std::size_t kMaxAnswerBytes = std::size_t{64} << 10;

  // The value of a variable of the environment; nothing: it is not there, or not for headers. Thread-safe.
  using Variables = std::function<std::optional<std::string>(const std::string&)>;

  HookCaller(sandbox::Sandboxes& sandboxes, net::HttpClient& http, BlockingPool& pool,
             const events::Redactor& redactor, Variables variables)
      : sandboxes_(sandboxes),
        http_(http),
        pool_(pool),
        redactor_(redactor),
        variables_(std::move(variables)) {}

  // An error only when the caller was cancelled; then nothing of the hook is left.
  Task<absl::StatusOr<Verdict>> Call(config::Hook hook, Occasion occasion);

 private:
  // The decision that is in an answer.
  struct Said {
    std::optional<Verdict::Kind> kind;  // nothing: it says none, so what it came with decides
    std::string reason;
    std::string fault;  // it says what no hook can say
  };
  static Said Listen(std::string_view answer);
  Verdict Judge(const Said& said) const;

  Task<absl::StatusOr<Verdict>> CallCommand(config::Hook hook, Occasion occasion);
  Task<absl::StatusOr<Verdict>> CallHttp(config::Hook hook, Occasion occasion);
  absl::StatusOr<std::string> HeaderValue(const config::Hook& hook, const std::string& header,
                                          std::string_view value) const;
  Verdict Block(std::string_view reason) const;

  sandbox::Sandboxes& sandboxes_;
  net::HttpClient& http_;
  BlockingPool& pool_;
  const events::Redactor& redactor_;
  const Variables variables_;
};

}  // namespace fabro::stages
