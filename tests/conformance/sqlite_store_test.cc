// SQLite against the specification of Store.
#include "core/storage/sqlite/sqlite_store.h"

#include "tests/conformance/store_suite.h"
#include "tests/support/temp_directory.h"

namespace fabro::storage {
namespace {

class SqliteHarness final : public StoreHarness {
 public:
  absl::StatusOr<std::unique_ptr<Store>> Open(StoreLimits limits) override {
    sqlite::SqliteOptions options;
    options.path = directory_.path() / "fabro.db";
    options.limits = limits;
    return sqlite::OpenSqliteStore(std::move(options));
  }

 private:
  testing::TempDirectory directory_;
};

std::string NameOf(const ::testing::TestParamInfo<Backend>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreSuite,
                         ::testing::Values(Backend{"sqlite",
                                                   [] { return std::make_unique<SqliteHarness>(); }}),
                         NameOf);

}  // namespace
}  // namespace fabro::storage
