#include "core/base/metrics.h"

#include <gtest/gtest.h>

#include <sstream>

namespace fabro::metrics {
namespace {

using std::chrono::milliseconds;

TEST(Metrics, WritesFamiliesWithTheirSamples) {
  Counter counter;
  counter.Add();
  counter.Add(4);
  Text text;
  text.Family("fabro_things_total", "counter", "Things.");
  text.Sample(counter.value(), "kind=\"a\"");
  text.Family("fabro_level", "gauge", "A level.");
  text.Sample(0.25);
  EXPECT_EQ(text.Take(),
            "# HELP fabro_things_total Things.\n# TYPE fabro_things_total "
            "counter\nfabro_things_total{kind=\"a\"} 5\n"
            "# HELP fabro_level A level.\n# TYPE fabro_level gauge\nfabro_level 0.25\n");
}

TEST(Metrics, AHistogramsBucketsAddUp) {
  Histogram histogram;
  for (const milliseconds took : {milliseconds(0), milliseconds(1), milliseconds(2), milliseconds(700),
                                  milliseconds(60'000), milliseconds(-5)}) {
    histogram.Observe(took);
  }
  Text text;
  text.Family("h", "histogram", "H.");
  text.Sample(histogram, "x=\"y\"");
  const std::string out = text.Take();
  for (const char* line :
       {"h_bucket{x=\"y\",le=\"0.0005\"} 2\n", "h_bucket{x=\"y\",le=\"0.001\"} 3\n",
        "h_bucket{x=\"y\",le=\"0.0025\"} 4\n", "h_bucket{x=\"y\",le=\"0.5\"} 4\n",
        "h_bucket{x=\"y\",le=\"1\"} 5\n", "h_bucket{x=\"y\",le=\"30\"} 5\n",
        "h_bucket{x=\"y\",le=\"+Inf\"} 6\n", "h_sum{x=\"y\"} 60.703\n", "h_count{x=\"y\"} 6\n"}) {
    EXPECT_NE(out.find(line), std::string::npos) << line << out;
  }
}

TEST(Metrics, KnowsItsProcess) {
  Text text;
  text.AddProcess("process");
  const std::string out = text.Take();
  for (const std::string name : {"process_cpu_seconds_total", "process_resident_memory_bytes",
                                 "process_open_fds", "process_threads", "process_start_time_seconds"}) {
    const std::size_t at = out.find("\n" + name + " ");
    ASSERT_NE(at, std::string::npos) << out;
    EXPECT_GT(std::stod(out.substr(at + name.size() + 2)), 0) << name;
  }
}

}  // namespace
}  // namespace fabro::metrics
