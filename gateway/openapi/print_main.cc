// Prints the OpenAPI document, for linters and for tests. usage: openapi_print
#include <google/protobuf/message.h>

#include <cstdio>

#include "core/base/error.h"
#include "gateway/openapi/document.h"
#include "gateway/route/route_table.h"
#include "proto/api.h"

int main() {
  const auto table = fabro::route::RouteTable::Build(fabro::api::Services(),
                                                     google::protobuf::MessageFactory::generated_factory());
  if (!table.ok()) {
    std::fprintf(stderr, "%s\n", fabro::MessageOf(table.status()).c_str());
    return 1;
  }
  std::printf("%s\n", fabro::openapi::MakeDocument(**table, {.base_url = {}, .pretty = true}).c_str());
}
