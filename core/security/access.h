// Who may do what: three roles, each given by name in the section [access] of the configuration.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/base/mutex.h"

namespace fabro::security {

// Each may do what those before it may.
enum class Role : std::uint8_t { kNone, kViewer, kOperator, kAdmin };
std::string_view ToString(Role role);  // "none", "viewer", "operator", "admin"

// By principal: "alice", "cn:builder".
struct AccessLists {
  std::vector<std::string> viewers;
  std::vector<std::string> operators;
  std::vector<std::string> admins;
};

// Thread-safe.
class Access {
 public:
  // Without lists everyone who was let in may do everything.
  explicit Access(const std::optional<AccessLists>& lists) { Set(lists); }

  void Set(const std::optional<AccessLists>& lists);  // counts from the next call on

  Role RoleOf(std::string_view principal) const;
  // PermissionDenied + kForbidden, naming the role that is needed.
  absl::Status Check(std::string_view principal, Role needed) const;

 private:
  struct Table;

  mutable Mutex mutex_;
  std::shared_ptr<const Table> table_ GUARDED_BY(mutex_);  // null: no lists. Shared with checks under way
};

}  // namespace fabro::security
