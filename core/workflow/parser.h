// Tokens to a Document, by the grammar of the language.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/workflow/document.h"

namespace fabro::workflow {

// What the copies that defaults and chains make may add up to, so that no small source becomes a large graph.
inline constexpr std::size_t kMaxAttributeBytes = 16 << 20;

struct SyntaxError {
  std::string message;
  std::size_t offset = 0;
};

struct ParseResult {
  Document document;                 // meaningful without an error only
  std::optional<SyntaxError> error;  // the first one
};

// Valid UTF-8 without NUL and at most kMaxSourceBytes are the caller's to check. Keeps its own stack of at
// most kMaxNesting scopes.
ParseResult ParseDocument(std::string_view text);

// "Loop A" -> "loop-a".
std::string ClassOfLabel(std::string_view label);

}  // namespace fabro::workflow
