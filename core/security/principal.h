// Who asks, as one text that the audit, roles and `created_by` use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fabro::security {

inline constexpr std::size_t kMaxPrincipalBytes = 256;  // of the text

// A user whom a token names and the holder of a certificate may bear the same name and be two people: as text
// a certificate's is `cn:alice`, a user's plain `alice`. A user's name that looks like another kind's text is
// written `user:cn:alice`, so every text has one meaning.
struct Principal {
  enum class Kind : std::uint8_t { kUser, kCertificate };

  Kind kind = Kind::kUser;
  std::string name;

  std::string ToString() const;
  static Principal Parse(std::string_view text);
  bool operator==(const Principal&) const = default;
};

// The text as `x-fabro-principal` carries it from a gateway to its core: bytes other than printable ASCII,
// and
// '%', are percent-encoded.
std::string EncodePrincipal(std::string_view text);
// The inverse. Nothing for what no gateway sends: empty, too long, a broken escape, bad UTF-8.
std::optional<std::string> DecodePrincipal(std::string_view header);

}  // namespace fabro::security
