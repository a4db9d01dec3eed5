#include "core/base/metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "core/base/strings.h"

namespace fabro::metrics {
namespace {

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

std::string Braces(std::string_view labels) { return labels.empty() ? "" : StrCat('{', labels, '}'); }

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::uint64_t CountEntries(const char* folder) {
  std::error_code failed;
  std::uint64_t count = 0;
  for (std::filesystem::directory_iterator at(folder, failed), end; !failed && at != end;
       at.increment(failed)) {
    ++count;
  }
  return count;
}

std::uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t pages = 0;
  std::uint64_t resident = 0;
  statm >> pages >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

const std::time_t kStarted = std::time(nullptr);

}  // namespace

void Histogram::Observe(std::chrono::nanoseconds took) {
  const double seconds = std::chrono::duration<double>(took).count();
  const auto bucket = std::lower_bound(kSeconds.begin(), kSeconds.end(), seconds) - kSeconds.begin();
  buckets_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  nanoseconds_.fetch_add(static_cast<std::uint64_t>(std::max<std::int64_t>(0, took.count())),
                         std::memory_order_relaxed);
}

void Text::Family(std::string_view name, std::string_view type, std::string_view help) {
  text_ += StrCat("# HELP ", name, ' ', help, "\n# TYPE ", name, ' ', type, '\n');
  name_ = name;
}

void Text::Sample(std::uint64_t value, std::string_view labels) {
  text_ += StrCat(name_, Braces(labels), ' ', value, '\n');
}

void Text::Sample(double value, std::string_view labels) {
  text_ += StrCat(name_, Braces(labels), ' ', Number(value), '\n');
}

void Text::Sample(const Histogram& histogram, std::string_view labels) {
  const std::string_view comma = labels.empty() ? "" : ",";
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < histogram.buckets_.size(); ++i) {
    count += histogram.buckets_[i].load(std::memory_order_relaxed);
    const std::string bound = i < Histogram::kSeconds.size() ? Number(Histogram::kSeconds[i]) : "+Inf";
    text_ += StrCat(name_, "_bucket{", labels, comma, "le=\"", bound, "\"} ", count, '\n');
  }
  const double sum = static_cast<double>(histogram.nanoseconds_.load(std::memory_order_relaxed)) / 1e9;
  text_ += StrCat(name_, "_sum", Braces(labels), ' ', Number(sum), '\n', name_, "_count", Braces(labels), ' ',
                  count, '\n');
}

void Text::AddProcess(std::string_view prefix) {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  Family(StrCat(prefix, "_cpu_seconds_total"), "counter",
         "CPU time of the process, in user and kernel mode.");
  Sample(Seconds(usage.ru_utime) + Seconds(usage.ru_stime));
  Family(StrCat(prefix, "_resident_memory_bytes"), "gauge", "Memory of the process that is in RAM.");
  Sample(ResidentBytes());
  Family(StrCat(prefix, "_open_fds"), "gauge", "Open file descriptors of the process.");
  Sample(CountEntries("/proc/self/fd"));
  Family(StrCat(prefix, "_threads"), "gauge", "Threads of the process.");
  Sample(CountEntries("/proc/self/task"));
  Family(StrCat(prefix, "_start_time_seconds"), "gauge", "When the process began, since the epoch.");
  Sample(static_cast<std::uint64_t>(kStarted));
}

}  // namespace fabro::metrics
