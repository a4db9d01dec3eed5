// Where coroutines run: a pool of threads, or a strand of it (one thing at a time, in order).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>

#include "core/async/task.h"

namespace fabro {

using Executor = boost::asio::any_io_executor;

Executor MakeStrand(const Executor& executor);
void Post(const Executor& executor, std::function<void()> work);  // never runs it inside the call
Task<Executor> CurrentExecutor();
Task<bool> IsCancelled();  // whether the calling coroutine was told to stop
Task<void> Yield();        // lets other work of this executor run

}  // namespace fabro
