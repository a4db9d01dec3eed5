#include "cli/inline_files.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/config/read_file.h"
#include "core/workflow/load.h"

namespace fabro::cli {
namespace {

namespace fs = std::filesystem;

class FolderReader final : public workflow::FileReader {
 public:
  explicit FolderReader(fs::path folder) : folder_(std::move(folder)) {}

  absl::StatusOr<std::string> Read(std::string_view path) const override {
    absl::StatusOr<std::string> text = ReadInside(path);
    if (text.ok()) return text;
    return InvalidArgument(Reason::kInvalidArgument, path, StrCat("@", path, ": ", MessageOf(text.status())));
  }

 private:
  absl::StatusOr<std::string> ReadInside(std::string_view path) const {
    std::error_code error;
    const fs::path target = fs::canonical(folder_ / fs::path(std::string(path)), error);
    if (error) return ErrnoError(error.value(), "cannot be read");
    const fs::path inside = target.lexically_relative(folder_);
    if (inside.empty() || *inside.begin() == "..") {
      return InvalidArgument(Reason::kInvalidArgument, path, "lies outside the workflow's folder");
    }
    FABRO_ASSIGN_OR_RETURN(std::string text, config::ReadFile(target.string(), kMaxInlinedBytes));
    if (!IsValidUtf8(text)) return InvalidArgument(Reason::kInvalidArgument, path, "is no UTF-8 text");
    return text;
  }

  const fs::path folder_;  // canonical
};

}  // namespace

absl::StatusOr<std::string> ReadWorkflow(const std::string& path) {
  FABRO_ASSIGN_OR_RETURN(const std::string source, config::ReadFile(path, workflow::kMaxSourceBytes));
  std::error_code error;
  fs::path folder = fs::path(path).parent_path();
  folder = fs::canonical(folder.empty() ? fs::path(".") : folder, error);
  if (error) return ErrnoError(error.value(), StrCat("reading the folder of ", path));
  const FolderReader files(std::move(folder));
  absl::StatusOr<std::string> inlined = workflow::InlineFiles(source, workflow::Variables(), files);
  if (!inlined.ok()) return Annotate(inlined.status(), path);
  if (inlined->size() > workflow::kMaxSourceBytes) {
    return InvalidArgument(
        Reason::kInvalidArgument, path,
        StrCat(path, ": longer than ", workflow::kMaxSourceBytes, " bytes with the files it names"));
  }
  return inlined;
}

}  // namespace fabro::cli
