// Takes secrets out of text before it is stored, shown or logged.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace re2 {
class RE2;
}

namespace fabro::events {

// Immutable and thread-safe. Replaces by REDACTED: API keys of the usual makers, bearer tokens, JSON web
// tokens, AWS keys and private key blocks by their known shapes, and the exact values, of 8 characters or
// more, of environment variables whose name says that they are secret. Randomness alone is no reason.
class Redactor {
 public:
  explicit Redactor(const std::map<std::string, std::string, std::less<>>& environment);
  ~Redactor();

  std::string Redact(std::string_view text) const;

 private:
  std::string RedactValues(std::string_view text) const;

  const std::unique_ptr<const re2::RE2> shapes_;
  std::vector<std::string> values_;  // longest first, so that one inside another does not leave a rest
};

// Redacts a text that arrives in pieces cut anywhere. Whole lines pass; a line that is not finished is held
// back, up to kHeldLine bytes, and a private key block until its end, of which at most kHeldBlock is kept.
class StreamRedactor {
 public:
  static constexpr std::size_t kHeldLine = 4096;
  static constexpr std::size_t kHeldBlock = 64 * 1024;

  explicit StreamRedactor(const Redactor& redactor) : redactor_(redactor) {}

  std::string Push(std::string_view text);  // what may be shown now
  std::string Finish();                     // the rest

 private:
  const Redactor& redactor_;
  std::string held_;
  bool swallowing_ = false;  // inside an overlong block whose REDACTED has been shown
};

}  // namespace fabro::events
