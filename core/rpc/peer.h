// Who is at the other end of a call.
#pragma once

#include <string>

namespace grpc {
class CallbackServerContext;
}

namespace fabro::rpc {

struct Peer {
  std::string principal;
  std::string request_id;
};

// `x-fabro-principal` counts only over our own unix socket or in process, where the gateway is the only one
// that can speak; any other caller of the plain loopback listener is `local`. `x-request-id` is taken from
// everyone when it is at most 128 printable characters.
Peer PeerOf(const grpc::CallbackServerContext& context);

}  // namespace fabro::rpc
