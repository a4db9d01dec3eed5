#include "core/storage/row_cache.h"

namespace fabro::storage {
namespace {

std::size_t BytesOf(const RunRow& row) {
  std::size_t bytes = sizeof(RunRow) + 160;
  for (const auto& [name, value] : row.labels) bytes += name.size() + value.size() + 2 * sizeof(std::string);
  return bytes + row.title.size() + row.goal.size() + row.question_text.size() +
         (row.error ? row.error->size() : 0);
}

}  // namespace

RowCache::Fill::~Fill() {
  if (cache_ != nullptr) cache_->EndFill(run_, epoch_, nullptr);
}

void RowCache::Fill::Keep(const RunRow& row) {
  auto kept = std::make_shared<const RunRow>(row);
  std::exchange(cache_, nullptr)->EndFill(run_, epoch_, std::move(kept));
}

std::shared_ptr<const RunRow> RowCache::Find(RunId run) {
  MutexLock lock(&mutex_);
  const auto found = index_.find(run);
  if (found == index_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return found->second->row;
}

RowCache::Fill RowCache::BeginFill(RunId run) {
  MutexLock lock(&mutex_);
  Reading& reading = reading_[run];
  ++reading.readers;
  return Fill(*this, run, reading.epoch);
}

void RowCache::Put(RunRow row) {
  auto shared = std::make_shared<const RunRow>(std::move(row));
  MutexLock lock(&mutex_);
  Outdate(shared->id);
  Insert(std::move(shared));
}

void RowCache::Erase(RunId run) {
  MutexLock lock(&mutex_);
  Outdate(run);
  Remove(run);
}

std::size_t RowCache::size() const {
  MutexLock lock(&mutex_);
  return index_.size();
}

void RowCache::EndFill(RunId run, std::uint64_t epoch, std::shared_ptr<const RunRow> row) {
  MutexLock lock(&mutex_);
  const auto reading = reading_.find(run);
  const bool current = reading->second.epoch == epoch;
  if (--reading->second.readers == 0) reading_.erase(reading);
  if (row && current) Insert(std::move(row));
}

void RowCache::Outdate(RunId run) {
  if (const auto reading = reading_.find(run); reading != reading_.end()) ++reading->second.epoch;
}

void RowCache::Insert(std::shared_ptr<const RunRow> row) {
  Remove(row->id);
  const std::size_t bytes = BytesOf(*row);
  if (bytes > limits_.bytes / 64) return;  // one huge goal must not push out thousands of others
  order_.push_front({row->id, row, bytes});
  index_.emplace(row->id, order_.begin());
  bytes_ += bytes;
  while (order_.size() > limits_.rows || bytes_ > limits_.bytes) Remove(order_.back().run);
}

void RowCache::Remove(RunId run) {
  const auto found = index_.find(run);
  if (found == index_.end()) return;
  bytes_ -= found->second->bytes;
  order_.erase(found->second);
  index_.erase(found);
}

}  // namespace fabro::storage
