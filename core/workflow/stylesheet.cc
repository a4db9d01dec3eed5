#include "core/workflow/stylesheet.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/strings.h"
#include "core/workflow/attributes.h"
#include "core/workflow/characters.h"

namespace fabro::workflow {
namespace {

constexpr std::array<std::string_view, 5> kProperties{"model", "provider", "reasoning_effort", "backend",
                                                      "max_tokens"};
constexpr std::size_t kMaxUnknownProperties = 100;

absl::Status Bad(std::string_view message) { return InvalidArgument(Reason::kGraphInvalid, "", message); }

bool IsNamePart(char c) { return IsIdentifierPart(c) || c == '-'; }

}  // namespace

// One pass from left to right: `selector { property: value; ... }` again and again.
class StylesheetParser {
 public:
  explicit StylesheetParser(std::string_view text) : text_(text) {}

  absl::StatusOr<Stylesheet> Parse() {
    FABRO_RETURN_IF_ERROR(SkipBlanks());
    while (at_ < text_.size()) {
      FABRO_ASSIGN_OR_RETURN(const std::string selector, ReadSelector());
      FABRO_RETURN_IF_ERROR(Expect('{'));
      FABRO_RETURN_IF_ERROR(ReadBlock(sheet_.by_selector_[selector]));
    }
    return std::move(sheet_);
  }

 private:
  absl::StatusOr<std::string> ReadSelector() {
    const std::size_t begin = at_;
    const bool has_prefix = Peek() == '.' || Peek() == '#';
    if (Peek() == '*') {
      ++at_;
    } else {
      if (has_prefix) ++at_;
      if (ReadName().empty()) {
        at_ = begin;
        return Expected(has_prefix ? "a name after '.' or '#'" : "a selector");
      }
    }
    std::string selector(text_.substr(begin, at_ - begin));
    FABRO_RETURN_IF_ERROR(SkipBlanks());
    return selector;
  }

  absl::Status ReadBlock(Stylesheet::Settings& settings) {
    while (Peek() != '}') {
      const std::string_view name = ReadName();
      if (name.empty()) return Expected("a property or '}'");
      FABRO_RETURN_IF_ERROR(SkipBlanks());
      FABRO_RETURN_IF_ERROR(Expect(':'));
      FABRO_ASSIGN_OR_RETURN(std::string value, ReadValue());
      FABRO_RETURN_IF_ERROR(Set(settings, name, std::move(value)));
      if (Peek() == ';') {
        FABRO_RETURN_IF_ERROR(Expect(';'));
      } else if (Peek() != '}') {
        return Expected("';' or '}'");
      }
    }
    return Expect('}');
  }

  absl::Status Set(Stylesheet::Settings& settings, std::string_view name, std::string value) {
    name = CanonicalName(kNodeScope, name);
    if (std::find(kProperties.begin(), kProperties.end(), name) == kProperties.end()) {
      std::vector<std::string>& unknown = sheet_.unknown_properties_;
      if (unknown.size() < kMaxUnknownProperties) unknown.emplace_back(name);
      return absl::OkStatus();
    }
    Node probe;
    if (const auto bad = SetAttribute(probe, name, value)) {
      return Bad(StrCat("'", name, "' has the value '", Excerpt(value), "', expected ", bad->expected));
    }
    settings[std::string(name)] = {std::move(value), order_++};
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> ReadValue() {
    std::string_view value;
    if (Peek() == '"') {
      const std::size_t close = text_.find('"', at_ + 1);
      if (close == std::string_view::npos) return Bad("a quoted value does not end");
      value = text_.substr(at_ + 1, close - at_ - 1);
      at_ = close + 1;
    } else {
      const std::size_t end = std::min(text_.find_first_of(";{}\n", at_), text_.size());
      value = Trim(text_.substr(at_, end - at_));
      at_ = end;
    }
    if (value.empty()) return Expected("a value");
    FABRO_RETURN_IF_ERROR(SkipBlanks());
    return std::string(value);
  }

  std::string_view ReadName() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && IsNamePart(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  absl::Status Expect(char c) {
    if (Peek() != c) return Expected(StrCat("'", c, "'"));
    ++at_;
    return SkipBlanks();
  }

  absl::Status SkipBlanks() {
    while (at_ < text_.size()) {
      if (IsBlank(text_[at_])) {
        ++at_;
      } else if (text_.substr(at_).starts_with("/*")) {
        const std::size_t close = text_.find("*/", at_ + 2);
        if (close == std::string_view::npos) return Bad("a comment does not end");
        at_ = close + 2;
      } else {
        break;
      }
    }
    return absl::OkStatus();
  }

  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  absl::Status Expected(std::string_view what) const {
    if (at_ == text_.size()) return Bad(StrCat("expected ", what, " but the stylesheet ends"));
    return Bad(StrCat("expected ", what, " but found '", TruncateUtf8(text_.substr(at_), 20), "'"));
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  std::size_t order_ = 0;
  Stylesheet sheet_;
};

absl::StatusOr<Stylesheet> Stylesheet::Parse(std::string_view text) { return StylesheetParser(text).Parse(); }

void Stylesheet::Apply(Node& node) const {
  if (by_selector_.empty()) return;
  struct Choice {
    const Setting* setting = nullptr;
    int strength = 0;
  };
  std::array<Choice, kProperties.size()> choices;
  const auto consider = [&](const std::string& selector, int strength) {
    const auto found = by_selector_.find(selector);
    if (found == by_selector_.end()) return;
    for (std::size_t i = 0; i < kProperties.size(); ++i) {
      const auto setting = found->second.find(kProperties[i]);
      if (setting == found->second.end()) continue;
      Choice& choice = choices[i];
      if (choice.setting && (choice.strength > strength || (choice.strength == strength &&
                                                            choice.setting->order > setting->second.order))) {
        continue;
      }
      choice = {&setting->second, strength};
    }
  };
  consider("*", 1);
  const bool has_known_shape = NodeKindOfShape(node.shape).has_value();
  if (!has_known_shape) consider(std::string(node.shape.empty() ? ShapeOf(node.kind) : "box"), 2);
  if (!node.shape.empty()) consider(node.shape, 2);
  for (const std::string& name : node.classes) consider("." + name, 3);
  consider("#" + node.id, 4);

  for (std::size_t i = 0; i < kProperties.size(); ++i) {
    if (choices[i].setting && !node.attributes.contains(kProperties[i])) {
      SetAttribute(node, kProperties[i], choices[i].setting->value);  // Parse saw that it takes the value
    }
  }
}

std::vector<std::string> Stylesheet::models() const {
  std::vector<std::string> models;
  for (const auto& [selector, settings] : by_selector_) {
    const auto model = settings.find("model");
    if (model != settings.end()) models.push_back(model->second.value);
  }
  std::sort(models.begin(), models.end());
  models.erase(std::unique(models.begin(), models.end()), models.end());
  return models;
}

std::vector<std::string> Stylesheet::selectors() const {
  std::vector<std::string> selectors;
  for (const auto& [selector, settings] : by_selector_) {
    if (selector.starts_with('.') || selector.starts_with('#')) selectors.push_back(selector);
  }
  std::sort(selectors.begin(), selectors.end());
  return selectors;
}

}  // namespace fabro::workflow
