#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/rpc/audit.h"
#include "core/rpc/services/convert.h"
#include "core/rpc/services/services.h"
#include "fabro/v1/question.grpc.pb.h"

namespace fabro::rpc {
namespace {

class HumanService final : public v1::HumanService::CallbackService {
 public:
  HumanService(const Edge& edge, const Backend& backend) : edge_(edge), backend_(backend) {}

  grpc::ServerUnaryReactor* ListRunQuestions(grpc::CallbackServerContext* context,
                                             const v1::ListRunQuestionsRequest* request,
                                             v1::PaginatedApiQuestionList* response) override {
    return RunUnary(
        edge_, context, "ListRunQuestions", *request,
        [this, request, response](const CallContext&) { return HandleList(*request, *response); });
  }
  grpc::ServerUnaryReactor* SubmitRunAnswer(grpc::CallbackServerContext* context,
                                            const v1::SubmitAnswerRequest* request,
                                            v1::SubmitRunAnswerResponse*) override {
    return RunUnary(edge_, context, "SubmitRunAnswer", *request,
                    [this, request](const CallContext& call) { return HandleAnswer(call, *request); });
  }

 private:
  Task<absl::Status> HandleList(const v1::ListRunQuestionsRequest& request,
                                v1::PaginatedApiQuestionList& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await FindRun(backend_.store, request.id()));
    response.mutable_meta()->set_has_more(false);
    if (row.open_questions == 0) co_return absl::OkStatus();
    FABRO_CO_ASSIGN_OR_RETURN(const runtime::LoadedRun run, co_await backend_.supervisor.Read(row.id));
    const Page page = PageOf(request);
    const std::vector<engine::QuestionView> questions = run.machine.OpenQuestions();
    const auto size = static_cast<std::int64_t>(questions.size());
    for (std::int64_t i = page.offset; i < size && i < page.offset + page.limit; ++i) {
      Put(questions[static_cast<std::size_t>(i)], response.add_data());
    }
    response.mutable_meta()->set_has_more(page.offset + page.limit < size);
    co_return absl::OkStatus();
  }

  Task<absl::Status> HandleAnswer(const CallContext& call, const v1::SubmitAnswerRequest& request) {
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await FindRun(backend_.store, request.id()));
    if (row.status == RunStatus::kQueued || row.status == RunStatus::kStarting) {
      co_return FailedPrecondition(Reason::kRunNotRunning, request.id(), "Run is not yet running.");
    }
    engine::Answer answer;
    answer.question_id = request.qid();
    if (request.has_value()) answer.value = backend_.redactor.Redact(request.value());
    if (request.has_selected_option_key()) answer.selected_option_key = request.selected_option_key();
    for (const std::string& key : request.selected_option_keys()) answer.selected_option_keys.push_back(key);
    answer.by = call.principal;
    storage::AppendAudit audit = AuditOf(call, backend_.clock.Now(), ResourceOf(row.id));
    const absl::StatusOr<storage::RunRow> after =
        co_await backend_.supervisor.Tell(row.id, engine::Input(std::move(answer)), std::move(audit));
    co_return after.status();
  }

  const Edge& edge_;
  const Backend backend_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeHumanService(const Edge& edge, const Backend& backend) {
  return std::make_unique<HumanService>(edge, backend);
}

}  // namespace fabro::rpc
