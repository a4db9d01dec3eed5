// What the protos' options say of a method, for the guard in front of every handler.
#pragma once

#include <string>
#include <string_view>

#include "core/security/access.h"

namespace google::protobuf {
class FieldDescriptor;
class Message;
}  // namespace google::protobuf

namespace fabro::rpc {

struct MethodPolicy {
  security::Role role = security::Role::kAdmin;                    // who may call it; kNone: everyone
  bool reads = false;                                              // a GET: changes nothing
  std::string service;                                             // "RunService"
  std::string resource_head;                                       // "runs/", of a route below "/runs/{id}"
  const google::protobuf::FieldDescriptor* resource_id = nullptr;  // whose value follows; may be null

  // "runs/01KAT...": what the request is about; empty where its route names nothing.
  std::string ResourceOf(const google::protobuf::Message& request) const;
};

// By the request's type: methods that share one have the same role. Lives as long as the program.
const MethodPolicy& PolicyOf(const google::protobuf::Message& request);

}  // namespace fabro::rpc
