// Text forms of values that JSON has no type for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fabro::json {

// Appends text as a JSON string literal; invalid UTF-8 becomes U+FFFD. As fabro::AppendJsonString, but eight
// bytes at a time while nothing needs care.
void AppendQuoted(std::string& out, std::string_view text);

// Appends `2026-03-30T12:00:00.123Z`.
void AppendTimestamp(std::string& out, std::int64_t seconds, std::int32_t nanos);

// `1.500s`, the fraction only when there is one.
void AppendDuration(std::string& out, std::int64_t seconds, std::int32_t nanos);
struct DurationParts {
  std::int64_t seconds = 0;
  std::int32_t nanos = 0;
};
std::optional<DurationParts> ParseDuration(std::string_view text);

void AppendNumber(std::string& out, std::int64_t value);
void AppendNumber(std::string& out, std::uint64_t value);
// The shortest text that reads back the same; null for what JSON cannot say.
void AppendNumber(std::string& out, double value);
void AppendNumber(std::string& out, float value);

void AppendBase64(std::string& out, std::string_view bytes);
std::optional<std::string> ParseBase64(std::string_view text);  // standard alphabet, padded

}  // namespace fabro::json
