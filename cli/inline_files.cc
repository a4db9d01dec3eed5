#include "cli/inline_files.h"

#include <cctype>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/config/read_file.h"

namespace fabro::cli {
namespace {

namespace fs = std::filesystem;

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.'; }

// Where the string that starts at text[start] == '"' ends, past its closing quote; npos when it does not.
std::size_t EndOfString(std::string_view text, std::size_t start) {
  for (std::size_t i = start + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

// Past a comment or a preprocessor line that starts at `i`, else `i`.
std::size_t SkipComment(std::string_view text, std::size_t i, bool at_line_start) {
  const bool line = text.substr(i).starts_with("//") || (at_line_start && text[i] == '#');
  if (line) return std::min(text.find('\n', i), text.size());
  if (!text.substr(i).starts_with("/*")) return i;
  const std::size_t end = text.find("*/", i + 2);
  return end == std::string_view::npos ? text.size() : end + 2;
}

// As the workflow language reads strings back: \" \\ \n \t.
std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      out += c;
    }
  }
  return out += '"';
}

// Copies the source token by token and replaces strings that are prompts and name a file.
class Inliner {
 public:
  Inliner(std::string_view source, std::string_view file, const ReadReference& read)
      : source_(source), file_(file), read_(read) {}

  absl::StatusOr<std::string> Run() {
    while (at_ < source_.size()) FABRO_RETURN_IF_ERROR(Step());
    return std::move(out_);
  }

 private:
  absl::Status Step() {
    const std::size_t comment = SkipComment(source_, at_, at_line_start_);
    if (comment != at_) {
      CopyTo(comment);
    } else if (source_[at_] == '"') {
      const std::size_t end = EndOfString(source_, at_);
      if (end == std::string_view::npos) {
        CopyTo(source_.size());  // the server's parser names the place
        return absl::OkStatus();
      }
      const std::string_view text = source_.substr(at_ + 1, end - at_ - 2);
      if (is_prompt_ && has_equals_ && text.starts_with('@') && text.size() > 1) {
        FABRO_RETURN_IF_ERROR(Replace(text.substr(1), end));
      } else {
        CopyTo(end);
      }
      is_prompt_ = has_equals_ = false;
    } else if (IsWord(source_[at_])) {
      std::size_t end = at_;
      while (end < source_.size() && IsWord(source_[end])) ++end;
      is_prompt_ = source_.substr(at_, end - at_) == "prompt";
      has_equals_ = false;
      CopyTo(end);
    } else {
      if (source_[at_] == '=') {
        has_equals_ = true;
      } else if (!std::isspace(static_cast<unsigned char>(source_[at_]))) {
        is_prompt_ = false;
      }
      CopyTo(at_ + 1);
    }
    return absl::OkStatus();
  }

  void CopyTo(std::size_t end) {
    for (const char c : source_.substr(at_, end - at_)) {
      if (c == '\n') {
        ++line_;
        at_line_start_ = true;
      } else if (!std::isspace(static_cast<unsigned char>(c))) {
        at_line_start_ = false;
      }
    }
    out_ += source_.substr(at_, end - at_);
    at_ = end;
  }

  absl::Status Replace(std::string_view path, std::size_t end) {
    auto text = read_(path);
    if (!text.ok()) {
      return InvalidArgument(Reason::kInvalidArgument, file_,
                             StrCat(file_, ":", line_, ": error: @", path, ": ", MessageOf(text.status())));
    }
    out_ += Quote(*text);
    // A string may go over several lines (a backslash before the line end); the number of lines must stay.
    for (const char c : source_.substr(at_, end - at_)) {
      if (c == '\n') {
        out_ += '\n';
        ++line_;
      }
    }
    at_line_start_ = false;
    at_ = end;
    return absl::OkStatus();
  }

  const std::string_view source_;
  const std::string_view file_;
  const ReadReference& read_;
  std::string out_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool at_line_start_ = true;
  bool is_prompt_ = false;
  bool has_equals_ = false;
};

absl::StatusOr<std::string> ReadInside(const fs::path& folder, std::string_view path) {
  std::error_code error;
  const fs::path target = fs::canonical(folder / fs::path(std::string(path)), error);
  if (error) return ErrnoError(error.value(), "cannot be read");
  const fs::path inside = target.lexically_relative(folder);
  if (inside.empty() || *inside.begin() == "..") {
    return InvalidArgument(Reason::kInvalidArgument, path, "lies outside the workflow's folder");
  }
  FABRO_ASSIGN_OR_RETURN(std::string text, config::ReadFile(target.string(), kMaxInlinedBytes));
  if (!IsValidUtf8(text)) return InvalidArgument(Reason::kInvalidArgument, path, "is no UTF-8 text");
  return text;
}

}  // namespace

absl::StatusOr<std::string> InlineFiles(std::string_view source, std::string_view file,
                                        const ReadReference& read) {
  return Inliner(source, file, read).Run();
}

absl::StatusOr<std::string> ReadWorkflow(const std::string& path) {
  FABRO_ASSIGN_OR_RETURN(const std::string source, config::ReadFile(path, kMaxSourceBytes));
  std::error_code error;
  fs::path folder = fs::path(path).parent_path();
  folder = fs::canonical(folder.empty() ? fs::path(".") : folder, error);
  if (error) return ErrnoError(error.value(), StrCat("reading the folder of ", path));
  const ReadReference read = [&folder](std::string_view reference) { return ReadInside(folder, reference); };
  FABRO_ASSIGN_OR_RETURN(std::string inlined, InlineFiles(source, path, read));
  if (inlined.size() > kMaxSourceBytes) {
    return InvalidArgument(Reason::kInvalidArgument, path,
                           StrCat(path, ": longer than ", kMaxSourceBytes, " bytes with the files it names"));
  }
  return inlined;
}

}  // namespace fabro::cli
