#include "core/rpc/bounds.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <re2/re2.h>

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/error.h"
#include "core/base/mutex.h"
#include "core/base/strings.h"
#include "fabro/api/v1/annotations.pb.h"

namespace fabro::rpc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr std::size_t kMaxViolations = 16;
constexpr int kMaxDepth = 64;

struct Rules;

struct FieldRule {
  const FieldDescriptor* field = nullptr;
  std::string name;
  api::v1::Field bounds;
  std::unique_ptr<RE2> pattern;
  const Rules* nested = nullptr;  // of a message field
};

struct Rules {
  std::vector<FieldRule> fields;
  bool any = false;  // some field here or below has bounds
};

// Compiled once per message type and kept for the life of the program.
class Compiler {
 public:
  const Rules* Get(const Descriptor* type) {
    MutexLock lock(&mutex_);
    return Compile(type);
  }

 private:
  const Rules* Compile(const Descriptor* type) REQUIRES(mutex_) {
    auto [place, is_new] = rules_.try_emplace(type);
    if (!is_new) return place->second.get();
    place->second = std::make_unique<Rules>();
    Rules* rules = place->second.get();
    rules->any = true;  // while in progress, so that a recursive type looks into itself
    bool any = false;
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* field = type->field(i);
      const api::v1::Field& bounds = field->options().GetExtension(api::v1::field);
      FieldRule rule;
      rule.field = field;
      rule.bounds = bounds;
      rule.name =
          bounds.query().empty() ? (bounds.name().empty() ? field->name() : bounds.name()) : bounds.query();
      if (!bounds.header().empty() && bounds.query().empty()) rule.name = bounds.header();
      if (!bounds.pattern().empty()) rule.pattern = std::make_unique<RE2>(bounds.pattern(), RE2::Quiet);
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_map() &&
          !field->message_type()->full_name().starts_with("google.protobuf.")) {
        const Rules* nested = Compile(field->message_type());
        if (nested->any) rule.nested = nested;
      }
      const bool bounded = bounds.required() || rule.pattern || bounds.min_length() > 0 ||
                           bounds.max_length() > 0 || bounds.has_minimum() || bounds.has_maximum();
      if (!bounded && rule.nested == nullptr) continue;
      any = true;
      rules->fields.push_back(std::move(rule));
    }
    rules->any = any;
    return rules;
  }

  Mutex mutex_;
  std::map<const Descriptor*, std::unique_ptr<Rules>> rules_ GUARDED_BY(mutex_);
};

class Checker {
 public:
  void Check(const Message& message, const Rules& rules, const std::string& path, int depth) {
    if (depth > kMaxDepth) return Add(path, "is nested too deeply");
    const Reflection& reflection = *message.GetReflection();
    for (const FieldRule& rule : rules.fields) {
      if (violations_.size() >= kMaxViolations) return;
      CheckField(message, reflection, rule, path.empty() ? rule.name : StrCat(path, '.', rule.name), depth);
    }
  }

  std::vector<FieldViolation> violations_;

 private:
  void Add(const std::string& path, std::string_view what) {
    if (violations_.size() < kMaxViolations) violations_.push_back({path, std::string(what)});
  }

  void CheckField(const Message& message, const Reflection& reflection, const FieldRule& rule,
                  const std::string& path, int depth) {
    const FieldDescriptor* field = rule.field;
    if (field->is_repeated()) {
      const int size = reflection.FieldSize(message, field);
      CheckSize(rule, path, static_cast<std::size_t>(size), "items");
      if (rule.nested == nullptr) return;
      for (int i = 0; i < size; ++i) {
        Check(reflection.GetRepeatedMessage(message, field, i), *rule.nested, StrCat(path, '[', i, ']'),
              depth + 1);
      }
      return;
    }
    const bool present = !field->has_presence() || reflection.HasField(message, field);
    if (!present) {
      if (rule.bounds.required()) Add(path, "is required");
      return;
    }
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        if (rule.nested != nullptr)
          Check(reflection.GetMessage(message, field), *rule.nested, path, depth + 1);
        return;
      case FieldDescriptor::CPPTYPE_STRING: {
        std::string scratch;
        CheckText(rule, path, reflection.GetStringReference(message, field, &scratch));
        return;
      }
      case FieldDescriptor::CPPTYPE_ENUM:
        if (rule.bounds.required() && reflection.GetEnumValue(message, field) == 0) Add(path, "is required");
        return;
      default:
        if (!rule.bounds.clamp()) CheckNumber(rule, path, Number(message, reflection, field));
    }
  }

  void CheckSize(const FieldRule& rule, const std::string& path, std::size_t size, const char* unit) {
    const auto& bounds = rule.bounds;
    if (bounds.required() && size == 0) return Add(path, "is required");
    if (size < bounds.min_length()) Add(path, StrCat("must have at least ", bounds.min_length(), ' ', unit));
    if (bounds.max_length() > 0 && size > bounds.max_length()) {
      Add(path, StrCat("must have at most ", bounds.max_length(), ' ', unit));
    }
  }

  void CheckText(const FieldRule& rule, const std::string& path, const std::string& text) {
    if (rule.bounds.required() && text.empty()) return Add(path, "is required");
    if (rule.bounds.min_length() > 0 || rule.bounds.max_length() > 0) {
      CheckSize(rule, path, rule.field->type() == FieldDescriptor::TYPE_BYTES ? text.size() : CountUtf8(text),
                "characters");
    }
    if (rule.pattern && !RE2::FullMatch(text, *rule.pattern)) {
      Add(path, StrCat("must match ", rule.bounds.pattern()));
    }
  }

  void CheckNumber(const FieldRule& rule, const std::string& path, double value) {
    const auto text = [](double bound) {
      return bound == static_cast<double>(static_cast<long long>(bound))
                 ? std::to_string(static_cast<long long>(bound))
                 : std::to_string(bound);
    };
    if (rule.bounds.has_minimum() && !(value >= rule.bounds.minimum())) {
      Add(path, StrCat("must be at least ", text(rule.bounds.minimum())));
    } else if (rule.bounds.has_maximum() && !(value <= rule.bounds.maximum())) {
      Add(path, StrCat("must be at most ", text(rule.bounds.maximum())));
    }
  }

  static double Number(const Message& message, const Reflection& reflection, const FieldDescriptor* field) {
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return reflection.GetInt32(message, field);
      case FieldDescriptor::CPPTYPE_INT64:
        return static_cast<double>(reflection.GetInt64(message, field));
      case FieldDescriptor::CPPTYPE_UINT32:
        return reflection.GetUInt32(message, field);
      case FieldDescriptor::CPPTYPE_UINT64:
        return static_cast<double>(reflection.GetUInt64(message, field));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return reflection.GetDouble(message, field);
      case FieldDescriptor::CPPTYPE_FLOAT:
        return static_cast<double>(reflection.GetFloat(message, field));
      default:
        return reflection.GetBool(message, field) ? 1 : 0;
    }
  }
};

}  // namespace

absl::Status CheckBounds(const Message& message) {
  static Compiler compiler;
  const Rules* rules = compiler.Get(message.GetDescriptor());
  if (!rules->any) return absl::OkStatus();
  Checker checker;
  checker.Check(message, *rules, "", 0);
  if (checker.violations_.empty()) return absl::OkStatus();
  ErrorDetail detail;
  detail.reason = Reason::kInvalidArgument;
  detail.fields = std::move(checker.violations_);
  std::string text;
  for (const FieldViolation& violation : detail.fields) {
    if (!text.empty()) text += "; ";
    text += StrCat(violation.field, ' ', violation.description);
  }
  return Error(absl::StatusCode::kInvalidArgument, detail, text);
}

}  // namespace fabro::rpc
