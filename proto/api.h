// The API as data: its services, and its descriptors with the comments of the proto files.
#pragma once

#include <string_view>
#include <vector>

namespace google::protobuf {
class ServiceDescriptor;
}

namespace fabro::api {

// Every service of fabro.v1, from the generated pool, in the order that the OpenAPI document lists their
// tags. Naming them here is what keeps the linker from leaving their files out.
std::vector<const google::protobuf::ServiceDescriptor*> Services();

// A serialised google.protobuf.FileDescriptorSet of all our files and what they import, with source info:
// generated classes carry no comments, this does. Lives as long as the program.
std::string_view DescriptorSet();

}  // namespace fabro::api
