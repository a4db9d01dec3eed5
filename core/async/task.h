// A coroutine. It starts when awaited or spawned (task_scope.h), runs on the executor of whoever awaits it,
// and is cancelled through that one. Parameters are values, or references to what the owner keeps alive.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace fabro {

template <typename T>
using Task = boost::asio::awaitable<T>;

}  // namespace fabro
