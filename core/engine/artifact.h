// Values that are too large for a run's context: kept once, by hash, and named in the context instead.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/time.h"

namespace fabro::engine {

// A text, or any other value's compact JSON, of more bytes than this is an artifact.
inline constexpr std::size_t kMaxContextValue = 102'400;

struct Artifact {
  std::string hash;      // SHA-256 of the content, 64 lower-case hex digits
  std::string content;   // a text itself, anything else as compact JSON
  std::string key;       // of the context
  std::string stage_id;  // that wrote it
  Timestamp at;
};

// Of a value that is too large; `json`, compact JSON, then is {"$artifact":"sha256:...","bytes":n}. A value
// of that form that a stage wrote itself is a value like any other: it keeps nothing.
std::optional<Artifact> TakeArtifact(std::string& json);

// What people and models are told of a value: a text itself, of an artifact its name and size, else JSON.
std::string ReadableText(std::string_view json);

}  // namespace fabro::engine
