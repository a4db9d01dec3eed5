// Any bytes as the target of a request: the part before the question mark is looked up among the routes under
// every verb, the part behind it is bound.
#include <google/protobuf/message.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "gateway/route/binding.h"
#include "gateway/route/route_table.h"
#include "proto/api.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

void BindTo(const fabro::route::Match& match, std::string_view query) {
  const fabro::route::Route& route = match.endpoint->Choose(query, nullptr);
  fabro::route::RequestParts parts{.variables = match.variables, .query = query};
  parts.header = [query](std::string_view) { return std::optional(query.substr(0, 20)); };
  const std::unique_ptr<google::protobuf::Message> request(route.input->prototype->New());
  const absl::Status status = fabro::route::Bind(route, parts, request.get());
  if (status.ok()) {
    Require(request->IsInitialized());
    return;
  }
  Require(status.code() == absl::StatusCode::kInvalidArgument);
  Require(fabro::IsValidUtf8(fabro::MessageOf(status)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto table = *fabro::route::RouteTable::Build(
      fabro::api::Services(), google::protobuf::MessageFactory::generated_factory());
  const std::string_view target(reinterpret_cast<const char*>(data), size);
  const std::size_t mark = target.find('?');
  const std::string_view query =
      mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  for (const std::string_view verb : {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"}) {
    const absl::StatusOr<fabro::route::Match> match = table->Find(verb, target.substr(0, mark));
    if (!match.ok()) {
      Require(match.status().code() == absl::StatusCode::kInvalidArgument);
      continue;
    }
    Require(match->endpoint == nullptr || match->path_known());
    for (const std::string& variable : match->variables) Require(fabro::IsValidUtf8(variable));
    if (match->endpoint != nullptr) BindTo(*match, query);
  }
  return 0;
}
