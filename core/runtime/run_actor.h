// One run's single writer: a coroutine that owns the run's state, commits what its engine decides, and only
// then lets anything be seen or happen.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/async/channel.h"
#include "core/async/task_scope.h"
#include "core/engine/input.h"
#include "core/runtime/family.h"
#include "core/runtime/work.h"

namespace fabro::runtime {

// The answer to one input, once it is durable.
struct Reply {
  Waiter done;          // completed with the refusal, the failure, or OK
  storage::RunRow row;  // the run afterwards; set before `done` when that is OK
};

struct SlotGranted {};

// The execution has shown no sign of life for the run's stall timeout.
struct StageSilent {
  engine::ExecutionId execution{};
};

// Changes nothing: lets the actor see that it is to end.
struct Nudge {};

// Something that the actor had done for its run is over.
struct ErrandEnded {
  std::optional<engine::Input> result;
  bool aftermath = false;  // it was what follows the run's end, and need not be done again
};

struct Message {
  std::variant<engine::Input, SlotGranted, StageSilent, ErrandEnded, Nudge> body;
  std::shared_ptr<Reply> reply;                    // null: nobody waits
  std::optional<storage::AppendAudit> audit = {};  // written with the input, unless that is refused
};

class RunActor {
 public:
  // `retire` answers whether the actor may end now: it must be true only if no message can arrive any more.
  RunActor(const Work& work, Family& family, RunId run, std::function<bool(RunActor&)> retire);
  ~RunActor();
  RunActor(const RunActor&) = delete;
  RunActor& operator=(const RunActor&) = delete;

  // Saves the loading of a run that was just made. Before Run.
  void Adopt(LoadedRun run);

  // Until the run has nothing to do here any more, or the coroutine is cancelled (then what is in hand stops
  // and nothing is recorded of that: the run goes on when it is loaded again).
  Task<void> Run();

  // Thread-safe; false: full, or over.
  bool Tell(Message message, bool beyond_capacity) {
    return beyond_capacity ? inbox_.SendBeyondCapacity(std::move(message))
                           : inbox_.TrySend(std::move(message));
  }
  bool inbox_empty() { return inbox_.empty(); }  // thread-safe
  // Thread-safe: no further stage is begun, and the actor ends when none is in hand.
  void Suspend() {
    suspending_ = true;
    inbox_.SendBeyondCapacity(Message{Nudge{}, nullptr});
  }
  RunId id() const { return id_; }

 private:
  struct Batch;
  struct Execution;
  class OutputSink;

  Task<absl::Status> LoadInTheEnd();
  Task<absl::Status> Load();
  Task<absl::Status> Process(Message first);
  void Apply(Message message, Batch& batch);
  void ApplyGrant(Batch& batch);
  void ApplySilence(engine::ExecutionId id, Batch& batch);
  void ApplyInput(const engine::Input& input, std::shared_ptr<Reply> reply, Batch& batch,
                  std::optional<storage::AppendAudit> audit = std::nullopt);
  Task<absl::Status> Commit(Batch& batch);
  Task<absl::StatusOr<bool>> LearnOutcome(EventSeq expected);
  void Perform(const engine::Effect& effect);
  void Execute(const engine::ExecuteStage& effect);
  Task<void> RunStage(std::shared_ptr<Execution> execution);
  Task<void> WatchForStall(std::shared_ptr<Execution> execution, std::chrono::milliseconds limit);
  void StopExecution(engine::ExecutionId id);
  bool IsAnyStopping() const;
  void ForgetExecution(engine::ExecutionId id);
  void NoteSignOfLife();
  void Watch(const std::shared_ptr<Execution>& execution);
  storage::RunRow BuildRow() const;

  // Errands (run_actor_errands.cc): what is done beside the stages. Their coroutines touch nothing of the
  // actor but its inbox.
  class PreparationSink;
  bool PerformErrand(const engine::Effect& effect);  // false: it is none
  void ApplyErrandEnd(ErrandEnded ended, Batch& batch);
  void Run(const char* name, Task<ErrandEnded> errand);
  Task<void> Report(Task<ErrandEnded> errand);
  Task<ErrandEnded> PrepareRun(stages::RunContext context);
  Task<ErrandEnded> StartChildRun(storage::RunRow row, engine::StartChild child);
  Task<ErrandEnded> LookAtChild(engine::CheckChild child);
  Task<ErrandEnded> CancelChildRun(RunId child);
  Task<ErrandEnded> CleanUp(stages::RunContext context, engine::Prepared prepared, engine::RunEnd end,
                            std::vector<RunId> children);
  Task<bool> CancelInTheEnd(RunId child);
  void TellParent();
  bool NeedsPreparer() const;
  bool HasAftermath() const;
  void BeginAftermath();
  stages::RunContext Context() const;

  bool IsBusy() const { return !executions_.empty() || errands_ > 0; }
  void GiveSlotBack();
  bool HasNothingToDo() const;
  void FailWaiting(const absl::Status& status);

  const Work& work_;
  Family& family_;
  const RunId id_;
  const std::function<bool(RunActor&)> retire_;
  Channel<Message> inbox_;
  std::atomic<bool> suspending_ = false;

  // Owned by the coroutine's strand.
  std::optional<engine::Machine> machine_;
  storage::RunRow row_;
  std::string work_dir_;
  std::shared_ptr<const config::RunSettings> settings_;
  bool crashed_ = false;  // the run was active when its last owner went
  bool retired_while_loading_ = false;
  bool has_slot_ = false;
  bool slot_is_due_ = false;  // to be given back when the last stage in hand has ended
  std::map<engine::ExecutionId, std::shared_ptr<Execution>> executions_;  // those told to stop among them
  // After a rewind: what is begun waits until what was in hand has ended, as both work on the same files.
  bool waits_for_the_dying_ = false;
  std::vector<engine::ExecuteStage> held_;
  int errands_ = 0;              // in hand
  bool aftermath_done_ = false;  // what follows the run's end, or there is none
  TaskHandle preparation_;
  TaskScope stage_scope_;
};

}  // namespace fabro::runtime
