#include "core/base/ids.h"

#include "core/base/mutex.h"

namespace fabro {
namespace {

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

// Value of a Crockford base32 digit, -1 for any other character.
int DigitValue(char c) {
  if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  const std::size_t at = kAlphabet.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

std::array<std::uint8_t, RunId::kBytes> Pack(std::uint64_t ms, std::uint16_t high, std::uint64_t low) {
  std::array<std::uint8_t, RunId::kBytes> bytes;
  for (int i = 5; i >= 0; --i, ms >>= 8) bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(ms);
  bytes[6] = static_cast<std::uint8_t>(high >> 8);
  bytes[7] = static_cast<std::uint8_t>(high);
  for (int i = 15; i >= 8; --i, low >>= 8)
    bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(low);
  return bytes;
}

struct LastId {
  Mutex mutex;
  std::uint64_t ms GUARDED_BY(mutex) = 0;
  std::uint16_t high GUARDED_BY(mutex) = 0;
  std::uint64_t low GUARDED_BY(mutex) = 0;
};

}  // namespace

std::optional<RunId> RunId::Parse(std::string_view text) {
  // 26 digits carry 130 bits: the first may only hold the three lowest.
  if (text.size() != kTextSize || text[0] > '7') return std::nullopt;
  RunId id;
  unsigned buffer = 0;
  int bits = -2;  // the two surplus bits of the first digit
  std::size_t at = 0;
  for (const char c : text) {
    const int value = DigitValue(c);
    if (value < 0) return std::nullopt;
    buffer = (buffer << 5) | static_cast<unsigned>(value);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      id.bytes_[at++] = static_cast<std::uint8_t>(buffer >> bits);
    }
  }
  return id;
}

RunId RunId::FromBytes(const std::array<std::uint8_t, kBytes>& bytes) {
  RunId id;
  id.bytes_ = bytes;
  return id;
}

std::string RunId::ToString() const {
  std::string text;
  text.reserve(kTextSize);
  unsigned buffer = 0;
  int bits = 2;  // two zero bits make 130
  for (const std::uint8_t byte : bytes_) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += kAlphabet[(buffer >> bits) & 31];
    }
  }
  return text;
}

Timestamp RunId::created_at() const {
  std::int64_t ms = 0;
  for (std::size_t i = 0; i < 6; ++i) ms = (ms << 8) | bytes_[i];
  return {ms};
}

RunId RunIdSource::Next(Timestamp now) {
  static LastId last;  // one order for the whole process, whatever the number of sources
  const auto ms = static_cast<std::uint64_t>(now.unix_ms);
  MutexLock lock(&last.mutex);
  if (ms > last.ms) {
    last.ms = ms;
    last.high = static_cast<std::uint16_t>(random_.Next());
    last.low = random_.Next();
  } else if (++last.low == 0 && ++last.high == 0) {
    ++last.ms;  // 80 bits used up within a millisecond: borrow the next one
  }
  return RunId::FromBytes(Pack(last.ms, last.high, last.low));
}

}  // namespace fabro
