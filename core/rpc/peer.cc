#include "core/rpc/peer.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/base/trace_context.h"
#include "core/security/principal.h"

namespace fabro::rpc {
namespace {

constexpr std::size_t kMaxTextSize = 128;
constexpr char kLocal[] = "local";

absl::Status Refuse(std::string_view why) {
  return Error(absl::StatusCode::kUnauthenticated, Reason::kUnauthenticated, "", why);
}

std::optional<std::string_view> Metadata(const grpc::CallbackServerContext& context, const char* key) {
  const auto& all = context.client_metadata();
  const auto found = all.find(key);
  if (found == all.end()) return std::nullopt;
  return std::string_view(found->second.data(), found->second.size());
}

std::string ShortText(const grpc::CallbackServerContext& context, const char* key) {
  const std::string_view text = Metadata(context, key).value_or("");
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
  return printable && text.size() <= kMaxTextSize ? std::string(text) : std::string();
}

enum class Transport { kInProcess, kPlain, kTls };

// Not by AuthContext::IsPeerAuthenticated: that is false as well for a certificate that names nobody.
Transport TransportOf(const grpc::AuthContext& auth) {
  const std::vector<grpc::string_ref> kind =
      auth.FindPropertyValues(GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
  if (kind.empty()) return Transport::kInProcess;  // every listener's connection says one
  return kind[0] == "insecure" ? Transport::kPlain : Transport::kTls;
}

absl::StatusOr<std::string> HolderOf(const grpc::AuthContext& auth) {
  const std::vector<grpc::string_ref> names = auth.FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME);
  if (names.size() != 1 || names[0].empty()) return Refuse("The client certificate has no common name.");
  security::Principal holder;
  holder.kind = security::Principal::Kind::kCertificate;
  holder.name.assign(names[0].data(), names[0].size());
  std::string text = holder.ToString();
  const bool plain = std::none_of(text.begin(), text.end(),
                                  [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7F; });
  if (!plain || text.size() > security::kMaxPrincipalBytes || !IsValidUtf8(text)) {
    return Refuse("The client certificate's common name is no name.");
  }
  return text;
}

absl::StatusOr<std::string> Named(std::string_view header) {
  std::optional<std::string> principal = security::DecodePrincipal(header);
  if (!principal) return Refuse("x-fabro-principal is malformed.");
  return *std::move(principal);
}

bool IsTrusted(std::string_view holder, const std::vector<std::string>& gateways) {
  return std::ranges::any_of(gateways, [holder](const std::string& gateway) {
    security::Principal named;
    named.kind = security::Principal::Kind::kCertificate;
    named.name = gateway;
    return named.ToString() == holder;
  });
}

absl::StatusOr<std::string> PrincipalOf(const grpc::CallbackServerContext& context,
                                        const std::vector<std::string>& trusted_gateways) {
  const std::optional<std::string_view> named = Metadata(context, "x-fabro-principal");
  const Transport transport = TransportOf(*context.auth_context());
  if (transport == Transport::kTls) {
    absl::StatusOr<std::string> holder = HolderOf(*context.auth_context());
    const bool speaks_for_others = named && holder.ok() && IsTrusted(*holder, trusted_gateways);
    return speaks_for_others ? Named(*named) : holder;
  }
  const bool ours = transport == Transport::kInProcess || context.peer().starts_with("unix:");
  return ours && named ? Named(*named) : std::string(kLocal);
}

}  // namespace

Peer PeerOf(const grpc::CallbackServerContext& context, const std::vector<std::string>& trusted_gateways) {
  Peer peer;
  peer.principal = PrincipalOf(context, trusted_gateways);
  peer.request_id = ShortText(context, "x-request-id");
  const std::string_view trace = Metadata(context, "traceparent").value_or("");
  if (IsTraceparent(trace)) peer.traceparent = trace;
  return peer;
}

}  // namespace fabro::rpc
