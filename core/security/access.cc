#include "core/security/access.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::security {

std::string_view ToString(Role role) {
  constexpr std::array<std::string_view, 4> kNames = {"none", "viewer", "operator", "admin"};
  return kNames[static_cast<std::size_t>(role)];
}

struct Access::Table {
  std::unordered_map<std::string, Role> roles;

  void Add(const std::vector<std::string>& principals, Role role) {
    for (const std::string& principal : principals) {
      Role& has = roles[principal];
      has = std::max(has, role);
    }
  }
};

void Access::Set(const std::optional<AccessLists>& lists) {
  std::shared_ptr<Table> table;
  if (lists) {
    table = std::make_shared<Table>();
    table->Add(lists->viewers, Role::kViewer);
    table->Add(lists->operators, Role::kOperator);
    table->Add(lists->admins, Role::kAdmin);
  }
  MutexLock lock(&mutex_);
  table_ = std::move(table);
}

Role Access::RoleOf(std::string_view principal) const {
  std::shared_ptr<const Table> table;
  {
    MutexLock lock(&mutex_);
    table = table_;
  }
  if (table == nullptr) return Role::kAdmin;
  const auto found = table->roles.find(std::string(principal));
  return found == table->roles.end() ? Role::kNone : found->second;
}

absl::Status Access::Check(std::string_view principal, Role needed) const {
  if (needed == Role::kNone || RoleOf(principal) >= needed) return absl::OkStatus();
  return Error(absl::StatusCode::kPermissionDenied, Reason::kForbidden, std::string(ToString(needed)),
               StrCat("Access denied. This needs the role ", ToString(needed), '.'));
}

}  // namespace fabro::security
