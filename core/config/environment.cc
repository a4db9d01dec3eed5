#include "core/config/environment.h"

#include <cctype>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/config/read_file.h"

extern char** environ;  // NOLINT: POSIX's own declaration

namespace fabro::config {
namespace {

constexpr std::size_t kMaxEnvFileBytes = 256 << 10;

bool IsName(std::string_view name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0]))) return false;
  for (const char c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_') return false;
  }
  return true;
}

// What stands after a closing quote may only be blanks or a comment.
bool IsBlankOrComment(std::string_view rest) {
  rest = Trim(rest);
  return rest.empty() || rest[0] == '#';
}

std::optional<std::string> ParseSingleQuoted(std::string_view text) {
  const std::size_t end = text.find('\'', 1);
  if (end == std::string_view::npos || !IsBlankOrComment(text.substr(end + 1))) return std::nullopt;
  return std::string(text.substr(1, end - 1));
}

std::optional<std::string> ParseDoubleQuoted(std::string_view text) {
  std::string out;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      if (!IsBlankOrComment(text.substr(i + 1))) return std::nullopt;
      return out;
    }
    if (text[i] == '\\' && i + 1 < text.size()) {
      const char c = text[++i];
      if (c == 'n') {
        out += '\n';
      } else if (c == 't') {
        out += '\t';
      } else if (c == '"' || c == '\\' || c == '$') {
        out += c;
      } else {
        out += '\\';
        out += c;
      }
      continue;
    }
    out += text[i];
  }
  return std::nullopt;
}

std::optional<std::string> ParseValue(std::string_view text) {
  text = Trim(text);
  if (text.starts_with('\'')) return ParseSingleQuoted(text);
  if (text.starts_with('"')) return ParseDoubleQuoted(text);
  const std::size_t comment = text.find(" #");
  return std::string(Trim(text.substr(0, comment)));
}

}  // namespace

Environment Environment::FromProcess() {
  Environment environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view pair(*entry);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    environment.Set(std::string(pair.substr(0, equals)), std::string(pair.substr(equals + 1)));
  }
  return environment;
}

std::optional<std::string> Environment::Find(std::string_view name) const {
  const auto it = values_.find(name);
  if (it == values_.end()) return std::nullopt;
  return it->second;
}

std::optional<std::string> Environment::FindNonEmpty(std::string_view name) const {
  std::optional<std::string> value = Find(name);
  if (value && value->empty()) value.reset();
  return value;
}

void Environment::Set(std::string name, std::string value) { values_[std::move(name)] = std::move(value); }

void Environment::AddText(std::string_view text, std::string_view file, std::vector<std::string>* problems) {
  int number = 0;
  for (std::string_view line : Split(text, '\n')) {
    ++number;
    line = Trim(line);
    if (line.empty() || line[0] == '#') continue;
    if (line.starts_with("export ")) line = Trim(line.substr(7));
    const std::size_t equals = line.find('=');
    const std::string_view name = Trim(line.substr(0, equals));
    if (equals == std::string_view::npos || !IsName(name)) {
      problems->push_back(StrCat(file, ":", number, ": not of the form NAME=value; the line is skipped"));
      continue;
    }
    std::optional<std::string> value = ParseValue(line.substr(equals + 1));
    if (!value || value->find('\0') != std::string::npos) {
      problems->push_back(
          StrCat(file, ":", number, ": ", name, ": the quotes do not match; the line is skipped"));
      continue;
    }
    values_.emplace(std::string(name), *std::move(value));
  }
}

void Environment::AddFile(const std::string& dir, std::vector<std::string>* problems) {
  const std::string path = StrCat(dir.empty() ? "." : dir, "/.env");
  auto text = ReadFile(path, kMaxEnvFileBytes);
  if (text.ok()) {
    AddText(*text, path, problems);
  } else if (text.status().code() != absl::StatusCode::kNotFound) {
    problems->push_back(MessageOf(text.status()));
  }
}

}  // namespace fabro::config
