#include <boost/asio/execution.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <type_traits>
#include <utility>

#include "core/async/executor.h"
#include "core/async/runtime.h"

namespace fabro {
namespace asio = boost::asio;

namespace internal {

// Runs what it is given inside the call; what must not run there goes to the pool.
class HereExecutor {
 public:
  explicit HereExecutor(asio::io_context& context) : context_(&context) {}

  asio::io_context& query(asio::execution::context_t) const noexcept { return *context_; }
  static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept {
    return asio::execution::blocking.possibly;
  }
  HereExecutor require(asio::execution::blocking_t::possibly_t) const { return *this; }
  auto require(asio::execution::blocking_t::never_t never) const {
    return asio::require(context_->get_executor(), never);
  }

  template <typename Function>
  void execute(Function&& function) const {
    std::decay_t<Function> own(std::forward<Function>(function));
    own();
  }

  friend bool operator==(const HereExecutor& a, const HereExecutor& b) noexcept {
    return a.context_ == b.context_;
  }
  friend bool operator!=(const HereExecutor& a, const HereExecutor& b) noexcept {
    return a.context_ != b.context_;
  }

 private:
  asio::io_context* context_;
};

}  // namespace internal

Executor MakeResumingStrand(Runtime& runtime) {
  return asio::make_strand(internal::HereExecutor(runtime.context()));
}

}  // namespace fabro
