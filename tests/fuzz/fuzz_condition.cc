// Any bytes as a condition: parsed, and evaluated over a small context.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/workflow/condition.h"

namespace {

class FixedContext : public fabro::workflow::Lookup {
 public:
  std::optional<fabro::workflow::ContextValue> Find(std::string_view key) const override {
    using fabro::workflow::ContextValue;
    if (key == "outcome") return ContextValue{"success", std::nullopt};
    if (key == "n") return ContextValue{"3.5", std::nullopt};
    if (key == "list") return ContextValue{"[1,2]", std::vector<std::string>{"1", "2"}};
    if (key == "long") return ContextValue{std::string(1000, 'a'), std::nullopt};
    return std::nullopt;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto condition = fabro::workflow::Condition::Parse(text);
  if (!condition.ok()) {
    if (fabro::MessageOf(condition.status()).empty()) std::abort();
    return 0;
  }
  const FixedContext context;
  const auto evaluate_copy = [&context](fabro::workflow::Condition copy) { return copy.Evaluate(context); };
  if (condition->Evaluate(context) != evaluate_copy(*condition)) std::abort();
  return 0;
}
