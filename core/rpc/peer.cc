#include "core/rpc/peer.h"

#include <grpcpp/server_context.h>

#include <algorithm>

namespace fabro::rpc {
namespace {

constexpr std::size_t kMaxTextSize = 128;

std::string Metadata(const grpc::CallbackServerContext& context, const char* key) {
  const auto& all = context.client_metadata();
  const auto found = all.find(key);
  if (found == all.end()) return "";
  const std::string text(found->second.data(), found->second.size());
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
  return printable && text.size() <= kMaxTextSize ? text : "";
}

}  // namespace

Peer PeerOf(const grpc::CallbackServerContext& context) {
  Peer peer;
  const std::string address = context.peer();
  const bool ours = address.starts_with("unix:") || address.starts_with("inproc") || address.empty();
  if (ours) peer.principal = Metadata(context, "x-fabro-principal");
  if (peer.principal.empty()) peer.principal = "local";
  peer.request_id = Metadata(context, "x-request-id");
  return peer;
}

}  // namespace fabro::rpc
