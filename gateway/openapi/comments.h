// The comments of the proto files, by the full name of what they stand above.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

namespace fabro::openapi {

class Comments {
 public:
  // From a serialised FileDescriptorSet with source info; nothing of it is kept but the comments.
  explicit Comments(std::string_view descriptor_set);

  // Empty when there is none. Lines are joined; a blank line stays, as the end of a paragraph.
  const std::string& Of(const std::string& full_name) const;

 private:
  std::unordered_map<std::string, std::string> by_name_;
};

}  // namespace fabro::openapi
