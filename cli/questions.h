// Putting a question to a person and understanding the answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/api.h"
#include "cli/text.h"

namespace fabro::cli {

// The context, the options and how to answer; not the question's own text, which its event has told.
std::vector<Line> ShowOptions(const Question& question, const Style& style);

// Turns what was typed into an answer: keys and labels in any case (several, separated by commas, where
// several may be chosen), else free text where the question takes it. InvalidArgument says what would be
// right. An empty text is no answer, so that a stray Enter decides nothing.
absl::StatusOr<Answer> ParseAnswer(const Question& question, std::string_view text);

// Answers given beforehand: --answer KEY for the next question that has none of its own, --answer
// QUESTION=KEY for a question's or stage's id, every time it asks.
class PreparedAnswers {
 public:
  explicit PreparedAnswers(const std::vector<std::string>& arguments);
  // Takes the answer for this question, if there is one.
  std::optional<std::string> Take(const Question& question);

 private:
  struct Prepared {
    std::string question;  // empty: for any
    std::string text;
    bool used = false;
  };
  std::vector<Prepared> answers_;
};

}  // namespace fabro::cli
