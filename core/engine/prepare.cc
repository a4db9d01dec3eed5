// What happens before a run's first stage, as its events.
#include "core/base/strings.h"
#include "core/engine/decide.h"
#include "fabro/internal/v1/state.pb.h"
#include "fabro/v1/event.pb.h"

namespace fabro::engine {
namespace {

std::uint64_t Ms(std::chrono::milliseconds duration) { return static_cast<std::uint64_t>(duration.count()); }

struct Teller {
  v1::Event& event;

  void operator()(const SandboxInitializing& step) const {
    event.mutable_sandbox_initializing()->set_provider(ToValidUtf8(step.provider));
  }
  void operator()(const SandboxReady& step) const {
    v1::SandboxReady& ready = *event.mutable_sandbox_ready();
    ready.set_provider(ToValidUtf8(step.provider));
    ready.set_duration_ms(Ms(step.duration));
    if (!step.name.empty()) ready.set_name(ToValidUtf8(step.name));
  }
  void operator()(const BranchMade& step) const {
    event.mutable_git_branch()->set_branch(ToValidUtf8(step.branch));
    event.mutable_git_branch()->set_sha(ToValidUtf8(step.sha));
  }
  void operator()(const SetupStarted& step) const {
    event.mutable_setup_started()->set_command_count(step.command_count);
  }
  void operator()(const SetupCommandStarted& step) const {
    event.mutable_setup_command_started()->set_command(ToValidUtf8(step.command));
    event.mutable_setup_command_started()->set_index(step.index);
  }
  void operator()(const SetupCommandCompleted& step) const {
    v1::SetupCommandCompleted& completed = *event.mutable_setup_command_completed();
    completed.set_command(ToValidUtf8(step.command));
    completed.set_index(step.index);
    completed.set_exit_code(step.exit_code);
    completed.set_duration_ms(Ms(step.duration));
  }
  void operator()(const SetupCompleted& step) const {
    event.mutable_setup_completed()->set_duration_ms(Ms(step.duration));
  }
  void operator()(const SetupFailed& step) const {
    v1::SetupFailed& failed = *event.mutable_setup_failed();
    failed.set_command(ToValidUtf8(step.command));
    failed.set_index(step.index);
    failed.set_exit_code(step.exit_code);
    failed.set_stderr(ToValidUtf8(step.error));
  }
  void operator()(const PreparationNotice& step) const {
    v1::RunNotice& notice = *event.mutable_run_notice();
    notice.set_level(v1::NOTICE_LEVEL_WARN);
    notice.set_code(ToValidUtf8(step.code));
    notice.set_message(ToValidUtf8(step.message));
  }
};

}  // namespace

void Decider::Prepare() {
  if (core_.preparing) return;
  core_.preparing = true;
  output_.effects.emplace_back(PrepareRun{});
}

void Decider::On(const PreparationTold& told) {
  if (!core_.preparing) return;
  v1::Event event = emit_.MakeEvent();
  std::visit(Teller{event}, told.step);
  emit_.Emit(event);
}

void Decider::On(const RunPrepared& done) {
  if (!core_.preparing) return;
  core_.preparing = false;
  if (done.prepared.failure) return FailRun(ToValidUtf8(*done.prepared.failure));
  v1::Event event = emit_.MakeEvent();
  v1::RunNotice& notice = *event.mutable_run_notice();
  notice.set_level(v1::NOTICE_LEVEL_INFO);
  notice.set_code("run_prepared");
  notice.set_message(StrCat("Stages run in ", ToValidUtf8(done.prepared.work_dir), "."));
  internal::v1::StateDelta delta;
  delta.mutable_prepared()->set_work_dir(done.prepared.work_dir);
  delta.mutable_prepared()->set_repository(done.prepared.repository);
  delta.mutable_prepared()->set_base_sha(done.prepared.base_sha);
  emit_.Emit(event, std::move(delta));
  GoOn();
}

}  // namespace fabro::engine
