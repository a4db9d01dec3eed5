// What a server may send to the command line: any bytes. The event
// stream gives the same frames however it is cut; what is shown holds nothing that could steer a terminal.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "cli/api.h"
#include "cli/event.h"
#include "cli/progress.h"
#include "cli/sse_parser.h"
#include "cli/text.h"

namespace {

using fabro::cli::Line;

std::vector<fabro::cli::SseFrame> Frames(std::string_view text, std::size_t piece) {
  fabro::cli::SseParser parser;
  std::vector<fabro::cli::SseFrame> frames;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    if (!parser.Feed(text.substr(at, piece), &frames).ok()) break;
  }
  return frames;
}

void CheckHarmless(std::string_view text, bool line) {
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) < 0x20 && (line || c != '\n')) || c == 0x7f) std::abort();
  }
}

void Tell(std::string_view json) {
  const auto event = fabro::cli::ParseEvent(json);
  if (!event.ok()) return;
  fabro::cli::Progress progress({.unicode = true, .width = 40}, /*in_place=*/true);
  fabro::cli::RunEvent started = *event;
  started.type = "StageStarted";
  progress.Apply(started, {});
  for (const Line& line : progress.Apply(*event, {})) CheckHarmless(fabro::cli::PlainText(line), true);
  for (const Line& line : progress.Live({}, 3)) CheckHarmless(fabro::cli::PlainText(line), true);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto whole = Frames(text, size + 1);
  const auto pieces = Frames(text, 1);
  if (whole.size() != pieces.size()) std::abort();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (whole[i].data != pieces[i].data || whole[i].id != pieces[i].id) std::abort();
    Tell(whole[i].data);
  }
  Tell(text);
  CheckHarmless(fabro::cli::Clean(text), false);
  if (fabro::cli::WidthOf(fabro::cli::Fit(fabro::cli::CleanLine(text), 20, true)) > 20) std::abort();
  (void)fabro::cli::ErrorOfResponse(400, text).ok();
  return 0;
}
