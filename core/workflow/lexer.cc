#include "core/workflow/lexer.h"

#include <algorithm>
#include <utility>

#include "core/base/strings.h"
#include "core/workflow/characters.h"

namespace fabro::workflow {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool IsBareWordPart(char c) { return IsIdentifierPart(c) || c == '.' || c == ':' || c == '-'; }

bool IsUnit(std::string_view text) {
  return text == "ms" || text == "s" || text == "m" || text == "h" || text == "d";
}

std::size_t CountDigits(std::string_view text) {
  std::size_t count = 0;
  while (count < text.size() && IsDigit(text[count])) ++count;
  return count;
}

}  // namespace

Lexer::Lexer(std::string_view text)
    : text_(text), begin_(text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0), at_(begin_) {}

Token Lexer::Read() {
  if (!SkipBlanks()) return Bad("a comment does not end");
  if (at_ == text_.size()) return Make(Token::Kind::kEnd, 0);
  const std::string_view identifier = IdentifierAt(text_, at_);
  if (!identifier.empty()) return Make(Token::Kind::kIdentifier, identifier.size());
  const char c = text_[at_];
  if (c == '"') return ReadString();
  if (Rest().starts_with("->")) return Make(Token::Kind::kArrow, 2);
  if (Rest().starts_with("--")) return Bad("'--' is of undirected graphs; write '->'");
  if (c == '<') return Bad("HTML strings are not supported");
  constexpr std::string_view kPunctuation = "{}[]=;,.:";
  if (kPunctuation.find(c) != std::string_view::npos) return Make(Token::Kind::kPunctuation, 1);
  const std::size_t digits = CountDigits(Rest());
  return Bad(StrCat("unexpected '", digits ? Rest().substr(0, digits) : TruncateUtf8(Rest(), 1), "'"));
}

Token Lexer::ReadValue() {
  if (!SkipBlanks()) return Bad("a comment does not end");
  if (at_ == text_.size()) return Bad("expected a value but the text ends");
  const char c = text_[at_];
  if (c == '"') return ReadString();
  if (c == '<') return Bad("HTML strings are not supported");
  if (IsDigit(c) || c == '-' || c == '.') return ReadNumber();
  if (!IsIdentifierStart(c)) return Bad(StrCat("expected a value but found '", TruncateUtf8(Rest(), 1), "'"));
  std::size_t size = 1;
  while (at_ + size < text_.size() && IsBareWordPart(text_[at_ + size])) ++size;
  return Make(Token::Kind::kValue, size);
}

void Lexer::Skip() { at_ = std::min(at_ + 1, text_.size()); }

bool Lexer::SkipBlanks() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (IsBlank(c)) {
      ++at_;
      continue;
    }
    bool is_line_comment = Rest().starts_with("//");
    if (c == '#') {
      const std::size_t before = at_ == 0 ? std::string_view::npos : text_.find_last_not_of(" \t", at_ - 1);
      is_line_comment = before == std::string_view::npos || before < begin_ || text_[before] == '\n';
    }
    if (is_line_comment) {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else if (Rest().starts_with("/*")) {
      const std::size_t close = text_.find("*/", at_ + 2);
      if (close == std::string_view::npos) return false;
      at_ = close + 2;
    } else {
      break;
    }
  }
  return true;
}

Token Lexer::ReadString() {
  Token token{.kind = Token::Kind::kString, .begin = at_};
  std::size_t at = at_ + 1;
  while (true) {
    const std::size_t stop = text_.find_first_of("\"\\", at);
    if (stop == std::string_view::npos || (text_[stop] == '\\' && stop + 1 == text_.size())) {
      return Bad("a string does not end");
    }
    token.text += text_.substr(at, stop - at);
    at = stop + 1;
    if (text_[stop] == '"') break;
    const char escaped = text_[at++];
    switch (escaped) {
      case '"':
      case '\\':
        token.text += escaped;
        break;
      case 'n':
        token.text += '\n';
        break;
      case 't':
        token.text += '\t';
        break;
      case '\n':
        break;
      case '\r':
        if (text_.substr(at, 1) == "\n") {
          ++at;
          break;
        }
        [[fallthrough]];
      default:
        token.text += '\\';
        token.text += escaped;
    }
  }
  token.end = at_ = at;
  return token;
}

// An integer, a float or a duration; nothing that could be part of a longer word may follow.
Token Lexer::ReadNumber() {
  std::size_t size = text_[at_] == '-' ? 1 : 0;
  const std::size_t whole = CountDigits(text_.substr(at_ + size));
  size += whole;
  bool good = whole > 0;
  if (text_.substr(at_ + size, 1) == ".") {
    const std::size_t fraction = CountDigits(text_.substr(at_ + size + 1));
    good = fraction > 0;
    size += 1 + fraction;
  } else if (good) {
    const std::string_view unit = IdentifierAt(text_, at_ + size);
    if (IsUnit(unit)) size += unit.size();
  }
  std::size_t word = size;
  while (at_ + word < text_.size() && IsBareWordPart(text_[at_ + word])) ++word;
  if (!good || word != size) {
    return Bad(StrCat("'", TruncateUtf8(Rest().substr(0, word), 40),
                      "' is neither a number nor a duration; quote it"));
  }
  return Make(Token::Kind::kValue, size);
}

Token Lexer::Make(Token::Kind kind, std::size_t size) {
  Token token{.kind = kind, .text = std::string(text_.substr(at_, size)), .begin = at_, .end = at_ + size};
  at_ += size;
  return token;
}

Token Lexer::Bad(std::string message) const {
  return {.kind = Token::Kind::kBad, .text = std::move(message), .begin = at_, .end = at_};
}

}  // namespace fabro::workflow
