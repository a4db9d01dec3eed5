// JSON text to a flat, read-only document. Strict RFC 8259 and more: UTF-8 only, no duplicate key in an
// object, bounded depth, nothing after the value. Never recurses, so no input can exhaust the stack.
#pragma once

#include <cstdint>
#include <deque>
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
  std::string_view key() const;                          // of a child of an object
  std::optional<Node> Find(std::string_view key) const;  // a member of an object

 private:
  friend class Document;
  Node(const Document* document, std::uint32_t index) : document_(document), index_(index) {}
  const Document* document_;
  std::uint32_t index_;
};

class Document {
 public:
  static constexpr int kMaxDepth = 64;

  // InvalidArgument with what is wrong and where: "line 3, column 7: the key \"goal\" appears twice". `text`
  // must outlive the document. At most 4 GiB.
  static absl::StatusOr<Document> Parse(std::string_view text);

  Node root() const { return Node(this, 0); }

 private:
  friend class Node;
  friend class Reader;
  struct Entry {
    std::string_view text;  // of a string or number
    std::string_view key;
    std::uint32_t count = 0;   // children
    std::uint32_t end = 0;     // index after this value and all inside it
    std::uint32_t parent = 0;  // index of the enclosing value; its own for the root
    Type type = Type::kNull;
  };
  std::vector<Entry> entries_;  // in the order of the text: a value, then its children
  std::deque<std::string>
      unescaped_;  // characters of strings that had escapes; a deque, so that views stay valid
};

}  // namespace fabro::json
