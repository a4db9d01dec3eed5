// Rules that every method, field and enum of the API keeps, whoever adds the next one.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "fabro/api/v1/annotations.pb.h"
#include "google/api/annotations.pb.h"
#include "proto/api.h"

namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::OneofDescriptor;
using google::protobuf::ServiceDescriptor;

std::vector<const MethodDescriptor*> Methods() {
  std::vector<const MethodDescriptor*> methods;
  for (const ServiceDescriptor* service : fabro::api::Services()) {
    for (int i = 0; i < service->method_count(); ++i) methods.push_back(service->method(i));
  }
  return methods;
}

// The files of the package fabro.v1 that the services need.
std::vector<const FileDescriptor*> Files() {
  std::set<const FileDescriptor*> seen;
  std::vector<const FileDescriptor*> files;
  const std::function<void(const FileDescriptor*)> visit = [&](const FileDescriptor* file) {
    if (file->package() != "fabro.v1" || !seen.insert(file).second) return;
    files.push_back(file);
    for (int i = 0; i < file->dependency_count(); ++i) visit(file->dependency(i));
  };
  for (const ServiceDescriptor* service : fabro::api::Services()) visit(service->file());
  return files;
}

std::vector<const Descriptor*> Messages() {
  std::vector<const Descriptor*> messages;
  for (const FileDescriptor* file : Files()) {
    for (int i = 0; i < file->message_type_count(); ++i) messages.push_back(file->message_type(i));
  }
  return messages;
}

const fabro::api::v1::Route& RouteOf(const MethodDescriptor* method) {
  return method->options().GetExtension(fabro::api::v1::route);
}

const google::api::HttpRule& HttpOf(const MethodDescriptor* method) {
  return method->options().GetExtension(google::api::http);
}

const fabro::api::v1::Field& OptionsOf(const FieldDescriptor* field) {
  return field->options().GetExtension(fabro::api::v1::field);
}

// "GET /runs/{id}".
std::string VerbAndPath(const google::api::HttpRule& http) {
  if (!http.get().empty()) return "GET " + http.get();
  if (!http.post().empty()) return "POST " + http.post();
  if (!http.put().empty()) return "PUT " + http.put();
  if (!http.patch().empty()) return "PATCH " + http.patch();
  return "DELETE " + http.delete_();
}

std::vector<std::string> Variables(const std::string& path) {
  std::vector<std::string> names;
  for (std::size_t at = path.find('{'); at != std::string::npos; at = path.find('{', at + 1)) {
    names.push_back(path.substr(at + 1, path.find('}', at) - at - 1));
  }
  return names;
}

TEST(SurfaceTest, EveryServiceHasATagOfItsOwnAndAFileOfItsOwn) {
  std::set<std::string> tags;
  std::set<const FileDescriptor*> files;
  for (const ServiceDescriptor* service : fabro::api::Services()) {
    const std::string& tag = service->options().GetExtension(fabro::api::v1::service).tag();
    EXPECT_FALSE(tag.empty()) << service->full_name();
    EXPECT_TRUE(tags.insert(tag).second) << tag;
    EXPECT_TRUE(files.insert(service->file()).second) << service->file()->name();
  }
  EXPECT_EQ(tags.size(), 15U);
}

TEST(SurfaceTest, EveryMethodHasARouteOrIsInternal) {
  for (const MethodDescriptor* method : Methods()) {
    ASSERT_TRUE(method->options().HasExtension(fabro::api::v1::route)) << method->full_name();
    EXPECT_NE(method->options().HasExtension(google::api::http), RouteOf(method).internal())
        << method->full_name();
    EXPECT_EQ(method->server_streaming(), RouteOf(method).stream() == fabro::api::v1::Route::STREAM_SSE)
        << method->full_name();
    EXPECT_FALSE(method->client_streaming()) << method->full_name();
  }
}

TEST(SurfaceTest, EveryRouteSaysWhoMayCallItOrIsOpen) {
  for (const MethodDescriptor* method : Methods()) {
    const bool has_role = RouteOf(method).role() != fabro::api::v1::ROLE_UNSPECIFIED;
    EXPECT_NE(has_role, RouteOf(method).open()) << method->full_name();
  }
}

TEST(SurfaceTest, OneMethodAnswersARequest) {
  std::map<std::string, std::vector<const MethodDescriptor*>> by_path;
  for (const MethodDescriptor* method : Methods()) by_path[VerbAndPath(HttpOf(method))].push_back(method);
  for (const auto& [path, methods] : by_path) {
    const auto without_choice =
        std::count_if(methods.begin(), methods.end(), [](const MethodDescriptor* method) {
          return RouteOf(method).accept().empty() && RouteOf(method).select_field().empty();
        });
    EXPECT_EQ(without_choice, 1) << path;
  }
}

TEST(SurfaceTest, WhatARouteNamesExists) {
  for (const MethodDescriptor* method : Methods()) {
    const google::api::HttpRule& http = HttpOf(method);
    const fabro::api::v1::Route& route = RouteOf(method);
    const Descriptor* input = method->input_type();
    const Descriptor* output = method->output_type();
    for (const std::string& name : Variables(VerbAndPath(http))) {
      const FieldDescriptor* field = input->FindFieldByName(name);
      ASSERT_NE(field, nullptr) << method->full_name() << " " << name;
      EXPECT_EQ(field->type(), FieldDescriptor::TYPE_STRING) << field->full_name();
      EXPECT_TRUE(OptionsOf(field).pattern().empty() && OptionsOf(field).max_length() == 0)
          << field->full_name() << ": an id that cannot exist is not found, not invalid";
    }
    for (const std::string& name : Variables(route.location())) {
      EXPECT_NE(output->FindFieldByName(name), nullptr) << method->full_name() << " " << name;
    }
    if (!http.body().empty() && http.body() != "*") {
      EXPECT_NE(input->FindFieldByName(http.body()), nullptr) << method->full_name();
    }
    for (const auto& [message, name] :
         {std::pair(output, http.response_body()), std::pair(input, route.select_field()),
          std::pair(output, route.sse_id_field()), std::pair(input, route.sse_cursor_field())}) {
      if (!name.empty())
        EXPECT_NE(message->FindFieldByName(name), nullptr) << method->full_name() << " " << name;
    }
  }
}

TEST(SurfaceTest, AnAnswerWithoutABodyIsAnEmptyMessage) {
  for (const MethodDescriptor* method : Methods()) {
    if (RouteOf(method).success() == 204)
      EXPECT_EQ(method->output_type()->field_count(), 0) << method->full_name();
  }
}

TEST(SurfaceTest, FieldsOfARequestWithoutABodyComeFromSomewhere) {
  for (const MethodDescriptor* method : Methods()) {
    if (!HttpOf(method).body().empty()) continue;
    const std::vector<std::string> variables = Variables(VerbAndPath(HttpOf(method)));
    for (int i = 0; i < method->input_type()->field_count(); ++i) {
      const FieldDescriptor* field = method->input_type()->field(i);
      if (std::find(variables.begin(), variables.end(), field->name()) != variables.end()) continue;
      EXPECT_FALSE(OptionsOf(field).query().empty() && OptionsOf(field).header().empty())
          << field->full_name();
      EXPECT_TRUE(field->has_presence()) << field->full_name() << ": a parameter may be absent";
    }
  }
}

TEST(SurfaceTest, ListsArePagesOfOneForm) {
  for (const MethodDescriptor* method : Methods()) {
    const Descriptor* output = method->output_type();
    if (output->name().rfind("Paginated", 0) != 0) continue;
    const FieldDescriptor* data = output->FindFieldByName("data");
    const FieldDescriptor* meta = output->FindFieldByName("meta");
    ASSERT_TRUE(data != nullptr && meta != nullptr) << output->full_name();
    EXPECT_TRUE(data->is_repeated()) << output->full_name();
    EXPECT_EQ(meta->message_type()->full_name(), "fabro.v1.PaginationMeta");
    const FieldDescriptor* limit = method->input_type()->FindFieldByName("page_limit");
    const FieldDescriptor* offset = method->input_type()->FindFieldByName("page_offset");
    ASSERT_TRUE(limit != nullptr && offset != nullptr) << method->full_name();
    EXPECT_EQ(OptionsOf(limit).query(), "page[limit]");
    EXPECT_TRUE(OptionsOf(limit).clamp() && OptionsOf(limit).minimum() == 1 &&
                OptionsOf(limit).maximum() == 100)
        << method->full_name();
    EXPECT_EQ(OptionsOf(offset).query(), "page[offset]");
    EXPECT_TRUE(OptionsOf(offset).has_minimum() && !OptionsOf(offset).clamp()) << method->full_name();
  }
}

TEST(SurfaceTest, EveryEnumBeginsUnspecifiedAndNoTwoValuesReadAlike) {
  for (const FileDescriptor* file : Files()) {
    for (int i = 0; i < file->enum_type_count(); ++i) {
      const EnumDescriptor* type = file->enum_type(i);
      EXPECT_EQ(type->value(0)->number(), 0);
      const std::string& first = type->value(0)->name();
      const std::string suffix = "UNSPECIFIED";
      ASSERT_TRUE(first.size() > suffix.size() && first.substr(first.size() - suffix.size()) == suffix)
          << first;
      const std::string prefix = first.substr(0, first.size() - suffix.size());
      std::set<std::string> words;
      for (int v = 1; v < type->value_count(); ++v) {
        const EnumValueDescriptor* value = type->value(v);
        EXPECT_EQ(value->name().rfind(prefix, 0), 0U) << value->full_name();
        const std::string& json = value->options().GetExtension(fabro::api::v1::json);
        EXPECT_TRUE(words.insert(json.empty() ? value->name().substr(prefix.size()) : json).second)
            << value->full_name();
      }
    }
  }
}

TEST(SurfaceTest, OneofsAreFlat) {
  for (const Descriptor* message : Messages()) {
    for (int i = 0; i < message->real_oneof_decl_count(); ++i) {
      const OneofDescriptor* oneof = message->oneof_decl(i);
      const std::string& tag = oneof->options().GetExtension(fabro::api::v1::tag);
      EXPECT_FALSE(tag.empty()) << oneof->full_name();
      std::set<std::string> taken{tag};
      for (int f = 0; f < message->field_count(); ++f) {
        if (message->field(f)->real_containing_oneof() == nullptr) taken.insert(message->field(f)->name());
      }
      std::set<std::string> names;
      for (int f = 0; f < oneof->field_count(); ++f) {
        const FieldDescriptor* member = oneof->field(f);
        ASSERT_EQ(member->type(), FieldDescriptor::TYPE_MESSAGE) << member->full_name();
        const std::string& name = OptionsOf(member).name();
        EXPECT_TRUE(names.insert(name.empty() ? member->name() : name).second) << member->full_name();
        for (int k = 0; k < member->message_type()->field_count(); ++k) {
          EXPECT_EQ(taken.count(member->message_type()->field(k)->name()), 0U)
              << member->message_type()->field(k)->full_name() << " stands beside " << message->full_name();
        }
      }
    }
  }
}

TEST(SurfaceTest, EventNamesAreTheirMessagesNames) {
  const Descriptor* event =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName("fabro.v1.Event");
  ASSERT_NE(event, nullptr);
  ASSERT_EQ(event->real_oneof_decl_count(), 1);
  for (int i = 0; i < event->oneof_decl(0)->field_count(); ++i) {
    const FieldDescriptor* member = event->oneof_decl(0)->field(i);
    std::string name = OptionsOf(member).name();
    name.erase(std::remove(name.begin(), name.end(), '.'), name.end());
    EXPECT_EQ(name, member->message_type()->name());
  }
}

TEST(SurfaceTest, BoundsFitTheirFields) {
  for (const Descriptor* message : Messages()) {
    for (int i = 0; i < message->field_count(); ++i) {
      const FieldDescriptor* field = message->field(i);
      const fabro::api::v1::Field& options = OptionsOf(field);
      const bool is_text = field->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
      const bool is_number = field->cpp_type() == FieldDescriptor::CPPTYPE_INT32 ||
                             field->cpp_type() == FieldDescriptor::CPPTYPE_INT64 ||
                             field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32 ||
                             field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64 ||
                             field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE;
      if (options.min_length() != 0 || options.max_length() != 0) {
        EXPECT_TRUE(is_text || field->is_repeated()) << field->full_name();
      }
      if (!options.pattern().empty()) EXPECT_TRUE(is_text) << field->full_name();
      if (options.has_minimum() || options.has_maximum()) EXPECT_TRUE(is_number) << field->full_name();
      if (options.nullable()) EXPECT_TRUE(field->has_presence()) << field->full_name();
    }
  }
}

TEST(SurfaceTest, EverythingIsExplained) {
  google::protobuf::FileDescriptorSet set;
  ASSERT_TRUE(set.ParseFromArray(fabro::api::DescriptorSet().data(),
                                 static_cast<int>(fabro::api::DescriptorSet().size())));
  google::protobuf::DescriptorPool pool;
  for (const google::protobuf::FileDescriptorProto& file : set.file())
    ASSERT_NE(pool.BuildFile(file), nullptr);

  std::vector<std::string> silent;
  const auto look = [&silent](const auto* descriptor) {
    google::protobuf::SourceLocation location;
    if (!descriptor->GetSourceLocation(&location) || location.leading_comments.empty()) {
      silent.push_back(descriptor->full_name());
    }
  };
  for (const FileDescriptor* generated : Files()) {
    const FileDescriptor* file = pool.FindFileByName(generated->name());
    ASSERT_NE(file, nullptr) << generated->name();
    for (int i = 0; i < file->message_type_count(); ++i) {
      const Descriptor* message = file->message_type(i);
      look(message);
      for (int f = 0; f < message->field_count(); ++f) look(message->field(f));
      for (int o = 0; o < message->real_oneof_decl_count(); ++o) look(message->oneof_decl(o));
    }
    for (int i = 0; i < file->enum_type_count(); ++i) {
      look(file->enum_type(i));
      for (int v = 0; v < file->enum_type(i)->value_count(); ++v) look(file->enum_type(i)->value(v));
    }
    for (int i = 0; i < file->service_count(); ++i) {
      look(file->service(i));
      for (int m = 0; m < file->service(i)->method_count(); ++m) look(file->service(i)->method(m));
    }
  }
  std::string listed;
  for (const std::string& name : silent) listed += name + "\n";
  EXPECT_TRUE(silent.empty()) << "without a comment:\n" << listed;
}

}  // namespace
