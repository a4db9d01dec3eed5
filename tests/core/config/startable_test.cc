#include "core/config/startable.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/config/duration.h"
#include "core/config/environment.h"
#include "core/config/load.h"

namespace fabro::config {
namespace {

ServerConfig Defaults() { return LoadText("", "s", "/h")->config; }

TEST(CheckStartable, LetsTheDefaultsStart) {
  for (const Program program : {Program::kServe, Program::kCore, Program::kGateway}) {
    EXPECT_TRUE(CheckStartable(Defaults(), program).ok());
  }
}

TEST(CheckStartable, RefusesToStandOpenOnTheNetwork) {
  ServerConfig config = Defaults();
  for (const char* host :
       {"0.0.0.0", "::", "192.168.1.2", "example.org", "", "localhost.example.org", "127.0.0.1.x"}) {
    config.api.host = host;
    EXPECT_EQ(CheckStartable(config, Program::kServe).code(), absl::StatusCode::kFailedPrecondition) << host;
    EXPECT_FALSE(CheckStartable(config, Program::kGateway).ok()) << host;
    EXPECT_TRUE(CheckStartable(config, Program::kCore).ok()) << host;
  }
  for (const char* host : {"localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]", "LOCALHOST"}) {
    config.api.host = host;
    EXPECT_TRUE(CheckStartable(config, Program::kServe).ok()) << host;
  }
}

TEST(CheckStartable, RefusesToRunWithoutAProtectionThatIsConfigured) {
  ServerConfig config = Defaults();
  config.sandbox.provider = "docker";
  EXPECT_FALSE(CheckStartable(config, Program::kCore).ok());
  config.sandbox.docker_image = "debian:12";
  EXPECT_TRUE(CheckStartable(config, Program::kCore).ok());
}

TEST(CheckStartable, LetsAServerWithAuthenticationListenAnywhere) {
  ServerConfig config = Defaults();
  config.api.host = "0.0.0.0";
  config.api.authentication_strategies.emplace();  // nobody is let in
  EXPECT_TRUE(CheckStartable(config, Program::kServe).ok());
  config.api.authentication_strategies->push_back(AuthStrategy::kJwt);
  EXPECT_TRUE(CheckStartable(config, Program::kGateway).ok());
}

TEST(CheckStartable, WantsTheFilesThatTlsNeeds) {
  const struct {
    bool mtls;
    TlsFiles files;
    bool starts;
  } kCases[] = {
      {false, {"c", "k", ""}, true}, {false, {"c", "k", "a"}, true}, {false, {"c", "", ""}, false},
      {false, {"", "k", ""}, false}, {false, {"", "", "a"}, false},  {true, {"c", "k", "a"}, true},
      {true, {"c", "k", ""}, false}, {true, {"", "", ""}, false},    {true, {"", "k", "a"}, false},
  };
  for (const auto& c : kCases) {
    ServerConfig config = Defaults();
    config.api.tls = c.files;
    if (c.mtls) config.api.authentication_strategies = {AuthStrategy::kMtls};
    for (const Program program : {Program::kServe, Program::kGateway}) {
      EXPECT_EQ(CheckStartable(config, program).ok(), c.starts) << c.mtls << c.files.cert << c.files.key;
    }
    EXPECT_TRUE(CheckStartable(config, Program::kCore).ok());
  }
}

TEST(CheckStartable, RefusesASandboxOfItsOwnThatIsNotAllowed) {
  ServerConfig config = Defaults();
  config.sandbox.allowed_providers = {"bubblewrap", "docker"};
  EXPECT_NE(MessageOf(CheckStartable(config, Program::kServe)).find("sandbox.allowed_providers"),
            std::string::npos);
  config.sandbox.provider = "bubblewrap";
  EXPECT_TRUE(CheckStartable(config, Program::kServe).ok());
}

TEST(CheckStartable, RefusesACoreOnTheNetwork) {
  ServerConfig config = Defaults();
  config.core.listen = "0.0.0.0:50051";
  EXPECT_FALSE(CheckStartable(config, Program::kCore).ok());
  EXPECT_TRUE(CheckStartable(config, Program::kServe).ok());  // no listener of its own there
  config.core.listen = "127.0.0.1:50051";
  EXPECT_TRUE(CheckStartable(config, Program::kCore).ok());
  config.core.listen = "[::1]:50051";
  EXPECT_TRUE(CheckStartable(config, Program::kCore).ok());
  config.core.listen = "nonsense";
  EXPECT_FALSE(CheckStartable(config, Program::kCore).ok());
}

TEST(CheckStartable, LetsACoreWithTlsListenAnywhere) {
  ServerConfig config = Defaults();
  config.core.tls = {"c", "k", "a"};
  config.gateway.tls = config.core.tls;
  // The default is a unix socket, where the files would protect nothing.
  EXPECT_FALSE(CheckStartable(config, Program::kCore).ok());
  config.core.listen = "0.0.0.0:50051";
  EXPECT_TRUE(CheckStartable(config, Program::kCore).ok());
  config.gateway.core = "core.example:50051";
  EXPECT_TRUE(CheckStartable(config, Program::kGateway).ok());
  for (std::string* missing : {&config.core.tls.cert, &config.core.tls.key, &config.core.tls.ca}) {
    const std::string there = std::exchange(*missing, "");
    const absl::Status status = CheckStartable(config, Program::kCore);
    EXPECT_NE(MessageOf(status).find("core.tls."), std::string::npos) << status;
    *missing = there;
  }
}

TEST(CheckStartable, RefusesAStorageThatIsNotBuilt) {
  ServerConfig config = Defaults();
  config.storage_url = "postgresql://u:hunter22@h/d";
  const absl::Status status = CheckStartable(config, Program::kServe);
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(MessageOf(status).find("hunter22"), std::string::npos);
}

TEST(Duration, IsReadAndWritten) {
  using std::chrono::milliseconds;
  EXPECT_EQ(ParseDuration("250ms"), milliseconds(250));
  EXPECT_EQ(ParseDuration("30s"), milliseconds(30'000));
  EXPECT_EQ(ParseDuration("15m"), milliseconds(900'000));
  EXPECT_EQ(ParseDuration("1d"), milliseconds(86'400'000));
  EXPECT_EQ(ParseDuration("300"), milliseconds(300'000));
  for (const char* bad : {"", "s", "-1s", "1.5s", "1w", "366d", "99999999999999999999s"}) {
    EXPECT_EQ(ParseDuration(bad), std::nullopt) << bad;
  }
  for (const char* text : {"250ms", "30s", "15m", "2h", "1d", "0s"}) {
    EXPECT_EQ(FormatDuration(*ParseDuration(text)), text);
  }
}

TEST(Environment, ReadsTheFormsOfEnvFiles) {
  Environment environment;
  std::vector<std::string> problems;
  environment.AddText(
      "# comment\r\nexport A=1\r\nB = two words # comment\nC=\"line\\nbreak \\$x\" # c\nD='$as \\n is'\nE=\n"
      "F=\"open\n1G=x\nA=again\nH=a#b\n",
      "f", &problems);
  EXPECT_EQ(environment.Find("A"), "1");
  EXPECT_EQ(environment.Find("B"), "two words");
  EXPECT_EQ(environment.Find("C"), "line\nbreak $x");
  EXPECT_EQ(environment.Find("D"), "$as \\n is");
  EXPECT_EQ(environment.Find("E"), "");
  EXPECT_EQ(environment.FindNonEmpty("E"), std::nullopt);
  EXPECT_EQ(environment.Find("F"), std::nullopt);
  EXPECT_EQ(environment.Find("H"), "a#b");
  EXPECT_EQ(problems, (std::vector<std::string>{"f:7: F: the quotes do not match; the line is skipped",
                                                "f:8: not of the form NAME=value; the line is skipped"}));
}

}  // namespace
}  // namespace fabro::config
