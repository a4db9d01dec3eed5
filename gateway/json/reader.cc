#include "gateway/json/reader.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"

namespace fabro::json {

// Reads one document. An explicit stack of open arrays and objects takes the place of recursion.
class Reader {
 public:
  explicit Reader(Document& document) : document_(document), text_(document.text_) {}

  absl::Status Run();

 private:
  using Entry = Document::Entry;
  enum class Expect : std::uint8_t { kValue, kKey, kMore };

  absl::Status Fault(std::string_view what) const { return FaultAt(at_, what); }
  absl::Status FaultAt(std::size_t at, std::string_view what) const;

  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }  // a NUL in the text is a fault anyway
  bool AtEnd() const { return at_ >= text_.size(); }
  void SkipBlank();
  bool Take(char c);

  absl::StatusOr<Expect> ReadValue();
  absl::StatusOr<Expect> ReadKey();
  absl::StatusOr<Expect> ReadMore();
  absl::StatusOr<Expect> Open(Type type);
  absl::Status Close();
  absl::Status ReadWord(std::string_view word, Type type);
  absl::Status ReadNumber();
  bool TakeDigits();
  absl::Status ReadString(bool is_key);
  absl::Status ReadEscapedString(std::size_t begin, Entry& entry);
  absl::Status ReadEscape();
  absl::StatusOr<std::uint32_t> ReadHex();
  absl::Status CheckKeys(std::uint32_t object) const;
  absl::Status Add(Entry entry);

  Document& document_;
  const std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::uint32_t> open_;  // indexes of the arrays and objects around the current place
};

absl::Status Reader::FaultAt(std::size_t at, std::string_view what) const {
  const std::string_view before = text_.substr(0, std::min(at, text_.size()));
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t column = CountUtf8(before.substr(line_start)) + 1;
  return InvalidArgument(Reason::kInvalidArgument, "",
                         StrCat("The JSON is not valid: ", what, " (line ", line, ", column ", column, ")."));
}

void Reader::SkipBlank() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return;
    ++at_;
  }
}

bool Reader::Take(char c) {
  if (Peek() != c || AtEnd()) return false;
  ++at_;
  return true;
}

absl::Status Reader::Run() {
  if (text_.size() > Document::kMaxBytes) return FaultAt(0, "the text is too long");
  if (!IsValidUtf8(text_)) {
    const std::string repaired = ToValidUtf8(text_);
    const auto bad = std::mismatch(text_.begin(), text_.end(), repaired.begin(), repaired.end()).first;
    return FaultAt(static_cast<std::size_t>(bad - text_.begin()), "a byte is not UTF-8");
  }
  Expect expect = Expect::kValue;
  do {
    SkipBlank();
    absl::StatusOr<Expect> next = expect == Expect::kValue ? ReadValue()
                                  : expect == Expect::kKey ? ReadKey()
                                                           : ReadMore();
    FABRO_ASSIGN_OR_RETURN(expect, std::move(next));
  } while (expect != Expect::kMore || !open_.empty());
  SkipBlank();
  if (!AtEnd()) return Fault("something follows the value");
  return absl::OkStatus();
}

absl::StatusOr<Reader::Expect> Reader::ReadValue() {
  switch (Peek()) {
    case '{':
      return Open(Type::kObject);
    case '[':
      return Open(Type::kArray);
    case '"':
      FABRO_RETURN_IF_ERROR(ReadString(false));
      return Expect::kMore;
    case 't':
      FABRO_RETURN_IF_ERROR(ReadWord("true", Type::kTrue));
      return Expect::kMore;
    case 'f':
      FABRO_RETURN_IF_ERROR(ReadWord("false", Type::kFalse));
      return Expect::kMore;
    case 'n':
      FABRO_RETURN_IF_ERROR(ReadWord("null", Type::kNull));
      return Expect::kMore;
    default:
      FABRO_RETURN_IF_ERROR(ReadNumber());
      return Expect::kMore;
  }
}

absl::StatusOr<Reader::Expect> Reader::Open(Type type) {
  if (open_.size() == Document::kMaxDepth) {
    return Fault(StrCat("it is nested more than ", Document::kMaxDepth, " levels deep"));
  }
  ++at_;
  const auto index = static_cast<std::uint32_t>(document_.entries_.size());
  FABRO_RETURN_IF_ERROR(Add({.type = type}));
  open_.push_back(index);
  SkipBlank();
  if (Take(type == Type::kObject ? '}' : ']')) {
    FABRO_RETURN_IF_ERROR(Close());
    return Expect::kMore;
  }
  return type == Type::kObject ? Expect::kKey : Expect::kValue;
}

absl::Status Reader::Close() {
  Entry& entry = document_.entries_[open_.back()];
  entry.next = static_cast<std::uint32_t>(document_.entries_.size());
  if (entry.type == Type::kObject) FABRO_RETURN_IF_ERROR(CheckKeys(open_.back()));
  open_.pop_back();
  if (!open_.empty()) ++document_.entries_[open_.back()].size;
  return absl::OkStatus();
}

absl::StatusOr<Reader::Expect> Reader::ReadKey() {
  if (Peek() != '"') return Fault("a key in quotes is expected");
  FABRO_RETURN_IF_ERROR(ReadString(true));
  SkipBlank();
  if (!Take(':')) return Fault("a colon is expected");
  return Expect::kValue;
}

absl::StatusOr<Reader::Expect> Reader::ReadMore() {
  const bool in_object = document_.entries_[open_.back()].type == Type::kObject;
  if (Take(',')) return in_object ? Expect::kKey : Expect::kValue;
  if (!Take(in_object ? '}' : ']')) {
    return Fault(in_object ? "a comma or a closing brace is expected"
                           : "a comma or a closing bracket is expected");
  }
  FABRO_RETURN_IF_ERROR(Close());
  return Expect::kMore;
}

absl::Status Reader::ReadWord(std::string_view word, Type type) {
  if (!text_.substr(at_).starts_with(word)) return Fault("a value is expected");
  at_ += word.size();
  return Add({.type = type});
}

bool Reader::TakeDigits() {
  const std::size_t begin = at_;
  while (Peek() >= '0' && Peek() <= '9') ++at_;
  return at_ > begin;
}

absl::Status Reader::ReadNumber() {
  const std::size_t begin = at_;
  const bool negative = Take('-');
  const bool starts_with_zero = Peek() == '0';
  const std::size_t digits = at_;
  if (!TakeDigits())
    return Fault(negative ? "a digit is expected" : AtEnd() ? "it ends too early" : "a value is expected");
  if (starts_with_zero && at_ - digits > 1) return FaultAt(digits, "a number must not begin with 0");
  if (Take('.') && !TakeDigits()) return Fault("a digit is expected");
  if (Take('e') || Take('E')) {
    if (!Take('+')) Take('-');
    if (!TakeDigits()) return Fault("a digit is expected");
  }
  return Add({.at = static_cast<std::uint32_t>(begin),
              .size = static_cast<std::uint32_t>(at_ - begin),
              .type = Type::kNumber});
}

absl::Status Reader::ReadString(bool is_key) {
  const std::size_t begin = ++at_;
  Entry entry{.type = Type::kString, .is_key = is_key};
  while (!AtEnd() && text_[at_] != '"' && text_[at_] != '\\' &&
         static_cast<unsigned char>(text_[at_]) >= 0x20)
    ++at_;
  if (Peek() == '"') {
    entry.at = static_cast<std::uint32_t>(begin);
    entry.size = static_cast<std::uint32_t>(at_ - begin);
  } else {
    FABRO_RETURN_IF_ERROR(ReadEscapedString(begin, entry));
  }
  ++at_;
  return Add(entry);
}

absl::Status Reader::ReadEscapedString(std::size_t begin, Entry& entry) {
  std::string& out = document_.unescaped_;
  entry.is_unescaped = true;
  entry.at = static_cast<std::uint32_t>(out.size());
  out += text_.substr(begin, at_ - begin);
  while (Peek() != '"' || AtEnd()) {
    if (AtEnd()) return Fault("a string does not end");
    const auto byte = static_cast<unsigned char>(text_[at_]);
    if (byte < 0x20) return Fault("a control character in a string must be escaped");
    if (byte == '\\') {
      FABRO_RETURN_IF_ERROR(ReadEscape());
    } else {
      out += text_[at_++];
    }
  }
  entry.size = static_cast<std::uint32_t>(out.size() - entry.at);
  return absl::OkStatus();
}

absl::Status Reader::ReadEscape() {
  std::string& out = document_.unescaped_;
  const std::size_t begin = at_++;
  const char c = Peek();
  ++at_;
  switch (c) {
    case '"':
    case '\\':
    case '/':
      out += c;
      return absl::OkStatus();
    case 'b':
      out += '\b';
      return absl::OkStatus();
    case 'f':
      out += '\f';
      return absl::OkStatus();
    case 'n':
      out += '\n';
      return absl::OkStatus();
    case 'r':
      out += '\r';
      return absl::OkStatus();
    case 't':
      out += '\t';
      return absl::OkStatus();
    case 'u':
      break;
    default:
      return FaultAt(begin, "an unknown escape");
  }
  FABRO_ASSIGN_OR_RETURN(std::uint32_t code, ReadHex());
  const bool is_low = code >= 0xDC00 && code <= 0xDFFF;
  if (code >= 0xD800 && code <= 0xDBFF && Peek() == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] == 'u') {
    at_ += 2;
    FABRO_ASSIGN_OR_RETURN(const std::uint32_t low, ReadHex());
    if (low < 0xDC00 || low > 0xDFFF) return FaultAt(begin, "half of a surrogate pair");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  } else if (is_low || (code >= 0xD800 && code <= 0xDBFF)) {
    return FaultAt(begin, "half of a surrogate pair");
  }
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::uint32_t> Reader::ReadHex() {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    const char c = Peek();
    std::uint32_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) {
      digit = static_cast<std::uint32_t>((c | 0x20) - 'a') + 10;
    } else {
      return Fault("four hexadecimal digits are expected");
    }
    value = value << 4 | digit;
  }
  return value;
}

absl::Status Reader::CheckKeys(std::uint32_t object) const {
  // Sorted rather than hashed: no choice of keys makes this slow.
  std::vector<std::pair<std::string_view, std::uint32_t>> keys;
  const std::vector<Entry>& entries = document_.entries_;
  keys.reserve(entries[object].size);
  for (std::uint32_t i = object + 1; i < entries[object].next; i = entries[i + 1].next) {
    keys.emplace_back(document_.TextOf(entries[i]), i);
  }
  std::sort(keys.begin(), keys.end());
  const auto same = std::adjacent_find(keys.begin(), keys.end(),
                                       [](const auto& a, const auto& b) { return a.first == b.first; });
  if (same == keys.end()) return absl::OkStatus();
  const Entry& second = entries[std::next(same)->second];
  return FaultAt(second.is_unescaped ? at_ : second.at - 1,
                 StrCat("the key ", JsonString(TruncateUtf8(same->first, 100)), " appears twice"));
}

absl::Status Reader::Add(Entry entry) {
  if (document_.entries_.size() == Document::kMaxValues) return Fault("it holds too many values");
  const auto index = static_cast<std::uint32_t>(document_.entries_.size());
  entry.next = index + 1;
  const bool is_child = !entry.is_key && !open_.empty();
  const bool is_container = entry.type == Type::kArray || entry.type == Type::kObject;
  if (is_child && !is_container)
    ++document_.entries_[open_.back()].size;  // a container counts when it closes
  document_.entries_.push_back(entry);
  return absl::OkStatus();
}

absl::StatusOr<Document> Document::Parse(std::string_view text) {
  Document document;
  document.text_ = text;
  document.entries_.reserve(std::min<std::size_t>(text.size() / 8 + 2, 256));
  FABRO_RETURN_IF_ERROR(Reader(document).Run());
  return document;
}

std::string_view Document::TextOf(const Entry& entry) const {
  return (entry.is_unescaped ? std::string_view(unescaped_) : text_).substr(entry.at, entry.size);
}

Type Node::type() const { return document_->entries_[index_].type; }

std::string_view Node::text() const {
  const Document::Entry& entry = document_->entries_[index_];
  const bool has_text = entry.type == Type::kString || entry.type == Type::kNumber;
  return has_text ? document_->TextOf(entry) : std::string_view();
}

std::size_t Node::size() const {
  const Document::Entry& entry = document_->entries_[index_];
  return entry.type == Type::kArray || entry.type == Type::kObject ? entry.size : 0;
}

std::optional<Node> Node::At(std::uint32_t index, std::uint32_t limit) const {
  if (index >= limit) return std::nullopt;
  return Node(document_, document_->entries_[index].is_key ? index + 1 : index, limit);
}

std::optional<Node> Node::First() const { return At(index_ + 1, document_->entries_[index_].next); }

std::optional<Node> Node::Next() const { return At(document_->entries_[index_].next, limit_); }

std::string_view Node::key() const {
  if (index_ == 0 || !document_->entries_[index_ - 1].is_key) return {};
  return document_->TextOf(document_->entries_[index_ - 1]);
}

std::optional<Node> Node::Find(std::string_view key) const {
  if (type() != Type::kObject) return std::nullopt;
  for (std::optional<Node> child = First(); child; child = child->Next()) {
    if (child->key() == key) return child;
  }
  return std::nullopt;
}

}  // namespace fabro::json
