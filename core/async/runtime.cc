#include "core/async/runtime.h"

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <exception>
#include <thread>
#include <vector>

namespace fabro {
namespace asio = boost::asio;

struct Runtime::Impl {
  explicit Impl(int threads) : context(std::max(threads, 1)), guard(context.get_executor()) {}
  asio::io_context context;
  asio::executor_work_guard<asio::io_context::executor_type> guard;
  std::vector<std::thread> threads;
};

Runtime::Runtime(int threads) : impl_(std::make_unique<Impl>(threads)) {
  for (int i = 0; i < threads; ++i) {
    impl_->threads.emplace_back([this] {
      // Every spawned task catches at its root; what arrives here is a broken invariant of a plain handler.
      try {
        impl_->context.run();
      } catch (const std::exception& error) {
        std::fprintf(stderr, "a handler threw: %s\n", error.what());
        std::terminate();
      }
    });
  }
}

Runtime::~Runtime() { Stop(); }

int Runtime::DefaultThreads() { return std::max(2, static_cast<int>(std::thread::hardware_concurrency())); }

Executor Runtime::executor() const { return impl_->context.get_executor(); }

asio::io_context& Runtime::context() { return impl_->context; }

void Runtime::Stop() {
  impl_->guard.reset();
  impl_->context.stop();
  for (std::thread& thread : impl_->threads) {
    if (thread.joinable()) thread.join();
  }
}

Executor MakeStrand(const Executor& executor) { return asio::make_strand(executor); }

void Post(const Executor& executor, std::function<void()> work) { asio::post(executor, std::move(work)); }

Task<Executor> CurrentExecutor() { co_return co_await asio::this_coro::executor; }

Task<bool> IsCancelled() {
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  co_return state.cancelled() != asio::cancellation_type::none;
}

Task<void> Yield() { co_await asio::post(asio::use_awaitable); }

}  // namespace fabro
