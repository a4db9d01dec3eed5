#include "core/app/live_config.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/base/log.h"
#include "tests/support/temp_directory.h"

namespace fabro::app {
namespace {

class LiveConfigTest : public ::testing::Test {
 protected:
  LiveConfigTest() {
    log_fd_ = ::open(At("log").c_str(), O_CREAT | O_RDWR | O_APPEND, 0600);
    log::Options options;
    options.fd = log_fd_;
    options.format = LogFormat::kJson;
    EXPECT_TRUE(log::Start(options).ok());
  }
  ~LiveConfigTest() override {
    log::Stop();
    ::close(log_fd_);
  }
  std::string At(const std::string& name) const { return (folder_.path() / name).string(); }
  // As an editor does it: the file is another one afterwards.
  void Write(const std::string& text) {
    std::ofstream(At("new")) << text;
    std::filesystem::rename(At("new"), At("server.toml"));
  }
  LiveConfig& Begin(const std::string& text) {
    Write(text);
    config::Sources sources;
    sources.config_path = At("server.toml");
    sources.home = folder_.path().string();
    sources.working_dir = At("nowhere");
    absl::StatusOr<config::Loaded> loaded = config::Load(sources);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    live_ = std::make_unique<LiveConfig>(config::Program::kServe, sources, *std::move(loaded));
    live_->OnChange([this](const config::ServerConfig&) { ++changes_; });
    return *live_;
  }
  // A second and another have passed.
  void Look() {
    live_->Check();
    live_->Check();
  }
  std::string Log() {
    log::Stop();
    std::stringstream text;
    text << std::ifstream(At("log")).rdbuf();
    return text.str();
  }

  testing::TempDirectory folder_;
  int log_fd_ = -1;
  std::unique_ptr<LiveConfig> live_;
  int changes_ = 0;
};

TEST_F(LiveConfigTest, AppliesWhatMayChange) {
  LiveConfig& live = Begin("max_concurrent_runs = 3\n");
  Look();
  EXPECT_EQ(changes_, 0);
  Write("max_concurrent_runs = 7\n[access]\nadmins = [\"anna\"]\n");
  live.Check();
  EXPECT_EQ(changes_, 0);  // it may still be written to
  live.Check();
  EXPECT_EQ(changes_, 1);
  EXPECT_EQ(live.config().max_concurrent_runs, 7);
  EXPECT_TRUE(live.config().access.configured());
  Write("");
  Look();
  EXPECT_EQ(live.config().max_concurrent_runs, 5);
  EXPECT_FALSE(live.config().access.configured());
  const std::string log = Log();
  EXPECT_NE(log.find(R"("key":"max_concurrent_runs","from":"3","to":"7")"), std::string::npos) << log;
  EXPECT_NE(log.find(R"("key":"access.admins","from":"not set")"), std::string::npos) << log;
}

TEST_F(LiveConfigTest, KeepsTheSettingsInForceWhenTheFileIsWrongOrGone) {
  LiveConfig& live = Begin("max_concurrent_runs = 3\n");
  for (const char* wrong :
       {"max_concurrent_runs = \"many\"\n", "max_concurrent_runs = ", "api.host = \"0.0.0.0\"\n"}) {
    Write(wrong);
    Look();
    EXPECT_EQ(live.config().max_concurrent_runs, 3) << wrong;
  }
  std::filesystem::remove(At("server.toml"));
  Look();
  EXPECT_EQ(live.config().max_concurrent_runs, 3);
  EXPECT_EQ(changes_, 0);
  Write("max_concurrent_runs = 4\n");
  Look();
  EXPECT_EQ(live.config().max_concurrent_runs, 4);
  const std::string log = Log();
  EXPECT_NE(log.find("server.toml:1:23: max_concurrent_runs: must be"), std::string::npos) << log;
}

TEST_F(LiveConfigTest, SaysWhatCountsFromTheNextStartOn) {
  LiveConfig& live = Begin("");
  Write("api.port = 4000\nmax_concurrent_runs = 2\n");
  Look();
  EXPECT_EQ(live.config().api.port, 3000);
  EXPECT_EQ(live.config().max_concurrent_runs, 2);
  Write("api.port = 4000\nmax_concurrent_runs = 3\n");  // said once
  Look();
  const std::string log = Log();
  const std::string said = R"("key":"api.port","from":"3000","to":"4000")";
  const std::size_t first = log.find(said);
  ASSERT_NE(first, std::string::npos) << log;
  EXPECT_EQ(log.find(said, first + 1), std::string::npos) << log;
}

TEST_F(LiveConfigTest, LogsNoSecrets) {
  Begin("[sandbox.env]\nTOKEN = \"hunter22\"\n");
  Write("[sandbox.env]\nTOKEN = \"hunter33\"\n");
  Look();
  EXPECT_EQ(changes_, 1);
  const std::string log = Log();
  EXPECT_NE(log.find("sandbox.env"), std::string::npos) << log;
  EXPECT_EQ(log.find("hunter"), std::string::npos) << log;
}

TEST_F(LiveConfigTest, TheLogFollowsItsLevel) {
  Begin("");
  Write("[log]\nlevel = \"error\"\n");
  Look();
  EXPECT_EQ(log::Level(), LogLevel::kError);
  log::SetLevel(LogLevel::kInfo);
}

}  // namespace
}  // namespace fabro::app
