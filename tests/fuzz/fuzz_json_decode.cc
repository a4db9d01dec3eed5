// Any bytes as the body of POST /runs and of POST /completions: read, decoded, and what was accepted written
// and read again.
#include <google/protobuf/message.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "fabro/v1/completion.pb.h"
#include "fabro/v1/event.pb.h"
#include "fabro/v1/run.pb.h"
#include "gateway/json/decode.h"
#include "gateway/json/encode.h"

namespace {

namespace pb = google::protobuf;

void Require(bool condition) {
  if (!condition) std::abort();
}

void Try(const fabro::json::Shape& shape, std::string_view text) {
  const std::unique_ptr<pb::Message> message(shape.prototype->New());
  const absl::Status status = fabro::json::Decode(shape, text, message.get());
  if (!status.ok()) {
    Require(status.code() == absl::StatusCode::kInvalidArgument);
    Require(!fabro::MessageOf(status).empty() && fabro::IsValidUtf8(fabro::MessageOf(status)));
    return;
  }
  // It crosses a wire, and its JSON is accepted again and says the same.
  const std::unique_ptr<pb::Message> arrived(shape.prototype->New());
  Require(arrived->ParseFromString(message->SerializeAsString()));
  std::string once;
  fabro::json::Encode(shape, *arrived, once);
  const std::unique_ptr<pb::Message> again(shape.prototype->New());
  Require(fabro::json::Decode(shape, once, again.get()).ok());
  std::string twice;
  fabro::json::Encode(shape, *again, twice);
  Require(once == twice);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto shapes = *fabro::json::Shapes::Build(
      {fabro::v1::StartRunRequest::descriptor(), fabro::v1::CreateCompletionRequest::descriptor(),
       fabro::v1::Event::descriptor()},
      pb::MessageFactory::generated_factory());
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const pb::Descriptor* type :
       {fabro::v1::StartRunRequest::descriptor(), fabro::v1::CreateCompletionRequest::descriptor(),
        fabro::v1::Event::descriptor()}) {
    Try(*shapes->Find(type), text);
  }
  return 0;
}
