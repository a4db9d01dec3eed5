#include "core/stages/command_text.h"

#include "core/base/strings.h"
#include "core/sandbox/output_tail.h"

namespace fabro::stages {
namespace {

// Of each stream; the events hold more.
constexpr std::size_t kReasonBytes = 16 * 1024;
constexpr std::size_t kTitleCharacters = 80;

}  // namespace

std::string TitleOf(std::string_view script) {
  for (const std::string_view line : Split(script, '\n')) {
    const std::string_view text = Trim(line);
    if (!text.empty()) return std::string(TruncateUtf8(text, kTitleCharacters));
  }
  return "";
}

std::string KeepEnds(std::string_view text, std::size_t limit) {
  sandbox::OutputTail tail(limit);
  tail.Append(text);
  return tail.Text();
}

std::string StreamsText(std::string_view out, std::string_view err) {
  return StrCat("\n\n## stdout\n", KeepEnds(out, kReasonBytes), "\n\n## stderr\n",
                KeepEnds(err, kReasonBytes));
}

std::string FaultOf(const sandbox::CommandResult& result, std::chrono::milliseconds timeout,
                    std::string_view setting) {
  switch (result.end) {
    case sandbox::CommandResult::End::kCancelled:
      return "was stopped";
    case sandbox::CommandResult::End::kTimedOut:
      return StrCat("was stopped after its time limit of ", timeout.count(), " ms (", setting, ")");
    case sandbox::CommandResult::End::kExited:
      break;
  }
  return result.exit_code == 0 ? std::string() : StrCat("failed with exit code ", result.exit_code);
}

}  // namespace fabro::stages
