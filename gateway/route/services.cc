#include "gateway/route/services.h"

#include <google/protobuf/descriptor.h>

#include "fabro/v1/completion.pb.h"
#include "fabro/v1/discovery.pb.h"
#include "fabro/v1/insights.pb.h"
#include "fabro/v1/internals.pb.h"
#include "fabro/v1/model.pb.h"
#include "fabro/v1/output.pb.h"
#include "fabro/v1/question.pb.h"
#include "fabro/v1/retro.pb.h"
#include "fabro/v1/run.pb.h"
#include "fabro/v1/session.pb.h"
#include "fabro/v1/settings.pb.h"
#include "fabro/v1/usage.pb.h"
#include "fabro/v1/verification.pb.h"
#include "fabro/v1/workflow.pb.h"

namespace fabro::route {
namespace {

// Naming a message links its file, which a static library would otherwise leave out.
template <typename... Messages>
std::vector<const google::protobuf::ServiceDescriptor*> ServicesBeside() {
  std::vector<const google::protobuf::ServiceDescriptor*> services;
  for (const google::protobuf::FileDescriptor* file : {Messages::descriptor()->file()...}) {
    for (int i = 0; i < file->service_count(); ++i) services.push_back(file->service(i));
  }
  return services;
}

}  // namespace

std::vector<const google::protobuf::ServiceDescriptor*> ApiServices() {
  return ServicesBeside<v1::RootResponse, v1::RunStatusResponse, v1::ApiQuestion, v1::FileDiff,
                        v1::RunCheckpoint, v1::WorkflowDetail, v1::VerificationCriterion, v1::AggregateUsage,
                        v1::SavedQuery, v1::SessionDetail, v1::RetroListItem, v1::Model,
                        v1::CompletionResponse, v1::ServerSettings>();
}

}  // namespace fabro::route
