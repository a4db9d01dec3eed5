#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/health.h"
#include "cli/serve.h"

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  return fabro::cli::Main(args, &fabro::cli::Serve, &fabro::cli::AskCore, &fabro::cli::CheckServerFiles);
}
