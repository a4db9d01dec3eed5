#include "gateway/http/request_id.h"

#include <cstdint>

#include "core/base/random.h"

namespace fabro::http {
namespace {
constexpr std::size_t kMaxRequestIdBytes = 128;
}

std::string MakeRequestId() {
  static constexpr std::string_view kDigits = "0123456789abcdefghjkmnpqrstvwxyz";
  const std::uint64_t words[] = {SystemRandom().Next(), SystemRandom().Next()};
  std::string id(15, '0');  // 75 bits, and no allocation
  for (std::size_t i = 0; i < id.size(); ++i) id[i] = kDigits[(words[i / 12] >> (i % 12 * 5)) & 31];
  return id;
}

bool IsRequestId(std::string_view text) {
  if (text.empty() || text.size() > kMaxRequestIdBytes) return false;
  for (const char c : text) {
    if (c <= 0x20 || c >= 0x7f) return false;
  }
  return true;
}

}  // namespace fabro::http
