#include <utility>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/workflow/lexer.h"
#include "core/workflow/load.h"
#include "core/workflow/variables.h"

namespace fabro::workflow {
namespace {

// A string literal that reads as this text, after variables are replaced too.
std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '$') out += '$';
    out += c;
  }
  return out + '"';
}

bool IsFileReference(const Token& token) {
  return token.kind == Token::Kind::kString && token.text.size() > 1 && token.text[0] == '@' &&
         token.text.find('\n') == std::string::npos;
}

}  // namespace

// Works on tokens: a source may be no graph yet, as variables stand for anything.
absl::StatusOr<std::string> InlineFiles(std::string_view source, const Variables& variables,
                                        const FileReader& files) {
  std::string out;
  std::size_t copied_to = 0;
  Lexer lexer(source);
  enum class Seen { kNothing, kName, kEquals } seen = Seen::kNothing;
  while (true) {
    const Token token = lexer.Read();
    if (token.kind == Token::Kind::kEnd) break;
    if (token.kind == Token::Kind::kBad) {
      const std::string_view rest = source.substr(token.begin);
      if (rest.starts_with('"') || rest.starts_with("/*")) break;  // a string or comment that does not end
      lexer.Skip();
    }
    if (seen == Seen::kEquals && IsFileReference(token)) {
      const std::string path = SourceText(std::string_view(token.text).substr(1), variables).text();
      absl::StatusOr<std::string> content = files.Read(path);
      if (!content.ok()) return Annotate(content.status(), StrCat("reading ", path));
      out += source.substr(copied_to, token.begin - copied_to);
      out += Quote(*content);
      copied_to = token.end;
    }
    if (token.IsWord("prompt") || token.IsWord("goal")) {
      seen = Seen::kName;
    } else {
      seen = seen == Seen::kName && token.Is('=') ? Seen::kEquals : Seen::kNothing;
    }
  }
  out += source.substr(copied_to);
  return out;
}

}  // namespace fabro::workflow
