// What all runs together have used.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace fabro::storage {

// Of one model. Costs are billionths of a US dollar: whole numbers add up without an error.
struct ModelUse {
  std::int64_t stages = 0;
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  std::int64_t cost_nanos = 0;
  bool operator==(const ModelUse&) const = default;
};

struct Usage {
  std::int64_t runs = 0;  // that began and have ended
  std::chrono::milliseconds runtime{0};
  std::map<std::string, ModelUse, std::less<>> models;  // of the stages that called one, by its name

  bool empty() const { return runs == 0 && runtime.count() == 0 && models.empty(); }
  void Add(const Usage& other);
  bool operator==(const Usage&) const = default;
};

}  // namespace fabro::storage
