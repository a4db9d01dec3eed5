#include "core/rpc/method_policy.h"

#include <google/api/annotations.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <unordered_map>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "fabro/api/v1/annotations.pb.h"
#include "proto/api.h"

namespace fabro::rpc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::MethodDescriptor;
using security::Role;
using Policies = std::unordered_map<const Descriptor*, MethodPolicy>;

constexpr std::size_t kMaxResourceIdCharacters = 200;

Role RoleOf(const api::v1::Route& route) {
  if (route.open()) return Role::kNone;
  switch (route.role()) {
    case api::v1::ROLE_VIEWER:
      return Role::kViewer;
    case api::v1::ROLE_OPERATOR:
      return Role::kOperator;
    default:
      return Role::kAdmin;  // also what forgot to say: closed rather than open
  }
}

std::string_view PathOf(const google::api::HttpRule& rule) {
  for (const std::string* path : {&rule.get(), &rule.post(), &rule.put(), &rule.delete_(), &rule.patch()}) {
    if (!path->empty()) return *path;
  }
  return "";
}

MethodPolicy Compile(const MethodDescriptor& method) {
  MethodPolicy policy;
  policy.role = RoleOf(method.options().GetExtension(api::v1::route));
  policy.service = method.service()->name();
  const google::api::HttpRule& rule = method.options().GetExtension(google::api::http);
  policy.reads = !rule.get().empty();
  const std::string_view path = PathOf(rule);
  const std::size_t open = path.find('{');
  if (open == std::string_view::npos) return policy;
  policy.resource_head = path.substr(1, open - 1);
  const std::size_t end = path.find_first_of("}=", open);
  policy.resource_id =
      method.input_type()->FindFieldByName(std::string(path.substr(open + 1, end - open - 1)));
  return policy;
}

Policies CompileAll() {
  Policies policies;
  for (const auto* service : api::Services()) {
    for (int i = 0; i < service->method_count(); ++i) {
      const MethodDescriptor& method = *service->method(i);
      policies.try_emplace(method.input_type(), Compile(method));
    }
  }
  return policies;
}

}  // namespace

std::string MethodPolicy::ResourceOf(const google::protobuf::Message& request) const {
  if (resource_id == nullptr) return "";
  const std::string id = request.GetReflection()->GetString(request, resource_id);
  return StrCat(resource_head, TruncateUtf8(id, kMaxResourceIdCharacters));
}

const MethodPolicy& PolicyOf(const google::protobuf::Message& request) {
  static const Policies& policies = *new Policies(CompileAll());  // never destroyed: calls end after main
  const auto found = policies.find(request.GetDescriptor());
  FABRO_CHECK(found != policies.end());  // every handler's request is some method's
  return found->second;
}

}  // namespace fabro::rpc
