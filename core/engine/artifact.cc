#include "core/engine/artifact.h"

#include <algorithm>

#include "core/base/strings.h"
#include "core/engine/json_text.h"
#include "core/security/digest.h"

namespace fabro::engine {
namespace {

constexpr std::string_view kPrefix = "{\"$artifact\":\"";
constexpr std::string_view kBytes = "\",\"bytes\":";

}  // namespace

std::optional<Artifact> TakeArtifact(std::string& json) {
  if (json.size() <= kMaxContextValue) return std::nullopt;  // an escape makes a text longer, never shorter
  Artifact artifact;
  artifact.content = TextOf(json);
  if (artifact.content.size() <= kMaxContextValue) return std::nullopt;
  artifact.hash = security::Sha256Hex(artifact.content);
  json = StrCat(kPrefix, "sha256:", artifact.hash, kBytes, artifact.content.size(), "}");
  return artifact;
}

std::string ReadableText(std::string_view json) {
  if (!json.starts_with(kPrefix) || !json.ends_with('}')) return TextOf(json);
  const std::string_view inner = json.substr(kPrefix.size(), json.size() - kPrefix.size() - 1);
  const std::size_t at = inner.find(kBytes);
  if (at == std::string_view::npos) return TextOf(json);
  const std::string_view bytes = inner.substr(at + kBytes.size());
  const bool is_number =
      !bytes.empty() && std::ranges::all_of(bytes, [](char c) { return c >= '0' && c <= '9'; });
  if (!is_number) return TextOf(json);
  return StrCat("(", bytes, " bytes, kept as artifact ", inner.substr(0, at), ")");
}

}  // namespace fabro::engine
