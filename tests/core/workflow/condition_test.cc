#include "core/workflow/condition.h"

#include <gtest/gtest.h>

#include <map>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace fabro::workflow {
namespace {

class MapLookup : public Lookup {
 public:
  explicit MapLookup(std::map<std::string, ContextValue, std::less<>> values) : values_(std::move(values)) {}
  std::optional<ContextValue> Find(std::string_view key) const override {
    const auto found = values_.find(key);
    return found == values_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::map<std::string, ContextValue, std::less<>> values_;
};

MapLookup Values() {
  std::map<std::string, ContextValue, std::less<>> values;
  values["outcome"] = {"success", {}};
  values["preferred_label"] = {"Ship it", {}};
  values["tests.failed"] = {"3", {}};
  values["context.own"] = {"as written", {}};
  values["own"] = {"without the prefix", {}};
  values["score"] = {"0.50", {}};
  values["zero"] = {"0", {}};
  values["no"] = {"false", {}};
  values["blank"] = {"", {}};
  values["tags"] = {R"(["red","dark blue","7"])", std::vector<std::string>{"red", "dark blue", "7"}};
  values["url"] = {"http://x/?a=b", {}};
  values["label"] = {"A -> B", {}};
  return MapLookup(std::move(values));
}

TEST(Condition, IsTrueWhenItsTextSays) {
  const MapLookup values = Values();
  const std::pair<const char*, bool> kCases[] = {
      {"outcome=success", true},
      {"outcome = success", true},
      {"outcome == success", true},
      {"outcome=\"success\"", true},
      {"outcome=succes", false},
      {"outcome=SUCCESS", false},
      {"outcome!=fail", true},
      {"outcome!=success", false},
      {"preferred_label=Ship it", true},
      {"preferred_label=  Ship it  && outcome=success", true},
      {"preferred_label=\"Ship it\"&&outcome=success", true},
      {"context.tests.failed=3", true},
      {"tests.failed=3", true},
      {"context.own=as written", true},
      {"own=without the prefix", true},
      {"context.missing=", true},
      {"missing=", true},
      {"missing=x", false},
      {"missing!=x", true},
      {"outcome=", false},
      {"outcome= && blank=", false},
      {"tests.failed>2", true},
      {"tests.failed>3", false},
      {"tests.failed>=3", true},
      {"tests.failed<10", true},
      {"tests.failed <= 2", false},
      {"score=0.5", false},
      {"score>=0.5", true},
      {"outcome>1", false},
      {"outcome<1", false},
      {"missing<1", false},
      {"tests.failed<ten", false},
      {"outcome contains ces", true},
      {"outcome contains x", false},
      {"tags contains red", true},
      {"tags contains blue", false},
      {"tags contains dark blue", true},
      {"tags contains 7", true},
      {"outcome matches ^suc+e", true},
      {"outcome matches ^ucc", false},
      {"outcome matches ucc", true},
      {"url matches a=b$", true},
      {"url=http://x/?a=b", true},
      {"label=A -> B", true},
      {"label=\"A -> B\"", true},
      {"outcome", true},
      {"missing", false},
      {"zero", false},
      {"no", false},
      {"blank", false},
      {"!no", true},
      {"! outcome", false},
      {"!!outcome", true},
      {"!outcome=fail", true},
      {"!outcome=success || no", false},
      {"no || outcome=success", true},
      {"outcome=fail || tests.failed>2 && no", false},
      {"outcome=success || no && no", true},
      {"outcome=fail && no || outcome", true},
      {"outcome=success\n && tests.failed=3", true},
      {"preferred_label contains \"\"", true},
      {"contains=", true},
      {"preferred_label != \"a \\\"b\\\\\"", true},
      {"context.no-such-key=", true},
  };
  for (const auto& [text, expected] : kCases) {
    const auto condition = Condition::Parse(text);
    ASSERT_TRUE(condition.ok()) << text << ": " << MessageOf(condition.status());
    EXPECT_EQ(condition->Evaluate(values), expected) << text;
  }
}

TEST(Condition, RefusesWhatIsNone) {
  const std::pair<const char*, const char*> kCases[] = {
      {"", "expected a key but found the end"},
      {"   ", "expected a key but found the end"},
      {"=x", "expected a key but found '=x'"},
      {"!", "expected a key but found the end"},
      {"!=x", "expected a key but found '=x'"},
      {"a=b &&", "expected a key but found the end"},
      {"a=b || || c", "expected a key but found '|| c'"},
      {"a=b & c", ""},  // one ampersand is text
      {"(a=b)", "expected a key but found '(a=b)'"},
      {"a b", "expected '&&' or '||' but found 'b'"},
      {"a.=b", "'a.' is not a key"},
      {"a..b=c", "'a..b' is not a key"},
      {"1=1", "expected a key but found '1=1'"},
      {"a===b", "an operator follows an operator; quote a value that begins with one"},
      {"a = >b", "an operator follows an operator; quote a value that begins with one"},
      {"a=\"b", "a quoted value does not end"},
      {"a=\"b\" c", "expected '&&' or '||' but found 'c'"},
      {"a matches (", "bad regular expression: missing ): ("},
      {"a matches \\", "bad regular expression: trailing \\"},
      {"a containsx", "expected '&&' or '||' but found 'containsx'"},
  };
  for (const auto& [text, message] : kCases) {
    const auto condition = Condition::Parse(text);
    EXPECT_EQ(condition.ok(), *message == '\0') << text;
    if (!condition.ok()) EXPECT_EQ(MessageOf(condition.status()), message) << text;
  }
}

TEST(Condition, BoundsItsSize) {
  EXPECT_FALSE(Condition::Parse(std::string(Condition::kMaxBytes + 1, 'a')).ok());
  EXPECT_FALSE(Condition::Parse("a matches " + std::string(Condition::kMaxPatternBytes + 1, 'a')).ok());
  EXPECT_FALSE(Condition::Parse("a matches ((a{100}){100}){100}").ok());
  std::string many = "a";
  for (int i = 0; i < 1000; ++i) many += "&&a";
  EXPECT_FALSE(Condition::Parse(many).ok());
  EXPECT_TRUE(Condition::Parse(std::string(10'000, '!') + "a").ok());
}

TEST(Condition, KnowsWhatItsRegularExpressionsCost) {
  EXPECT_EQ(Condition::Parse("a=matches")->regex_cost(), 0);
  const int one = Condition::Parse("a matches x")->regex_cost();
  EXPECT_GT(one, 0);
  EXPECT_EQ(Condition::Parse("a matches x && b=c || d matches y")->regex_cost(), 2 * one);
  std::string dear = "a matches (x{12}){12}";
  EXPECT_TRUE(Condition::Parse(dear).ok());
  for (int i = 0; i < 99; ++i) dear += "&& a matches (x{12}){12}";
  EXPECT_EQ(MessageOf(Condition::Parse(dear).status()), "the regular expressions are too large");
}

}  // namespace
}  // namespace fabro::workflow
