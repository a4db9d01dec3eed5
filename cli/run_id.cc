#include "cli/run_id.h"

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"

namespace fabro::cli {
namespace {

constexpr std::size_t kLeastCharacters = 4;
constexpr int kPage = 100;
constexpr int kMostPages = 5;

}  // namespace

absl::StatusOr<std::string> ResolveRun(Api& api, const std::string& text) {
  if (text.size() < kLeastCharacters || text.size() >= RunId::kTextSize) return text;
  const std::string wanted = ToLower(text);
  std::vector<std::string> found;
  for (int page_number = 0; page_number < kMostPages; ++page_number) {
    FABRO_ASSIGN_OR_RETURN(const Page<RunInfo> page, api.List("", kPage, page_number * kPage));
    for (const RunInfo& run : page.items) {
      const std::string id = ToLower(run.id);
      if (id.starts_with(wanted) || id.ends_with(wanted)) found.push_back(run.id);
    }
    if (!page.has_more) break;
  }
  if (found.size() == 1) return found[0];
  if (found.empty()) return NotFound(Reason::kRunNotFound, text, StrCat("Run ", text, " not found."));
  return InvalidArgument(Reason::kInvalidArgument, text,
                         StrCat("\"", text, "\" fits ", found.size(), " runs: ", Join(found, ", ")));
}

}  // namespace fabro::cli
