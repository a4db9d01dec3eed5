// Where coroutines run: a pool of threads, or a strand of it (one thing at a time, in order).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>

#include "core/async/task.h"

namespace fabro {

using Executor = boost::asio::any_io_executor;

class Runtime;

Executor MakeStrand(const Executor& executor);
// A strand whose coroutines may go on on whichever thread completes what they wait for, gRPC's included (see
// Waiter::CompleteHere), instead of always hopping to one of the pool: for short steps that never block.
Executor MakeResumingStrand(Runtime& runtime);
void Post(const Executor& executor, std::function<void()> work);  // never runs it inside the call
Task<Executor> CurrentExecutor();
Task<bool> IsCancelled();  // whether the calling coroutine was told to stop
Task<void> Yield();        // lets other work of this executor run

}  // namespace fabro
