#include "cli/screen.h"

#include <utility>

namespace fabro::cli {
namespace {

constexpr std::string_view kEraseLine = "\r\x1b[2K";
constexpr std::string_view kUp = "\x1b[1A";

}  // namespace

std::string Screen::Update(const std::vector<Line>& finished, const std::vector<Line>& live,
                           const Line& prompt) {
  std::string out;
  if (!in_place_) {
    for (const Line& line : finished) out.append(Paint(line, style_)).append("\n");
    return out;
  }
  std::vector<std::string> wanted;
  // One column less than there are: a full last column makes some terminals wrap.
  for (const Line& line : live)
    wanted.push_back(Paint(FitLine(line, style_.width - 1, style_.unicode), style_));
  if (!prompt.empty()) wanted.push_back(Paint(prompt, style_));
  if (finished.empty() && wanted == shown_ && prompt_open_ == !prompt.empty()) return out;

  // The cursor stands behind the last line in motion when that is a prompt, else on the empty line below.
  if (prompt_open_) {
    out += kEraseLine;
    for (std::size_t i = 1; i < shown_.size(); ++i) out.append(kUp).append(kEraseLine);
  } else {
    for (std::size_t i = 0; i < shown_.size(); ++i) out.append(kUp).append(kEraseLine);
  }
  for (const Line& line : finished) out.append(Paint(line, style_)).append("\n");
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    out += wanted[i];
    if (prompt.empty() || i + 1 < wanted.size()) out += '\n';
  }
  shown_ = std::move(wanted);
  prompt_open_ = !prompt.empty();
  return out;
}

void Screen::PromptTaken() {
  shown_.clear();
  prompt_open_ = false;
}

}  // namespace fabro::cli
