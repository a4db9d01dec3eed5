// Any bytes as server.toml, as a run configuration and as .env: never a crash, and what is accepted of the
// first prints as TOML that is accepted again.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/config/environment.h"
#include "core/config/load.h"
#include "core/config/print.h"
#include "core/config/run_config.h"
#include "core/config/startable.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto loaded = fabro::config::LoadText(text, "fuzz.toml", "/home/fuzz");
  if (loaded.ok()) {
    const std::string printed = fabro::config::PrintToml(*loaded);
    const auto again = fabro::config::LoadText(printed, "printed.toml", "/home/fuzz");
    if (!again.ok()) {
      std::fprintf(stderr, "%s\n%s\n", printed.c_str(), fabro::MessageOf(again.status()).c_str());
      std::abort();
    }
    if (!fabro::IsValidUtf8(fabro::config::PrintJson(*loaded))) std::abort();
    (void)fabro::config::CheckStartable(loaded->config, fabro::config::Program::kCore).ok();
  } else if (fabro::MessageOf(loaded.status()).empty()) {
    std::abort();
  }
  for (const std::string& error : fabro::config::ReadRunConfig(text, "fuzz.toml").errors) {
    if (!error.starts_with("fuzz.toml")) std::abort();
  }
  std::vector<std::string> problems;
  fabro::config::Environment environment;
  environment.AddText(text, ".env", &problems);
  return 0;
}
