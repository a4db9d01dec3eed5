// The rows of the runs that are in use, so that reading one needs no database.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/base/mutex.h"
#include "core/storage/run_row.h"

namespace fabro::storage {

// Least recently used rows go first; bounded in rows and in bytes. Thread-safe.
//
// The writer calls Put and Erase after each commit, in the order of commits. A reader that misses asks the
// database meanwhile, and what it read may be old by the time it has it: it takes a Fill before it reads, and
// its row is kept only if nothing was written to the run since.
class RowCache {
 public:
  struct Limits {
    std::size_t rows = 8192;
    std::size_t bytes = std::size_t{64} << 20;
  };

  // A reader's claim on one run; dropping it gives it up.
  class Fill {
   public:
    ~Fill();
    Fill(Fill&& other) noexcept
        : cache_(std::exchange(other.cache_, nullptr)), run_(other.run_), epoch_(other.epoch_) {}
    Fill(const Fill&) = delete;
    Fill& operator=(const Fill&) = delete;

    void Keep(const RunRow& row);  // at most once

   private:
    friend class RowCache;
    Fill(RowCache& cache, RunId run, std::uint64_t epoch) : cache_(&cache), run_(run), epoch_(epoch) {}
    RowCache* cache_;
    RunId run_;
    std::uint64_t epoch_;
  };

  explicit RowCache(Limits limits) : limits_(limits) {}

  std::shared_ptr<const RunRow> Find(
      RunId run);             // shared: a reader copies it outside the lock; null on a miss
  Fill BeginFill(RunId run);  // before reading the database

  void Put(RunRow row);
  void Erase(RunId run);

  std::size_t size() const;

 private:
  struct Entry {
    RunId run;
    std::shared_ptr<const RunRow> row;
    std::size_t bytes = 0;
  };
  using Order = std::list<Entry>;  // most recently used first
  struct Reading {
    int readers = 0;
    std::uint64_t epoch = 0;  // grows with each write to the run
  };

  void Insert(std::shared_ptr<const RunRow> row) REQUIRES(mutex_);
  void Remove(RunId run) REQUIRES(mutex_);
  void Outdate(RunId run) REQUIRES(mutex_);
  void EndFill(RunId run, std::uint64_t epoch, std::shared_ptr<const RunRow> row);

  const Limits limits_;
  mutable Mutex mutex_;
  Order order_ GUARDED_BY(mutex_);
  std::unordered_map<RunId, Order::iterator> index_ GUARDED_BY(mutex_);
  std::unordered_map<RunId, Reading> reading_ GUARDED_BY(mutex_);
  std::size_t bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace fabro::storage
