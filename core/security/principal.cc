#include "core/security/principal.h"

#include "core/base/strings.h"

namespace fabro::security {
namespace {

constexpr std::string_view kUser = "user:";
constexpr std::string_view kCertificate = "cn:";

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string Principal::ToString() const {
  if (kind == Kind::kCertificate) return StrCat(kCertificate, name);
  const bool looks_otherwise = name.starts_with(kUser) || name.starts_with(kCertificate);
  return looks_otherwise ? StrCat(kUser, name) : name;
}

Principal Principal::Parse(std::string_view text) {
  Principal principal;
  if (text.starts_with(kCertificate)) {
    principal.kind = Kind::kCertificate;
    text.remove_prefix(kCertificate.size());
  } else if (text.starts_with(kUser)) {
    text.remove_prefix(kUser.size());
  }
  principal.name = text;
  return principal;
}

std::string EncodePrincipal(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string header;
  header.reserve(text.size());
  for (const char c : text) {
    if (c > ' ' && c < 0x7F && c != '%') {
      header += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      header += '%';
      header += kHex[byte >> 4];
      header += kHex[byte & 15];
    }
  }
  return header;
}

std::optional<std::string> DecodePrincipal(std::string_view header) {
  std::string text;
  for (std::size_t i = 0; i < header.size(); ++i) {
    const char c = header[i];
    if (c <= ' ' || c >= 0x7F) return std::nullopt;
    if (c != '%') {
      text += c;
      continue;
    }
    const int high = i + 2 < header.size() ? HexValue(header[i + 1]) : -1;
    const int low = high >= 0 ? HexValue(header[i + 2]) : -1;
    if (low < 0) return std::nullopt;
    text += static_cast<char>(high * 16 + low);
    i += 2;
  }
  if (text.empty() || text.size() > kMaxPrincipalBytes || !IsValidUtf8(text)) return std::nullopt;
  return text;
}

}  // namespace fabro::security
