// Cuts a source into tokens. Reads each byte once, keeps no stack, and takes any bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fabro::workflow {

struct Token {
  enum class Kind : std::uint8_t {
    kIdentifier,
    kString,  // text is decoded
    kValue,   // a number, duration, true, false or bare word; from ReadValue only
    kArrow,
    kPunctuation,  // one of { } [ ] = ; , . :
    kEnd,
    kBad,  // text is the message
  };
  Kind kind = Kind::kEnd;
  std::string text;
  std::size_t begin = 0;
  std::size_t end = 0;

  bool Is(char punctuation) const { return kind == Kind::kPunctuation && text[0] == punctuation; }
  bool IsWord(std::string_view word) const { return kind == Kind::kIdentifier && text == word; }
};

class Lexer {
 public:
  // The text must outlive the lexer.
  explicit Lexer(std::string_view text);

  // The next token where structure is expected: identifiers end at anything but letters, digits and
  // underscores.
  Token Read();
  // The next token where an attribute's value is expected: bare words take dots, colons and hyphens too.
  Token ReadValue();
  // Steps over one byte, for a reader that goes on after a kBad token.
  void Skip();

 private:
  bool SkipBlanks();  // false: a comment does not end, at_ stands at its begin
  Token ReadString();
  Token ReadNumber();
  Token Make(Token::Kind kind, std::size_t size);  // the next bytes as they are
  Token Bad(std::string message) const;
  std::string_view Rest() const { return text_.substr(at_); }

  const std::string_view text_;
  const std::size_t begin_;  // after a byte order mark
  std::size_t at_;
};

}  // namespace fabro::workflow
