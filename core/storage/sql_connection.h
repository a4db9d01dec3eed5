// What SqlStore needs of a database driver: one connection, blocking calls, prepared statements.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "core/async/deadline.h"

namespace fabro::storage {

struct Blob {
  std::string_view bytes;
};

// A parameter. Views must live until Execute returns.
using SqlValue = std::variant<std::monostate, std::int64_t, std::string_view, Blob>;

// One statement with parameters $1, $2 ... in a form that every backend takes. Only static objects:
// connections remember what they have prepared by address.
struct Statement {
  std::string_view name;  // for error messages
  std::string_view sql;   // zero-terminated
};

// The current row of a result; views last until the callback returns.
class SqlRow {
 public:
  virtual bool IsNull(int column) const = 0;
  virtual std::int64_t Int(int column) const = 0;
  virtual std::string_view Text(int column) const = 0;
  virtual std::string_view Bytes(int column) const = 0;

 protected:
  ~SqlRow() = default;
};

// Used by one thread at a time.
class SqlConnection {
 public:
  using OnRow = std::function<bool(const SqlRow&)>;  // false: no more rows

  virtual ~SqlConnection() = default;

  // Returns the number of rows changed, for a statement that changes any.
  virtual absl::StatusOr<std::int64_t> Execute(const Statement& statement,
                                               std::initializer_list<SqlValue> values,
                                               const OnRow& on_row = nullptr) = 0;

  virtual absl::Status Begin() = 0;
  // An error means that nothing was committed, unless it is Unavailable + kOutcomeUnknown: then the
  // connection is of no further use either.
  virtual absl::Status Commit() = 0;
  virtual void Rollback() = 0;  // also after an error, and when no transaction is open

  // Statements still running then fail with DeadlineExceeded.
  virtual void SetDeadline(Deadline deadline) = 0;
};

// Opens a connection that can be used at once: its promises (a writer's log is sound) have been checked.
using ConnectionFactory = std::function<absl::StatusOr<std::unique_ptr<SqlConnection>>()>;

}  // namespace fabro::storage
