// Numbers about a running program, and the text that Prometheus reads (exposition format 0.0.4). Whoever
// counts owns the counter; a scrape asks the owners. Counting is one or two relaxed atomic additions.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace fabro::metrics {

class Counter {
 public:
  void Add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

// Goes up and down.
class Gauge {
 public:
  std::int64_t Add(std::int64_t n) { return value_.fetch_add(n, std::memory_order_relaxed) + n; }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_ = 0;
};

// How long something took, in buckets from half a millisecond to half a minute.
class Histogram {
 public:
  static constexpr std::array<double, 13> kSeconds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                      0.1,    0.25,  0.5,    1,     5,    30};

  void Observe(std::chrono::nanoseconds took);

 private:
  friend class Text;
  std::array<std::atomic<std::uint64_t>, kSeconds.size() + 1> buckets_{};  // the last: longer than all
  std::atomic<std::uint64_t> nanoseconds_ = 0;
};

class Text {
 public:
  // Begins a family; its samples follow. `type` is "counter", "gauge" or "histogram".
  void Family(std::string_view name, std::string_view type, std::string_view help);
  // `labels` as "verb=\"GET\",status=\"200\"", or empty. The values must need no escaping.
  void Sample(std::uint64_t value, std::string_view labels = "");
  void Sample(double value, std::string_view labels = "");
  void Sample(const Histogram& histogram, std::string_view labels = "");

  // Of this process, under "PREFIX_": CPU seconds, resident memory, open files, threads, start time.
  void AddProcess(std::string_view prefix);

  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

}  // namespace fabro::metrics
