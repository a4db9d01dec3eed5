// The core over gRPC, generically: no generated stub, so a method more is no code more.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/time.h"
#include "gateway/upstream/upstream.h"

namespace grpc {
class Channel;
}

namespace fabro::upstream {

struct ChannelTlsFiles {  // PEM
  std::string cert;       // the gateway's own
  std::string key;
  std::string ca;  // who may have signed the core's
};

// A plain channel to "unix:/path/core.sock" or "host:port". Connects on first use; after a failure it tries
// again within half a second, so a core that restarts is found soon.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address);

// The same over TLS to "host:port", which the core's certificate must name. Replaced files are read within a
// second and count for the next connection. FailedPrecondition: which file, what is wrong, what to do.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeTlsChannel(const std::string& address,
                                                              const ChannelTlsFiles& files, Timestamp now);

// The channel may also be grpc::Server::InProcessChannel's. A coroutine on a resuming strand goes on on
// gRPC's thread when its call completes. Destroyed after the coroutines that call, and before the runtime
// that they run on.
std::unique_ptr<Upstream> MakeGrpcUpstream(std::shared_ptr<grpc::Channel> channel);

}  // namespace fabro::upstream
