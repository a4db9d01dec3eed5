// The least that gRPC can do: one channel, so many calls of RetrieveRun at a time. What the gateway is
// measured beside.
//
//   bare_grpc_client ADDRESS RUN_ID [calls at a time = 64] [seconds = 3]
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <latch>
#include <memory>
#include <string>
#include <vector>

#include "fabro/v1/run.grpc.pb.h"

namespace {

using Steady = std::chrono::steady_clock;

struct Shared {
  std::unique_ptr<fabro::v1::RunService::Stub> stub;
  fabro::v1::RetrieveRunRequest request;
  Steady::time_point end;
};

// One call after the other.
class Caller {
 public:
  Caller(Shared& shared, std::latch& done) : shared_(shared), done_(done) {}

  void Next() {
    context_ = std::make_unique<grpc::ClientContext>();
    begun_ = Steady::now();
    shared_.stub->async()->RetrieveRun(
        context_.get(), &shared_.request, &response_, [this](const grpc::Status& status) {
          const auto now = Steady::now();
          if (!status.ok()) std::printf("%s\n", status.error_message().c_str()), std::abort();
          micros.push_back(std::chrono::duration<double, std::micro>(now - begun_).count());
          now < shared_.end ? Next() : done_.count_down();
        });
  }

  std::vector<double> micros;

 private:
  Shared& shared_;
  std::latch& done_;
  std::unique_ptr<grpc::ClientContext> context_;
  fabro::v1::RunStatusResponse response_;
  Steady::time_point begun_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::puts("usage: bare_grpc_client ADDRESS RUN_ID [CALLS] [SECONDS]"), 2;
  const int calls = argc > 3 ? std::atoi(argv[3]) : 64;
  const double seconds = argc > 4 ? std::atof(argv[4]) : 3;
  Shared shared;
  shared.stub =
      fabro::v1::RunService::NewStub(grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
  shared.request.set_id(argv[2]);
  const auto begin = Steady::now();
  shared.end = begin + std::chrono::duration_cast<Steady::duration>(std::chrono::duration<double>(seconds));
  std::latch done(calls);
  std::vector<std::unique_ptr<Caller>> callers;
  for (int n = 0; n < calls; ++n) callers.push_back(std::make_unique<Caller>(shared, done));
  for (auto& caller : callers) caller->Next();
  done.wait();
  const double took = std::chrono::duration<double>(Steady::now() - begin).count();
  std::vector<double> all;
  for (const auto& caller : callers) all.insert(all.end(), caller->micros.begin(), caller->micros.end());
  std::sort(all.begin(), all.end());
  std::printf("{\"calls_per_second\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
              static_cast<double>(all.size()) / took, all[all.size() / 2], all[all.size() * 99 / 100]);
}
