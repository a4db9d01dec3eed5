#include "core/workflow/condition.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/workflow/characters.h"

namespace fabro::workflow {
namespace {

// Bounds both the compiled program and the automaton that is cached while matching. A pattern that needs more
// is refused when the run is created.
constexpr std::int64_t kRegexMemoryBytes = 256 * 1024;
constexpr std::size_t kMaxClauses = 1000;

bool IsKeyPart(char c) { return IsIdentifierPart(c) || c == '.' || c == '-'; }

absl::Status Bad(std::string_view message) { return InvalidArgument(Reason::kGraphInvalid, "", message); }

absl::StatusOr<std::shared_ptr<const re2::RE2>> Compile(std::string_view pattern) {
  if (pattern.size() > Condition::kMaxPatternBytes) {
    return Bad(StrCat("the regular expression is longer than ", Condition::kMaxPatternBytes, " bytes"));
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_never_capture(true);
  options.set_max_mem(kRegexMemoryBytes);
  auto regex = std::make_shared<const re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
  if (!regex->ok()) return Bad(StrCat("bad regular expression: ", regex->error()));
  return regex;
}

bool IsTruthy(std::string_view text) { return !text.empty() && text != "false" && text != "0"; }

}  // namespace

// One pass from left to right. Methods return an error or leave the cursor after what they read.
class ConditionParser {
 public:
  explicit ConditionParser(std::string_view text) : text_(text) {}

  absl::StatusOr<Condition> Parse() {
    Condition condition;
    condition.any_of_.emplace_back();
    for (std::size_t count = 1;; ++count) {
      if (count > kMaxClauses) return Bad(StrCat("more than ", kMaxClauses, " clauses"));
      FABRO_ASSIGN_OR_RETURN(Condition::Clause clause, ReadClause());
      if (clause.regex) condition.regex_cost_ += clause.regex->ProgramSize();
      if (condition.regex_cost_ > Condition::kMaxRegexCost)
        return Bad("the regular expressions are too large");
      condition.any_of_.back().push_back(std::move(clause));
      SkipBlanks();
      if (at_ == text_.size()) return condition;
      if (Take("||")) {
        condition.any_of_.emplace_back();
      } else if (!Take("&&")) {
        return Bad(StrCat("expected '&&' or '||' but found ", Found()));
      }
    }
  }

 private:
  using Op = Condition::Op;

  absl::StatusOr<Condition::Clause> ReadClause() {
    Condition::Clause clause;
    for (SkipBlanks(); Take("!"); SkipBlanks()) clause.negated = !clause.negated;
    FABRO_ASSIGN_OR_RETURN(clause.key, ReadKey());
    SkipBlanks();
    clause.op = ReadOp();
    if (clause.op == Op::kTruthy) return clause;
    FABRO_ASSIGN_OR_RETURN(clause.value, ReadValue(clause.op));
    if (clause.op == Op::kMatches) {
      FABRO_ASSIGN_OR_RETURN(clause.regex, Compile(clause.value));
    }
    return clause;
  }

  absl::StatusOr<std::string> ReadKey() {
    const std::size_t begin = at_;
    if (at_ < text_.size() && IsIdentifierStart(text_[at_])) {
      while (at_ < text_.size() && IsKeyPart(text_[at_])) ++at_;
    }
    const std::string_view key = text_.substr(begin, at_ - begin);
    if (key.empty()) return Bad(StrCat("expected a key but found ", Found()));
    if (key.back() == '.' || key.find("..") != std::string_view::npos) {
      return Bad(StrCat("'", key, "' is not a key"));
    }
    return std::string(key);
  }

  // Both give kTruthy when no operator follows.
  Op ReadOp() {
    if (const Op symbol = ReadSymbol(); symbol != Op::kTruthy) return symbol;
    if (TakeWord("contains")) return Op::kContains;
    if (TakeWord("matches")) return Op::kMatches;
    return Op::kTruthy;
  }

  Op ReadSymbol() {
    // The longer spelling of two comes first.
    constexpr std::array<std::pair<std::string_view, Op>, 7> kSymbols{{{"==", Op::kEqual},
                                                                       {"!=", Op::kNotEqual},
                                                                       {">=", Op::kGreaterEqual},
                                                                       {"<=", Op::kLessEqual},
                                                                       {"=", Op::kEqual},
                                                                       {">", Op::kGreater},
                                                                       {"<", Op::kLess}}};
    for (const auto& [symbol, op] : kSymbols) {
      if (Take(symbol)) return op;
    }
    return Op::kTruthy;
  }

  absl::StatusOr<std::string> ReadValue(Op op) {
    SkipBlanks();
    if (at_ < text_.size() && text_[at_] == '"') return ReadQuoted();
    // A second comparison right after the first is a slip (`a === b`), while one further on may well be meant
    // (`label = A -> B`); patterns may hold either.
    if (op != Op::kMatches && ReadSymbol() != Op::kTruthy) {
      return Bad("an operator follows an operator; quote a value that begins with one");
    }
    const std::size_t begin = at_;
    at_ = std::min({text_.find("&&", begin), text_.find("||", begin), text_.size()});
    return std::string(Trim(text_.substr(begin, at_ - begin)));
  }

  absl::StatusOr<std::string> ReadQuoted() {
    std::string value;
    for (++at_; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == '"') {
        ++at_;
        return value;
      }
      if (c == '\\' && at_ + 1 < text_.size() && (text_[at_ + 1] == '"' || text_[at_ + 1] == '\\'))
        c = text_[++at_];
      value += c;
    }
    return Bad("a quoted value does not end");
  }

  void SkipBlanks() {
    while (at_ < text_.size() && IsBlank(text_[at_])) ++at_;
  }

  bool Take(std::string_view symbol) {
    if (text_.substr(at_, symbol.size()) != symbol) return false;
    at_ += symbol.size();
    return true;
  }

  bool TakeWord(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    if (at_ + word.size() < text_.size() && IsKeyPart(text_[at_ + word.size()])) return false;
    at_ += word.size();
    return true;
  }

  std::string Found() const {
    if (at_ == text_.size()) return "the end";
    return StrCat("'", TruncateUtf8(text_.substr(at_), 20), "'");
  }

  const std::string_view text_;
  std::size_t at_ = 0;
};

absl::StatusOr<Condition> Condition::Parse(std::string_view text) {
  if (text.size() > kMaxBytes) return Bad(StrCat("longer than ", kMaxBytes, " bytes"));
  return ConditionParser(text).Parse();
}

bool Condition::Evaluate(const Lookup& lookup) const {
  return std::any_of(any_of_.begin(), any_of_.end(), [&](const std::vector<Clause>& all_of) {
    return std::all_of(all_of.begin(), all_of.end(),
                       [&](const Clause& clause) { return Holds(clause, lookup) != clause.negated; });
  });
}

bool Condition::Holds(const Clause& clause, const Lookup& lookup) {
  constexpr std::string_view kContextPrefix = "context.";
  std::optional<ContextValue> found = lookup.Find(clause.key);
  if (!found && clause.key.starts_with(kContextPrefix)) {
    found = lookup.Find(std::string_view(clause.key).substr(kContextPrefix.size()));
  }
  const ContextValue value = std::move(found).value_or(ContextValue{});

  const auto compare = [&](auto holds) {
    const std::optional<double> left = ParseDouble(Trim(value.text));
    const std::optional<double> right = ParseDouble(Trim(clause.value));
    return left && right && holds(*left, *right);
  };
  switch (clause.op) {
    case Op::kTruthy:
      return IsTruthy(value.text);
    case Op::kEqual:
      return value.text == clause.value;
    case Op::kNotEqual:
      return value.text != clause.value;
    case Op::kGreater:
      return compare([](double a, double b) { return a > b; });
    case Op::kLess:
      return compare([](double a, double b) { return a < b; });
    case Op::kGreaterEqual:
      return compare([](double a, double b) { return a >= b; });
    case Op::kLessEqual:
      return compare([](double a, double b) { return a <= b; });
    case Op::kContains:
      if (value.items)
        return std::find(value.items->begin(), value.items->end(), clause.value) != value.items->end();
      return value.text.find(clause.value) != std::string::npos;
    case Op::kMatches:
      return re2::RE2::PartialMatch(re2::StringPiece(value.text.data(), value.text.size()), *clause.regex);
  }
  return false;
}

}  // namespace fabro::workflow
