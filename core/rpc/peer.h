// Who is at the other end of a call.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace grpc {
class CallbackServerContext;
}

namespace fabro::rpc {

struct Peer {
  absl::StatusOr<std::string> principal;  // the text of a security::Principal
  std::string request_id;
  std::string traceparent;
};

// Over TLS the peer is `cn:NAME` by its certificate, which gRPC has verified; without a common name it is
// Unauthenticated. A peer in process or on our own unix socket, which only our user can open, is `local`, and
// so is whoever uses the plain listener on a loopback address.
//
// A gateway says in `x-fabro-principal` for whom it speaks. That counts in process, on the unix socket, and
// from a certificate whose name is one of `trusted_gateways`; from anyone else it is ignored. Where it counts
// it must be well formed: Unauthenticated, not somebody else. `x-request-id` is taken from everyone when it
// is at most 128 printable characters, `traceparent` when it is one (W3C Trace Context).
Peer PeerOf(const grpc::CallbackServerContext& context, const std::vector<std::string>& trusted_gateways);

}  // namespace fabro::rpc
