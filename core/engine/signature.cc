#include "core/engine/signature.h"

#include "core/base/strings.h"

namespace fabro::engine {
namespace {

constexpr std::size_t kLongHex = 8;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::size_t HexRun(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && IsHex(text[end])) ++end;
  return end - at;
}

// Digits of a run that is too short to be a hash.
void AppendShortRun(std::string& out, std::string_view run) {
  bool in_number = false;
  for (const char c : run) {
    if (!IsDigit(c)) {
      out += Lower(c);
    } else if (!in_number) {
      out += "<n>";
    }
    in_number = IsDigit(c);
  }
}

std::string NormalizeMessage(std::string_view message) {
  std::string out;
  std::size_t i = 0;
  // Bytes, not characters, bound the work; a character has at most four.
  while (i < message.size() && out.size() < 4 * kMaxSignatureMessage) {
    const bool prefixed =
        message[i] == '0' && i + 2 < message.size() && Lower(message[i + 1]) == 'x' && IsHex(message[i + 2]);
    if (prefixed) {
      out += "<hex>";
      i += 2 + HexRun(message, i + 2);
    } else if (const std::size_t run = HexRun(message, i); run > 0) {
      if (run >= kLongHex) {
        out += "<hex>";
      } else {
        AppendShortRun(out, message.substr(i, run));
      }
      i += run;
    } else {
      out += Lower(message[i++]);
    }
  }
  return out;
}

}  // namespace

std::string FailureSignature(std::string_view node_id, FailureClass failure_class, std::string_view message) {
  const std::string normal = NormalizeMessage(message);
  return StrCat(node_id, "|", ToString(failure_class), "|", TruncateUtf8(normal, kMaxSignatureMessage));
}

bool CountsInBreaker(FailureClass failure_class) {
  return failure_class == FailureClass::kDeterministic || failure_class == FailureClass::kStructural;
}

}  // namespace fabro::engine
