#include "core/async/sleep.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/async/executor.h"
#include "core/base/error.h"

namespace fabro {
namespace asio = boost::asio;
namespace {

class RealTime final : public TimeSource {
 public:
  Timestamp Now() const override { return SystemClock().Now(); }
  std::chrono::steady_clock::time_point Steady() const override { return SystemClock().Steady(); }

  Task<absl::Status> Sleep(std::chrono::milliseconds duration) override {
    const bool cancelled = co_await IsCancelled();
    if (cancelled) co_return Cancelled("cancelled before sleeping");
    asio::steady_timer timer(co_await asio::this_coro::executor, duration);
    const auto [error] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return error ? Cancelled("cancelled while sleeping") : absl::OkStatus();
  }
};

}  // namespace

TimeSource& SystemTime() {
  static RealTime time;
  return time;
}

}  // namespace fabro
