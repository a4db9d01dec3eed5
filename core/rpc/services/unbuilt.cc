#include <grpcpp/impl/service_type.h>

#include "core/rpc/services/services.h"
#include "fabro/v1/completion.grpc.pb.h"
#include "fabro/v1/insights.grpc.pb.h"
#include "fabro/v1/model.grpc.pb.h"
#include "fabro/v1/session.grpc.pb.h"
#include "fabro/v1/verification.grpc.pb.h"

namespace fabro::rpc {

std::vector<std::unique_ptr<grpc::Service>> MakeUnbuiltServices() {
  std::vector<std::unique_ptr<grpc::Service>> services;
  services.push_back(std::make_unique<v1::VerificationService::CallbackService>());
  services.push_back(std::make_unique<v1::SessionService::CallbackService>());
  services.push_back(std::make_unique<v1::InsightsService::CallbackService>());
  services.push_back(std::make_unique<v1::ModelService::CallbackService>());
  services.push_back(std::make_unique<v1::CompletionService::CallbackService>());
  return services;
}

}  // namespace fabro::rpc
