#include "cli/questions.h"

#include <algorithm>
#include <cctype>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"

namespace fabro::cli {
namespace {

constexpr std::size_t kContextLines = 12;

const QuestionOption* FindOption(const Question& question, std::string_view text) {
  for (const QuestionOption& option : question.options) {  // as written beats any case
    if (option.key == text || option.label == text) return &option;
  }
  for (const QuestionOption& option : question.options) {
    if (EqualsIgnoreCase(option.key, text) || EqualsIgnoreCase(option.label, text)) return &option;
  }
  return nullptr;
}

std::string KeysOf(const Question& question) {
  std::vector<std::string> keys;
  for (const QuestionOption& option : question.options) keys.push_back(CleanLine(option.key));
  return Join(keys, ", ");
}

absl::Status Unfitting(const Question& question, std::string_view text) {
  return InvalidArgument(Reason::kOptionInvalid, question.id,
                         StrCat("\"", CleanLine(text), "\" is none of the options: ", KeysOf(question)));
}

absl::StatusOr<Answer> ParseSeveral(const Question& question, std::string_view text) {
  Answer answer;
  for (const std::string_view part : Split(text, ',')) {
    const std::string_view word = Trim(part);
    if (word.empty()) continue;
    const QuestionOption* option = FindOption(question, word);
    if (option == nullptr) return Unfitting(question, word);
    if (std::find(answer.keys.begin(), answer.keys.end(), option->key) == answer.keys.end()) {
      answer.keys.push_back(option->key);
    }
  }
  if (answer.keys.empty()) return Unfitting(question, text);
  return answer;
}

// "[A] Approve" with the key A is shown as it is, others as "[A] Approve" too.
std::string ShowOption(const QuestionOption& option) {
  const std::string accelerator = StrCat("[", option.key, "]");
  if (option.label.starts_with(accelerator)) return CleanLine(option.label);
  return CleanLine(StrCat(accelerator, " ", option.label));
}

bool IsId(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
  });
}

}  // namespace

std::vector<Line> ShowOptions(const Question& question, const Style& style) {
  std::vector<Line> lines;
  const std::vector<std::string> context = CleanLines(question.context);
  const std::size_t first = context.size() > kContextLines ? context.size() - kContextLines : 0;
  if (first > 0) lines.push_back({{StrCat("    (", first, " lines before)"), Tone::kDim}});
  for (std::size_t i = first; i < context.size(); ++i) {
    lines.push_back({{StrCat(style.unicode ? "    │ " : "    | ", context[i]), Tone::kDim}});
  }
  for (const QuestionOption& option : question.options) {
    Line line = {{"    "}, {ShowOption(option), Tone::kAccent}};
    if (!question.default_choice.empty() && option.key == question.default_choice) {
      line.push_back({"  (taken if nobody answers in time)", Tone::kDim});
    }
    lines.push_back(std::move(line));
  }
  if (question.type == "multi_select") lines.push_back({{"    several may be chosen: A,B", Tone::kDim}});
  if (question.allow_freeform || question.options.empty()) {
    lines.push_back(
        {{question.options.empty() ? "    answer with a text" : "    or answer with a text", Tone::kDim}});
  }
  return lines;
}

absl::StatusOr<Answer> ParseAnswer(const Question& question, std::string_view text) {
  text = Trim(text);
  if (text.empty()) {
    return InvalidArgument(
        Reason::kOptionInvalid, question.id,
        question.options.empty() ? "an answer is needed" : StrCat("choose one of: ", KeysOf(question)));
  }
  const bool takes_text = question.allow_freeform || question.options.empty();
  if (question.type == "multi_select") {
    absl::StatusOr<Answer> several = ParseSeveral(question, text);
    if (several.ok() || !takes_text) return several;
  } else if (const QuestionOption* option = FindOption(question, text)) {
    return Answer{.key = option->key};
  }
  if (takes_text) return Answer{.text = std::string(text)};
  return Unfitting(question, text);
}

PreparedAnswers::PreparedAnswers(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    if (equals != std::string::npos && IsId(std::string_view(argument).substr(0, equals))) {
      answers_.push_back({argument.substr(0, equals), argument.substr(equals + 1)});
    } else {
      answers_.push_back({"", argument});
    }
  }
}

std::optional<std::string> PreparedAnswers::Take(const Question& question) {
  for (const Prepared& prepared : answers_) {
    if (!prepared.question.empty() &&
        (prepared.question == question.id || prepared.question == question.stage)) {
      return prepared.text;
    }
  }
  for (Prepared& prepared : answers_) {
    if (!prepared.question.empty() || prepared.used) continue;
    prepared.used = true;
    return prepared.text;
  }
  return std::nullopt;
}

}  // namespace fabro::cli
