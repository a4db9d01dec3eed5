// Values of runs' contexts that are kept beside them, by their hash.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/time.h"

namespace fabro::storage {

// One place where a run's context named an artifact.
struct ArtifactRef {
  std::string hash;  // SHA-256 of the content, 64 lower-case hex digits
  std::uint64_t bytes = 0;
  std::string key;  // of the context
  std::string stage_id;
  Timestamp created_at;
  bool operator==(const ArtifactRef&) const = default;
};

struct ArtifactPage {
  std::vector<ArtifactRef> refs;
  bool has_more = false;
};

}  // namespace fabro::storage
