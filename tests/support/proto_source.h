// A proto file that a test writes as text: parsed at run time, with the program's own protos (options,
// well-known types) to import. Its messages are dynamic; those it imports are the generated classes.
#pragma once

#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "fabro/api/v1/annotations.pb.h"
#include "google/api/annotations.pb.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "google/protobuf/wrappers.pb.h"

namespace fabro::testing {

class ProtoSource {
 public:
  // `body` follows the syntax line, the package "test" and the imports.
  explicit ProtoSource(const std::string& body) : pool_(google::protobuf::DescriptorPool::generated_pool()) {
    // A descriptor pool knows a generated file only once something of it was linked and used.
    fabro::api::v1::Field::descriptor();
    EXPECT_NE(google::api::http.number(), 0);
    google::protobuf::Timestamp::descriptor();
    google::protobuf::Duration::descriptor();
    google::protobuf::Struct::descriptor();
    google::protobuf::StringValue::descriptor();
    factory_.SetDelegateToGeneratedFactory(true);
    const std::string text =
        std::string("syntax = \"proto3\"; package test;") +
        "import \"fabro/api/v1/annotations.proto\"; import \"google/api/annotations.proto\";"
        "import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/duration.proto\";"
        "import \"google/protobuf/struct.proto\"; import \"google/protobuf/wrappers.proto\";" +
        body;
    google::protobuf::io::ArrayInputStream input(text.data(), static_cast<int>(text.size()));
    Errors errors;
    google::protobuf::io::Tokenizer tokenizer(&input, &errors);
    google::protobuf::compiler::Parser parser;
    parser.RecordErrorsTo(&errors);
    google::protobuf::FileDescriptorProto file;
    file.set_name("test.proto");
    EXPECT_TRUE(parser.Parse(&tokenizer, &file));
    file_ = pool_.BuildFileCollectingErrors(file, &errors);
    EXPECT_NE(file_, nullptr);
  }

  const google::protobuf::Descriptor* Type(const std::string& name) const {
    return file_->FindMessageTypeByName(name);
  }
  std::unique_ptr<google::protobuf::Message> New(const std::string& name) {
    return std::unique_ptr<google::protobuf::Message>(factory_.GetPrototype(Type(name))->New());
  }
  // A message from protobuf's text format.
  std::unique_ptr<google::protobuf::Message> Make(const std::string& name, const std::string& text) {
    std::unique_ptr<google::protobuf::Message> message = New(name);
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, message.get())) << text;
    return message;
  }
  std::vector<const google::protobuf::ServiceDescriptor*> services() const {
    std::vector<const google::protobuf::ServiceDescriptor*> all;
    for (int i = 0; i < file_->service_count(); ++i) all.push_back(file_->service(i));
    return all;
  }
  google::protobuf::MessageFactory* factory() { return &factory_; }

 private:
  struct Errors final : google::protobuf::io::ErrorCollector,
                        google::protobuf::DescriptorPool::ErrorCollector {
    void AddError(int line, int column, const std::string& message) override {
      ADD_FAILURE() << line << ":" << column << ": " << message;
    }
    void AddError(const std::string& file, const std::string& element, const google::protobuf::Message*,
                  ErrorLocation, const std::string& message) override {
      ADD_FAILURE() << element << ": " << message;
    }
  };

  google::protobuf::DescriptorPool pool_;
  google::protobuf::DynamicMessageFactory factory_;
  const google::protobuf::FileDescriptor* file_ = nullptr;
};

}  // namespace fabro::testing
