#include "gateway/http/chunks.h"

#include <algorithm>

namespace fabro::http {
namespace {

constexpr std::size_t kMaxSizeDigits = 15;  // fits 64 bits with room to spare

const Fault kMalformed{400, "The chunked body is malformed."};

std::optional<unsigned> HexValue(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

bool IsText(std::string_view line) {
  return std::ranges::all_of(line, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

}  // namespace

ChunkReader::Progress ChunkReader::Feed(std::string_view input, std::string& body) {
  Progress progress;
  while (state_ != State::kDone && !progress.fault) {
    const std::string_view rest = input.substr(progress.consumed);
    if (state_ == State::kData) {
      const std::size_t size = std::min(left_, rest.size());
      body += rest.substr(0, size);
      progress.consumed += size;
      left_ -= size;
      if (left_ > 0) break;
      state_ = State::kDataEnd;
      continue;
    }
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) {
      if (rest.size() > kMaxLineBytes || (state_ == State::kDataEnd && rest.size() > 1))
        progress.fault = kMalformed;
      break;
    }
    if (end == 0 || rest[end - 1] != '\r' || end > kMaxLineBytes) {
      progress.fault = kMalformed;
      break;
    }
    const std::string_view line = rest.substr(0, end - 1);
    progress.consumed += end + 1;
    if (state_ == State::kSize) {
      progress.fault = TakeSize(line, body.size());
    } else if (state_ == State::kTrailer) {
      progress.fault = TakeTrailer(line);
    } else if (line.empty()) {
      state_ = State::kSize;
    } else {
      progress.fault = kMalformed;
    }
  }
  return progress;
}

std::optional<Fault> ChunkReader::TakeSize(std::string_view line, std::size_t body_bytes) {
  std::size_t size = 0;
  std::size_t digits = 0;
  while (digits < line.size() && digits <= kMaxSizeDigits) {
    const auto value = HexValue(line[digits]);
    if (!value) break;
    size = size * 16 + *value;
    ++digits;
  }
  const std::string_view extensions = line.substr(digits);
  const bool ends_well =
      extensions.empty() || extensions[0] == ';' || extensions[0] == ' ' || extensions[0] == '\t';
  if (digits == 0 || digits > kMaxSizeDigits || !ends_well || !IsText(extensions)) return kMalformed;
  if (size > max_body_bytes_ - std::min(max_body_bytes_, body_bytes))
    return Fault{413, "The body is larger than this server takes (limits.max_body_bytes)."};
  left_ = size;
  state_ = size > 0 ? State::kData : State::kTrailer;
  return std::nullopt;
}

std::optional<Fault> ChunkReader::TakeTrailer(std::string_view line) {
  if (line.empty()) {
    state_ = State::kDone;
    return std::nullopt;
  }
  trailer_bytes_ += line.size();
  const bool is_field = line.find(':') != std::string_view::npos && line.front() > ' ';
  if (!is_field || !IsText(line) || trailer_bytes_ > kMaxTrailerBytes) return kMalformed;
  return std::nullopt;
}

}  // namespace fabro::http
