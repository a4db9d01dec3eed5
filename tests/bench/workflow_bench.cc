// How long loading a workflow takes: a large ordinary one, and the sources that cost most for their size.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "core/base/strings.h"
#include "core/workflow/load.h"

namespace {

using fabro::StrCat;

// 10,000 nodes of mixed kinds in about 1 MiB.
std::string Ordinary() {
  std::string source =
      "digraph big {\n  goal=\"bench\"\n  start [shape=Mdiamond]\n  done [shape=Msquare]\n  start -> n0\n";
  const int count = static_cast<int>(fabro::workflow::kMaxNodes) - 2;
  for (int i = 0; i < count; ++i) {
    const std::string next = i + 1 < count ? StrCat("n", i + 1) : "done";
    if (i % 3 == 0) {
      source += StrCat("n", i, " [shape=parallelogram, script=\"make check\", timeout=15m]\n");
    } else if (i % 3 == 1) {
      source += StrCat("n", i, " [shape=diamond]\nn", i, " -> n", i - 1,
                       " [condition=\"outcome=fail\", weight=2]\n");
    } else {
      source += StrCat("n", i, " [label=\"Step\", prompt=\"Look at the result of step ", i,
                       " for $goal\", class=\"a\"]\n");
    }
    source += StrCat("n", i, " -> ", next, "\n");
  }
  return source + "// " + std::string(fabro::workflow::kMaxSourceBytes - source.size() - 5, '-') + "\n}";
}

std::string Conditions(int count, std::string_view condition) {
  std::string source = "digraph { start -> exit\n";
  for (int i = 0; i < count; ++i) source += StrCat("start -> exit [condition=\"", condition, i, "\"]\n");
  return source + "}";
}

std::string ManyParallel() {
  std::string source = "digraph { start -> p0\n";
  const int pairs = 4990;
  for (int i = 0; i < pairs; ++i) {
    source += StrCat("p", i, "[shape=component] f", i, "[shape=tripleoctagon] p", i, "->p", i + 1, " p", i,
                     "->f", i);
    source += StrCat("\nf", i, " -> f", i + 1, "\n");
  }
  source +=
      StrCat("p", pairs, "[label=P] p", pairs, " -> f", pairs, " f", pairs, "[shape=tripleoctagon] f", pairs);
  return source + " -> exit }";
}

std::string ManyProblems() {
  std::string source = "digraph { start -> exit\n";
  while (source.size() < 900'000)
    source += "start -> exit [wieght=1, lable=x, condition=\"(\", fidelity=bad]\n";
  return source + "}";
}

// The best of several: what the code takes, not what the machine does beside it.
void Measure(const char* name, const std::string& source) {
  double best_ms = 1e9;
  fabro::workflow::LoadResult result;
  for (int i = 0; i < 5; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    result = fabro::workflow::LoadWorkflow(source, {}, {});
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    best_ms = std::min(best_ms, took.count());
  }
  std::printf("%-28s %8zu bytes  %9.3f ms  %7.1f MB/s  %s, %zu diagnostics\n", name, source.size(), best_ms,
              static_cast<double>(source.size()) / 1e3 / best_ms, result.graph ? "loads" : "refused",
              result.diagnostics.size());
}

}  // namespace

int main() {
  Measure("three nodes", "digraph { start -> a -> exit a [shape=parallelogram, script=\"true\"] }");
  Measure("10,000 nodes, 1 MiB", Ordinary());
  Measure("5,000 parallel nodes", ManyParallel());
  Measure("10,000 small regexes", Conditions(10'000, "x matches ^a+b"));
  Measure("10,000 dear regexes", Conditions(10'000, "x matches ((x{9}){9}){9}|"));
  Measure("10,000 refused regexes", Conditions(10'000, "x matches ((x{99}){99}){99}|"));
  Measure("thousands of problems", ManyProblems());
  return 0;
}
