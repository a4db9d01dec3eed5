#include "proto/api.h"

#include <google/protobuf/descriptor.h>

#include "fabro/v1/audit.pb.h"
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

namespace fabro::api {

namespace pb = ::fabro::v1;

std::vector<const google::protobuf::ServiceDescriptor*> Services() {
  // One message of each file stands for the file.
  const google::protobuf::Descriptor* const messages[] = {
      pb::GetRootRequest::descriptor(),
      pb::ListRunsRequest::descriptor(),
      pb::SubmitAnswerRequest::descriptor(),
      pb::RetrieveRunFilesRequest::descriptor(),
      pb::RetrieveRunContextRequest::descriptor(),
      pb::ListWorkflowsRequest::descriptor(),
      pb::ListSignoffsRequest::descriptor(),
      pb::GetAggregateUsageRequest::descriptor(),
      pb::ListSavedQueriesRequest::descriptor(),
      pb::ListSessionsRequest::descriptor(),
      pb::ListRetrosRequest::descriptor(),
      pb::ListModelsRequest::descriptor(),
      pb::CreateCompletionRequest::descriptor(),
      pb::RetrieveServerSettingsRequest::descriptor(),
      pb::ListAuditEntriesRequest::descriptor(),
  };
  std::vector<const google::protobuf::ServiceDescriptor*> services;
  for (const google::protobuf::Descriptor* message : messages) {
    const google::protobuf::FileDescriptor* file = message->file();
    for (int i = 0; i < file->service_count(); ++i) services.push_back(file->service(i));
  }
  return services;
}

}  // namespace fabro::api
