#include "core/events/redactor.h"

#include <re2/re2.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/secret_names.h"
#include "core/base/strings.h"

namespace fabro::events {
namespace {

constexpr std::string_view kRedacted = "REDACTED";
constexpr std::size_t kShortestValue = 8;
constexpr std::string_view kBlockBegin = "-----BEGIN ";
constexpr std::string_view kBlockEnd = "-----END ";

// The first group, where a shape has one, is what stays.
constexpr char kShapes[] =
    R"(-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z))"
    R"(|((?i:bearer)[ \t]+)[A-Za-z0-9._~+/-]{16,}=*)"
    R"(|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})"
    R"(|\bsk-[A-Za-z0-9_-]{20,})"
    R"(|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b)"
    R"(|((?i:aws_secret_access_key)["' \t]*[=:]["' \t]*)[A-Za-z0-9/+]{40})"
    R"(|\bgh[pousr]_[A-Za-z0-9]{36,})"
    R"(|\bgithub_pat_[A-Za-z0-9_]{22,})"
    R"(|\bglpat-[A-Za-z0-9_-]{20,})"
    R"(|\bxox[abeprs]-[A-Za-z0-9-]{10,})"
    R"(|\bAIza[0-9A-Za-z_-]{35})"
    R"(|\b[rs]k_live_[0-9A-Za-z]{20,})"
    R"(|\bnpm_[A-Za-z0-9]{36})";

std::unique_ptr<const re2::RE2> CompileShapes() {
  auto shapes = std::make_unique<const re2::RE2>(kShapes, re2::RE2::Quiet);
  FABRO_CHECK(shapes->ok());
  return shapes;
}

re2::StringPiece Piece(std::string_view text) { return re2::StringPiece(text.data(), text.size()); }

// Where a private key block begins that `text` does not end; npos: nowhere.
std::size_t OpenBlock(std::string_view text) {
  const std::size_t begin = text.rfind(kBlockBegin);
  if (begin == std::string_view::npos) return begin;
  const std::string_view block = text.substr(begin);
  const std::size_t name_end = block.find('\n');
  if (block.substr(0, name_end).find("PRIVATE KEY-----") == std::string_view::npos)
    return std::string_view::npos;
  return block.find(kBlockEnd) == std::string_view::npos ? begin : std::string_view::npos;
}

}  // namespace

Redactor::Redactor(const std::map<std::string, std::string, std::less<>>& environment)
    : shapes_(CompileShapes()) {
  for (const auto& [name, value] : environment) {
    if (IsSecretName(name) && value.size() >= kShortestValue) values_.push_back(value);
  }
  std::sort(values_.begin(), values_.end(),
            [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
}

Redactor::~Redactor() = default;

std::string Redactor::RedactValues(std::string_view text) const {
  std::string out(text);
  for (const std::string& value : values_) {
    if (out.find(value) != std::string::npos) out = ReplaceAll(out, value, kRedacted);
  }
  return out;
}

std::string Redactor::Redact(std::string_view text) const {
  const std::string plain = RedactValues(text);
  const re2::StringPiece all = Piece(plain);
  std::string out;
  std::size_t done = 0;
  re2::StringPiece groups[3];  // the whole match and what of it stays
  while (shapes_->Match(all, done, all.size(), re2::RE2::UNANCHORED, groups, 3)) {
    const auto at = static_cast<std::size_t>(groups[0].data() - plain.data());
    out.append(plain, done, at - done);
    for (const re2::StringPiece& kept : {groups[1], groups[2]}) out.append(kept.data(), kept.size());
    out += kRedacted;
    done = at + groups[0].size();
  }
  out.append(plain, done, std::string::npos);
  return out;
}

std::string StreamRedactor::Push(std::string_view text) {
  held_ += text;
  if (swallowing_) {
    const std::size_t end = held_.find(kBlockEnd);
    const std::size_t line = end == std::string::npos ? held_.rfind('\n') : held_.find('\n', end);
    if (end != std::string::npos && line != std::string::npos) {
      swallowing_ = false;
      held_.erase(0, line);
    } else if (end == std::string::npos) {
      held_.erase(0, line == std::string::npos ? 0 : line + 1);
    }
    if (swallowing_) return "";
  }
  std::size_t cut = held_.rfind('\n');
  cut = cut == std::string::npos ? 0 : cut + 1;
  if (held_.size() - cut > kHeldLine) {
    // A line without end: words pass, for no secret but a key block holds a blank.
    const std::size_t blank = held_.find_last_of(" \t");
    cut = blank == std::string::npos || blank < cut ? held_.size() : blank + 1;
  }
  const std::size_t block = OpenBlock(std::string_view(held_).substr(0, cut));
  if (block < cut) {
    swallowing_ = held_.size() - block > kHeldBlock;
    if (!swallowing_) cut = block;
  }
  if (cut == 0) return "";
  const std::string shown = redactor_.Redact(std::string_view(held_).substr(0, cut));
  held_.erase(0, cut);
  return shown;
}

std::string StreamRedactor::Finish() {
  const std::string shown = swallowing_ ? "" : redactor_.Redact(held_);
  held_.clear();
  return shown;
}

}  // namespace fabro::events
