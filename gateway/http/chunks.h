// The chunked transfer coding of RFC 9112, read strictly. Beast's own reader is not used: in Boost 1.81 a
// last chunk that arrives in small pieces breaks one of its assertions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/http/head_check.h"

namespace fabro::http {

class ChunkReader {
 public:
  static constexpr std::size_t kMaxLineBytes =
      4 * 1024;  // a chunk's size with its extensions; a trailer line
  static constexpr std::size_t kMaxTrailerBytes = 8 * 1024;  // all trailer lines; nothing of ours reads them

  explicit ChunkReader(std::size_t max_body_bytes) : max_body_bytes_(max_body_bytes) {}

  struct Progress {
    std::size_t consumed = 0;
    std::optional<Fault> fault;
  };
  // Appends what the input holds to the body. What is not consumed is to be offered again with more behind
  // it; it is never more than a line.
  Progress Feed(std::string_view input, std::string& body);
  bool done() const { return state_ == State::kDone; }

 private:
  enum class State : std::uint8_t { kSize, kData, kDataEnd, kTrailer, kDone };

  std::optional<Fault> TakeSize(std::string_view line, std::size_t body_bytes);
  std::optional<Fault> TakeTrailer(std::string_view line);

  const std::size_t max_body_bytes_;
  State state_ = State::kSize;
  std::size_t left_ = 0;  // of the chunk
  std::size_t trailer_bytes_ = 0;
};

}  // namespace fabro::http
