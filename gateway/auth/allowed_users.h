// The names that tokens may carry: web.auth.allowed_usernames.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/base/mutex.h"

namespace fabro::auth {

// Thread-safe.
class AllowedUsers {
 public:
  explicit AllowedUsers(const std::vector<std::string>& names) { Set(names); }

  // Counts from the next request on. Without names nobody is allowed.
  void Set(const std::vector<std::string>& names) {
    auto next = std::make_shared<const Names>(names.begin(), names.end());
    MutexLock lock(&mutex_);
    names_ = std::move(next);
  }

  // Exact: case counts.
  bool Contains(const std::string& name) const { return Get()->contains(name); }

 private:
  using Names = std::unordered_set<std::string>;

  std::shared_ptr<const Names> Get() const {
    MutexLock lock(&mutex_);
    return names_;
  }

  mutable Mutex mutex_;
  std::shared_ptr<const Names> names_ GUARDED_BY(mutex_);  // shared with checks under way
};

}  // namespace fabro::auth
