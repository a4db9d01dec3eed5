// An edge's condition: parsed once when a run is created, evaluated whenever its edge is a candidate.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace re2 {
class RE2;
}

namespace fabro::workflow {

// What a key holds, as conditions see it.
struct ContextValue {
  std::string text;  // a string as it is, null is empty, any other value as compact JSON
  std::optional<std::vector<std::string>> items;  // set for an array: the text of each element
};

// Where a condition's keys are looked up.
class Lookup {
 public:
  virtual ~Lookup() = default;
  // `outcome` and `preferred_label` are those of the stage that just ended; any other key is one of the run
  // context. The fall-back from `context.NAME` to `NAME` is the condition's, not the lookup's.
  virtual std::optional<ContextValue> Find(std::string_view key) const = 0;
};

// Immutable; copies share the compiled regular expressions. Evaluate is thread-safe and takes time linear in
// the values it reads.
class Condition {
 public:
  static constexpr std::size_t kMaxBytes = 16 * 1024;
  static constexpr std::size_t kMaxPatternBytes = 1000;
  static constexpr int kMaxRegexCost = 10'000;

  // InvalidArgument with a message for people when the text is not a condition.
  static absl::StatusOr<Condition> Parse(std::string_view text);

  bool Evaluate(const Lookup& lookup) const;

  // Compiled instructions of all `matches` clauses. A few bytes of pattern can make thousands, so a graph
  // bounds their sum.
  int regex_cost() const { return regex_cost_; }

 private:
  friend class ConditionParser;

  enum class Op : std::uint8_t {
    kTruthy,
    kEqual,
    kNotEqual,
    kGreater,
    kLess,
    kGreaterEqual,
    kLessEqual,
    kContains,
    kMatches
  };
  struct Clause {
    std::string key;
    std::string value;
    Op op = Op::kTruthy;
    bool negated = false;
    std::shared_ptr<const re2::RE2> regex;  // kMatches only; shared by copies of the condition
  };
  static bool Holds(const Clause& clause, const Lookup& lookup);

  int regex_cost_ = 0;
  std::vector<std::vector<Clause>> any_of_;  // or of ands: the grammar has no parentheses
};

}  // namespace fabro::workflow
