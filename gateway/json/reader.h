// JSON text to a flat, read-only document. Strict RFC 8259 and more: UTF-8 only, no duplicate key in an
// object, bounded depth, nothing after the value. Never recurses, so no input can exhaust the stack.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace fabro::json {

enum class Type : std::uint8_t { kNull, kFalse, kTrue, kNumber, kString, kArray, kObject };

class Document;

// A value inside a Document; cheap to copy, valid while the document and its text live.
class Node {
 public:
  Type type() const;
  bool is_bool() const { return type() == Type::kTrue || type() == Type::kFalse; }
  std::string_view text() const;  // a string's characters, unescaped; a number as it was written
  std::size_t size() const;       // children of an array or object

  // Walks an array or object: for (auto child = node.First(); child; child = child->Next()).
  std::optional<Node> First() const;
  std::optional<Node> Next() const;
  std::string_view key() const;  // of a child of an object
  std::optional<Node> Find(
      std::string_view key) const;  // a member of an object; looks at one after the other

 private:
  friend class Document;
  Node(const Document* document, std::uint32_t index, std::uint32_t limit)
      : document_(document), index_(index), limit_(limit) {}
  std::optional<Node> At(std::uint32_t index, std::uint32_t limit) const;

  const Document* document_;
  std::uint32_t index_;
  std::uint32_t limit_;  // index after the siblings
};

// Holds views of the text it was read from, which must outlive it.
class Document {
 public:
  static constexpr std::size_t kMaxDepth = 64;
  static constexpr std::size_t kMaxValues = 500'000;  // with keys; 16 bytes each
  static constexpr std::size_t kMaxBytes = 1u << 30;

  // InvalidArgument with what is wrong and where: `The JSON is not valid: the key "goal" appears twice (line
  // 3, column 7).`
  static absl::StatusOr<Document> Parse(std::string_view text);

  Node root() const { return Node(this, 0, 1); }

 private:
  friend class Node;
  friend class Reader;
  // A key is an entry of its own before its value.
  struct Entry {
    std::uint32_t at = 0;    // a string's or number's first character in its buffer
    std::uint32_t size = 0;  // its length; children of an array or object
    std::uint32_t next = 0;  // index after this value and all inside it
    Type type = Type::kNull;
    bool is_key = false;
    bool is_unescaped = false;  // the buffer is `unescaped_`, not the text
  };
  Document() = default;
  std::string_view TextOf(const Entry& entry) const;

  std::string_view text_;
  std::string unescaped_;       // characters of all strings that had escapes
  std::vector<Entry> entries_;  // in the order of the text: a value, then its children
};

}  // namespace fabro::json
