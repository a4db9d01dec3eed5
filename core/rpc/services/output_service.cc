#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/rpc/services/convert.h"
#include "core/rpc/services/run_files.h"
#include "core/rpc/services/run_usage.h"
#include "core/rpc/services/services.h"
#include "fabro/v1/output.grpc.pb.h"

namespace fabro::rpc {
namespace {

constexpr std::string_view kHashPrefix = "sha256:";

bool IsHash(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

class OutputService final : public v1::RunOutputService::CallbackService {
 public:
  OutputService(const Edge& edge, const Backend& backend) : edge_(edge), backend_(backend) {}

  grpc::ServerUnaryReactor* RetrieveRunFiles(grpc::CallbackServerContext* context,
                                             const v1::RetrieveRunFilesRequest* request,
                                             v1::PaginatedRunFileList* response) override {
    return RunUnary(
        edge_, context, "RetrieveRunFiles", *request,
        [this, request, response](const CallContext&) { return HandleFiles(*request, *response); });
  }
  grpc::ServerUnaryReactor* ListRunArtifacts(grpc::CallbackServerContext* context,
                                             const v1::ListRunArtifactsRequest* request,
                                             v1::PaginatedArtifactList* response) override {
    return RunUnary(
        edge_, context, "ListRunArtifacts", *request,
        [this, request, response](const CallContext&) { return HandleArtifacts(*request, *response); });
  }
  grpc::ServerUnaryReactor* RetrieveArtifact(grpc::CallbackServerContext* context,
                                             const v1::RetrieveArtifactRequest* request,
                                             v1::RetrieveArtifactResponse* response) override {
    return RunUnary(
        edge_, context, "RetrieveArtifact", *request,
        [this, request, response](const CallContext&) { return HandleArtifact(*request, *response); });
  }
  grpc::ServerUnaryReactor* RetrieveRunUsage(grpc::CallbackServerContext* context,
                                             const v1::RetrieveRunUsageRequest* request,
                                             v1::RunUsage* response) override {
    return RunUnary(
        edge_, context, "RetrieveRunUsage", *request,
        [this, request, response](const CallContext&) { return HandleUsage(*request, *response); });
  }

 private:
  Task<absl::StatusOr<runtime::LoadedRun>> Read(std::string id) {
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await FindRun(backend_.store, std::move(id)));
    co_return co_await backend_.supervisor.Read(row.id);
  }

  Task<absl::Status> HandleFiles(const v1::RetrieveRunFilesRequest& request,
                                 v1::PaginatedRunFileList& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const runtime::LoadedRun run, co_await Read(request.id()));
    FilesQuery query{.page = PageOf(request), .checkpoint = request.checkpoint()};
    FABRO_CO_ASSIGN_OR_RETURN(
        const git::DiffPage files,
        co_await ReadRunFiles(backend_, run.row.id, run.machine.prepared(), std::move(query)));
    for (const git::FileChange& file : files.files) {
      v1::FileDiff& diff = *response.add_data();
      Put(file.before, diff.mutable_old_file());
      Put(file.after, diff.mutable_new_file());
    }
    response.mutable_meta()->set_has_more(files.has_more);
    co_return absl::OkStatus();
  }

  static void Put(const git::FileSide& side, v1::DiffFile* out) {
    out->set_name(side.path);
    out->set_contents(side.text);
    if (side.omitted == git::Omission::kBinary) out->set_omitted(v1::FILE_OMISSION_BINARY);
    if (side.omitted == git::Omission::kTooLarge) out->set_omitted(v1::FILE_OMISSION_TOO_LARGE);
  }

  Task<absl::Status> HandleArtifacts(const v1::ListRunArtifactsRequest& request,
                                     v1::PaginatedArtifactList& response) {
    FABRO_CO_ASSIGN_OR_RETURN(const storage::RunRow row, co_await FindRun(backend_.store, request.id()));
    const Page page = PageOf(request);
    FABRO_CO_ASSIGN_OR_RETURN(const storage::ArtifactPage found,
                              co_await backend_.store.ListArtifacts(row.id, page.limit, page.offset));
    for (const storage::ArtifactRef& ref : found.refs) {
      v1::Artifact& out = *response.add_data();
      out.set_hash(StrCat(kHashPrefix, ref.hash));
      out.set_bytes(ref.bytes);
      out.set_key(ref.key);
      out.set_stage_id(ref.stage_id);
      rpc::Put(ref.created_at, out.mutable_created_at());
    }
    response.mutable_meta()->set_has_more(found.has_more);
    co_return absl::OkStatus();
  }

  Task<absl::Status> HandleArtifact(const v1::RetrieveArtifactRequest& request,
                                    v1::RetrieveArtifactResponse& response) {
    std::string_view hash = request.hash();
    if (hash.starts_with(kHashPrefix)) hash.remove_prefix(kHashPrefix.size());
    if (!IsHash(hash)) {
      co_return InvalidArgument(
          Reason::kInvalidArgument, "hash",
          "hash: must be 64 lower-case hex digits, with or without sha256: before them.");
    }
    FABRO_CO_ASSIGN_OR_RETURN(*response.mutable_content(),
                              co_await backend_.store.GetArtifact(std::string(hash)));
    co_return absl::OkStatus();
  }

  Task<absl::Status> HandleUsage(const v1::RetrieveRunUsageRequest& request, v1::RunUsage& response) {
    FABRO_CO_ASSIGN_OR_RETURN(runtime::LoadedRun run, co_await Read(request.id()));
    co_return co_await TellUsage(backend_.store, std::move(run), response);
  }

  const Edge& edge_;
  const Backend backend_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeOutputService(const Edge& edge, const Backend& backend) {
  return std::make_unique<OutputService>(edge, backend);
}

}  // namespace fabro::rpc
