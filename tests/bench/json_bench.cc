// Message to JSON and back: ours beside protobuf's own and nlohmann's, on the status of a run (about 300
// bytes). usage: json_bench [SECONDS_A_CASE]
#include <google/protobuf/util/json_util.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "fabro/v1/run.pb.h"
#include "gateway/json/decode.h"
#include "gateway/json/encode.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Case {
  const char* name;
  std::function<std::size_t()> run;  // gives the size of what it made
  double best_ns = 1e18;
  std::size_t size = 0;
};

// The cases take turns, and the best turn of each counts: the host's speed drifts.
void Measure(std::vector<Case>& cases, double seconds) {
  constexpr int kTurns = 10;
  for (int turn = 0; turn < kTurns; ++turn) {
    for (Case& one : cases) {
      std::size_t runs = 0;
      const Clock::time_point begin = Clock::now();
      std::chrono::duration<double> spent{};
      while (spent.count() < seconds / kTurns) {
        for (int i = 0; i < 100; ++i) one.size = one.run();
        runs += 100;
        spent = Clock::now() - begin;
      }
      one.best_ns = std::min(one.best_ns, spent.count() * 1e9 / static_cast<double>(runs));
    }
  }
  for (const Case& one : cases) {
    std::printf("%-34s %9.0f ns %6zu bytes  %6.2fx\n", one.name, one.best_ns, one.size,
                one.best_ns / cases.front().best_ns);
  }
}

fabro::v1::RunStatusResponse SampleRun() {
  fabro::v1::RunStatusResponse run;
  run.set_id("01JNQVR7M0EJ5GKAT2SC4ERS1Z");
  run.set_status(fabro::v1::RUN_STATUS_FAILED);
  run.mutable_error()->set_message("stage test: exit code 2 after 3 attempts");
  run.mutable_created_at()->set_seconds(1774872000);
  run.mutable_started_at()->set_seconds(1774872001);
  run.mutable_started_at()->set_nanos(250000000);
  run.mutable_finished_at()->set_seconds(1774872060);
  run.set_title("Fix the parser");
  return run;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1.0;
  const fabro::v1::RunStatusResponse run = SampleRun();
  const auto shapes = *fabro::json::Shapes::Build({fabro::v1::RunStatusResponse::descriptor()},
                                                  google::protobuf::MessageFactory::generated_factory());
  const fabro::json::Shape& shape = *shapes->Find(fabro::v1::RunStatusResponse::descriptor());

  std::string text;
  fabro::json::Encode(shape, run, text);
  const nlohmann::json tree = nlohmann::json::parse(text);
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;

  std::printf("%s\n\nmessage to text\n", text.c_str());
  std::string out;
  std::vector<Case> encode{
      {"gateway/json Encode",
       [&] {
         out.clear();
         fabro::json::Encode(shape, run, out);
         return out.size();
       }},
      {"protobuf MessageToJsonString",
       [&] {
         out.clear();
         FABRO_CHECK(google::protobuf::util::MessageToJsonString(run, &out, options).ok());
         return out.size();
       }},
      {"nlohmann dump of a ready tree", [&] { return tree.dump().size(); }},
  };
  Measure(encode, seconds);

  std::printf("\ntext to message\n");
  std::string protobufs_text;  // it spells enum words its own way
  FABRO_CHECK(google::protobuf::util::MessageToJsonString(run, &protobufs_text, options).ok());
  fabro::v1::RunStatusResponse back;
  std::vector<Case> decode{
      {"gateway/json Decode",
       [&] {
         back.Clear();
         FABRO_CHECK(fabro::json::Decode(shape, text, &back).ok());
         return text.size();
       }},
      {"protobuf JsonStringToMessage",
       [&] {
         back.Clear();
         FABRO_CHECK(google::protobuf::util::JsonStringToMessage(protobufs_text, &back).ok());
         return protobufs_text.size();
       }},
      {"nlohmann parse into a tree", [&] { return nlohmann::json::parse(text).empty() ? 0 : text.size(); }},
  };
  Measure(decode, seconds);
}
