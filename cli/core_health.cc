#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include "cli/health.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/config/server_config.h"
#include "gateway/app/gateway_app.h"
#include "gateway/upstream/status.h"

namespace fabro::cli {

absl::Status AskCore(const config::GatewayConfig& gateway, bool live) {
  FABRO_ASSIGN_OR_RETURN(const auto channel, gateway::ChannelTo(gateway));
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kHealthTimeout);
  grpc::CompletionQueue queue;
  // Both requests have no fields, and what is well or not is in the status.
  const char* method =
      live ? "/fabro.v1.DiscoveryService/GetLiveness" : "/fabro.v1.DiscoveryService/GetReadiness";
  const grpc::Slice nothing;
  const grpc::ByteBuffer request(&nothing, 1);
  const auto call = stub.PrepareUnaryCall(&context, method, request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool finished = false;
  queue.Next(&tag, &finished);
  const absl::Status answer = upstream::FromGrpc(status);
  const bool unanswered = (absl::IsUnavailable(answer) && ReasonOf(answer) == Reason::kUnspecified) ||
                          absl::IsDeadlineExceeded(answer);
  if (unanswered) return Unavailable(Reason::kUpstream, gateway.core, MessageOf(answer));
  return live ? absl::OkStatus() : answer;
}

}  // namespace fabro::cli
