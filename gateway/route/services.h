// The services that the REST API is made of.
#pragma once

#include <vector>

namespace google::protobuf {
class ServiceDescriptor;
}

namespace fabro::route {

// In the order in which the API's description lists them. A new service file is added to services.cc; a test
// compares the list with the proto files.
std::vector<const google::protobuf::ServiceDescriptor*> ApiServices();

}  // namespace fabro::route
