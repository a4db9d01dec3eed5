#include "gateway/openapi/comments.h"

#include <google/protobuf/descriptor.pb.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::openapi {
namespace {

namespace pb = google::protobuf;

// A source location's path is a row of field numbers and indexes from the file down; this follows it to a
// name. Empty for places that have no name (an option, a range).
class NameOfPath {
 public:
  NameOfPath(const pb::FileDescriptorProto& file, const pb::SourceCodeInfo::Location& location)
      : location_(location), name_(file.package()) {
    Follow(file);
  }
  const std::string& name() const { return name_; }

 private:
  bool Next(int& field, int& index) {
    if (at_ + 1 >= location_.path_size()) return false;
    field = location_.path(at_);
    index = location_.path(at_ + 1);
    at_ += 2;
    return true;
  }
  template <typename T>
  const T& Enter(const T& element) {
    name_ += '.';
    name_ += element.name();
    return element;
  }
  void Finish() {
    if (at_ != location_.path_size() || at_ == 0) name_.clear();
  }

  void Follow(const pb::FileDescriptorProto& file) {
    int field = 0, index = 0;
    if (!Next(field, index)) return Finish();
    switch (field) {
      case pb::FileDescriptorProto::kMessageTypeFieldNumber:
        return Follow(Enter(file.message_type(index)));
      case pb::FileDescriptorProto::kEnumTypeFieldNumber:
        return Follow(Enter(file.enum_type(index)));
      case pb::FileDescriptorProto::kServiceFieldNumber:
        return Follow(Enter(file.service(index)));
      default:
        at_ = 0;
        return Finish();
    }
  }
  void Follow(const pb::DescriptorProto& message) {
    int field = 0, index = 0;
    if (!Next(field, index)) return Finish();
    switch (field) {
      case pb::DescriptorProto::kFieldFieldNumber:
        Enter(message.field(index));
        return Finish();
      case pb::DescriptorProto::kOneofDeclFieldNumber:
        Enter(message.oneof_decl(index));
        return Finish();
      case pb::DescriptorProto::kNestedTypeFieldNumber:
        return Follow(Enter(message.nested_type(index)));
      case pb::DescriptorProto::kEnumTypeFieldNumber:
        return Follow(Enter(message.enum_type(index)));
      default:
        at_ = 0;
        return Finish();
    }
  }
  void Follow(const pb::EnumDescriptorProto& type) {
    int field = 0, index = 0;
    if (Next(field, index)) Enter(type.value(index));
    Finish();
  }
  void Follow(const pb::ServiceDescriptorProto& service) {
    int field = 0, index = 0;
    if (Next(field, index) && field == pb::ServiceDescriptorProto::kMethodFieldNumber)
      Enter(service.method(index));
    Finish();
  }

  const pb::SourceCodeInfo::Location& location_;
  std::string name_;
  int at_ = 0;
};

std::string Joined(const std::string& comment) {
  std::string text;
  for (const std::string_view raw : Split(comment, '\n')) {
    const std::string_view line = Trim(raw);
    const bool new_paragraph = text.ends_with('\n');
    if (line.empty()) {
      if (!text.empty() && !new_paragraph) text += "\n\n";
      continue;
    }
    if (!text.empty() && !new_paragraph) text += ' ';
    text += line;
  }
  return std::string(Trim(text));
}

}  // namespace

Comments::Comments(std::string_view descriptor_set) {
  pb::FileDescriptorSet files;
  FABRO_CHECK(files.ParseFromArray(descriptor_set.data(), static_cast<int>(descriptor_set.size())));
  for (const pb::FileDescriptorProto& file : files.file()) {
    for (const pb::SourceCodeInfo::Location& location : file.source_code_info().location()) {
      if (!location.has_leading_comments()) continue;
      const NameOfPath path(file, location);
      if (!path.name().empty()) by_name_.emplace(path.name(), Joined(location.leading_comments()));
    }
  }
}

const std::string& Comments::Of(const std::string& full_name) const {
  static const std::string none;
  const auto at = by_name_.find(full_name);
  return at == by_name_.end() ? none : at->second;
}

}  // namespace fabro::openapi
