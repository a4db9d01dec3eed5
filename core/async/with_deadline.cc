#include "core/async/with_deadline.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

namespace fabro::internal {
namespace asio = boost::asio;

namespace {
struct Race {
  asio::cancellation_signal signal;
  bool ended = false;
  bool cut = false;
  std::exception_ptr error;
};

Task<void> Uncaught(Task<void> work) {
  co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await std::move(work);
}
}  // namespace

Task<bool> RunUntil(Deadline deadline, Task<void> work) {
  const auto executor = co_await asio::this_coro::executor;
  auto race = std::make_shared<Race>();
  auto timer = std::make_shared<asio::steady_timer>(executor, *deadline.at());
  auto done = [race, timer](std::exception_ptr error) {
    race->ended = true;
    race->error = error;
    timer->cancel();
  };
  asio::co_spawn(executor, Uncaught(std::move(work)),
                 asio::bind_cancellation_slot(race->signal.slot(), std::move(done)));
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) race->signal.emit(asio::cancellation_type::total);
  while (!race->ended) {
    const auto [waited] = co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));
    if (race->ended) break;
    // Time is up, or we were cancelled, which our caller must be able to see afterwards: so that state is
    // left as it is. Stop the work, then wait for its clean-up without a limit of our own.
    if (!waited) race->cut = true;
    race->signal.emit(asio::cancellation_type::total);
    timer->expires_at(asio::steady_timer::time_point::max());
  }
  if (race->error) std::rethrow_exception(race->error);
  co_return race->cut;
}

}  // namespace fabro::internal
