// The path patterns of google.api.http that this API uses: literal segments and variables of one segment
// each,
// "/runs/{id}/questions/{qid=*}/answer". A variable may name a nested field ("{run.id}").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace fabro::route {

struct Segment {
  bool is_variable = false;
  std::string text;  // the literal, or the variable's field path
};

class PathTemplate {
 public:
  // InvalidArgument with what is wrong: no leading slash, an empty segment, a wildcard over several segments,
  // a verb suffix, a variable that appears twice.
  static absl::StatusOr<PathTemplate> Parse(std::string_view text);

  const std::vector<Segment>& segments() const { return segments_; }  // none for "/"
  const std::string& text() const { return text_; }
  std::vector<std::string> variables() const;
  // The template with every variable as "{}": equal for templates that match the same paths.
  std::string Pattern() const;

 private:
  std::string text_;
  std::vector<Segment> segments_;
};

// Percent-decoding of one path segment or query part. False for a broken escape.
bool PercentDecode(std::string_view text, bool plus_is_space, std::string& out);

// Encodes all but unreserved characters (letters, digits, "-._~").
void AppendPercentEncoded(std::string& out, std::string_view text);

}  // namespace fabro::route
