#include "gateway/route/binding.h"

#include <google/protobuf/message.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "gateway/json/decode.h"

namespace fabro::route {
namespace {

void SetText(const Parameter& parameter, std::string_view text, google::protobuf::Message* message,
             json::Faults& faults) {
  for (const json::FieldShape* step : std::span(parameter.field).first(parameter.field.size() - 1)) {
    message = message->GetReflection()->MutableMessage(message, step->field);
  }
  json::DecodeText(parameter.leaf(), text, parameter.name, message, faults);
}

void AddFault(json::Faults& faults, std::string_view field, std::string description) {
  if (faults.size() < json::kMaxFaults) faults.push_back({std::string(field), std::move(description)});
}

void BindBody(const Route& route, const json::Document& body, google::protobuf::Message* request,
              json::Faults& faults) {
  if (route.body_field != nullptr) {
    json::DecodeField(*route.body_field, body.root(), "", request, faults);
  } else {
    json::DecodeMessage(*route.input, body.root(), "", request, faults, route.not_in_body);
  }
}

void BindQuery(const Route& route, std::string_view query, google::protobuf::Message* request,
               json::Faults& faults) {
  if (query.empty() || route.query_parameters.empty()) return;
  std::vector<bool> seen(route.query_parameters.size());
  std::string name;
  std::string value;
  for (const std::string_view part : Split(query, '&')) {
    const std::size_t equals = part.find('=');
    if (!PercentDecode(part.substr(0, equals), true, name)) {
      AddFault(faults, "", "The name of a query parameter has a broken percent escape.");
      continue;
    }
    const auto parameter = std::find_if(route.query_parameters.begin(), route.query_parameters.end(),
                                        [&](const Parameter& p) { return p.name == name; });
    if (parameter == route.query_parameters.end()) continue;
    const auto index = static_cast<std::size_t>(parameter - route.query_parameters.begin());
    if (seen[index] && parameter->leaf().repeat == json::Repeat::kOne) {
      AddFault(faults, name, StrCat(name, " must be given once."));
      continue;
    }
    seen[index] = true;
    const std::string_view raw =
        equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    if (!PercentDecode(raw, true, value) || !IsValidUtf8(value)) {
      AddFault(faults, name, StrCat(name, " must be percent-encoded UTF-8."));
      continue;
    }
    SetText(*parameter, value, request, faults);
  }
}

}  // namespace

absl::Status Bind(const Route& route, const RequestParts& parts, google::protobuf::Message* request) {
  json::Faults faults;
  if (route.has_body && parts.body != nullptr) BindBody(route, *parts.body, request, faults);
  BindQuery(route, parts.query, request, faults);
  for (const Parameter& parameter : route.header_parameters) {
    const std::optional<std::string_view> value = parts.header ? parts.header(parameter.name) : std::nullopt;
    if (!value || value->empty()) continue;
    if (IsValidUtf8(*value)) {
      SetText(parameter, *value, request, faults);
    } else {
      AddFault(faults, parameter.name, StrCat(parameter.name, " must be UTF-8."));
    }
  }
  FABRO_CHECK(parts.variables.size() == route.path_parameters.size());
  for (std::size_t i = 0; i < parts.variables.size(); ++i) {
    SetText(route.path_parameters[i], parts.variables[i], request, faults);
  }
  return json::ToStatus(std::move(faults));
}

}  // namespace fabro::route
