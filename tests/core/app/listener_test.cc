// Who a caller is, by the listener that they come through.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include "core/app/core_app.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "fabro/v1/discovery.grpc.pb.h"
#include "tests/support/pki.h"
#include "tests/support/temp_directory.h"

namespace fabro::app {
namespace {

using testing::Issued;

class ListenerTest : public ::testing::Test {
 protected:
  std::string At(const std::string& name) const { return (folder_.path() / name).string(); }

  void WriteServer(const Issued& authority) {
    const Issued server = testing::Issue({}, &authority);
    testing::WriteFile(At("core.crt"), server.cert_pem());
    testing::WriteFile(At("core.key"), server.key_pem());
    testing::WriteFile(At("ca.crt"), authority.cert_pem());
  }
  absl::Status Start(const std::string& core_section) {
    CoreOptions options;
    const auto loaded = config::LoadText(
        StrCat("storage_dir = \"", At("storage"), "\"\n[core]\n", core_section), "test", "/");
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    options.config = loaded->config;
    options.stage_helper = std::filesystem::absolute(FABRO_STAGE_PROGRAM).string();
    auto app = CoreApp::Start(runtime_, std::move(options));
    if (app.ok()) app_ = *std::move(app);
    return app.status();
  }
  absl::Status StartTls(const std::string& more = "") {
    return Start(StrCat("listen = \"localhost:0\"\n", more, "\n[core.tls]\ncert = \"", At("core.crt"),
                        "\"\nkey = \"", At("core.key"), "\"\nca = \"", At("ca.crt"), "\""));
  }
  std::shared_ptr<grpc::Channel> Connect(const Issued& authority, const Issued* client) const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = authority.cert_pem();
    if (client != nullptr) {
      options.pem_cert_chain = client->cert_pem();
      options.pem_private_key = client->key_pem();
    }
    return Connect(grpc::SslCredentials(options));
  }
  std::shared_ptr<grpc::Channel> Connect(const std::shared_ptr<grpc::ChannelCredentials>& credentials) const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(app_->address(), credentials, arguments);
  }
  // The login, or the code of the refusal.
  static std::string UserOn(const std::shared_ptr<grpc::Channel>& channel, const std::string& as = "") {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    if (!as.empty()) context.AddMetadata("x-fabro-principal", as);
    v1::UserResponse user;
    const grpc::Status status =
        v1::DiscoveryService::NewStub(channel)->GetUser(&context, v1::GetUserRequest(), &user);
    return status.ok() ? user.login() : StrCat("refused ", static_cast<int>(status.error_code()));
  }
  static const std::string& Unauthenticated() {
    static const std::string text = StrCat("refused ", static_cast<int>(grpc::StatusCode::UNAUTHENTICATED));
    return text;
  }
  static const std::string& NoHandshake() {
    static const std::string text = StrCat("refused ", static_cast<int>(grpc::StatusCode::UNAVAILABLE));
    return text;
  }
  // Until a new connection of `client` is answered so.
  void AwaitUser(const Issued& authority, const Issued& client, const std::string& user) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (UserOn(Connect(authority, &client)) != user) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up);
      std::this_thread::yield();
    }
  }

  testing::TempDirectory folder_;
  Runtime runtime_{2};
  std::unique_ptr<CoreApp> app_;
};

TEST_F(ListenerTest, KnowsTheHolderOfACertificate) {
  const Issued authority = testing::MakeAuthority("ours");
  WriteServer(authority);
  ASSERT_TRUE(StartTls("trusted_gateways = [\"gate\"]").ok());
  const Issued alice = testing::MakeClient("alice", authority);
  const Issued gate = testing::MakeClient("gate", authority);
  const auto as_alice = Connect(authority, &alice);
  EXPECT_EQ(UserOn(as_alice), "alice");
  EXPECT_EQ(UserOn(as_alice, "bob"), "alice");  // only a gateway speaks for others
  EXPECT_EQ(UserOn(as_alice, "%zz"), "alice");
  const auto as_gate = Connect(authority, &gate);
  EXPECT_EQ(UserOn(as_gate), "gate");
  EXPECT_EQ(UserOn(as_gate, "bob"), "bob");
  EXPECT_EQ(UserOn(as_gate, "cn:carol"), "carol");
  EXPECT_EQ(UserOn(as_gate, "%zz"), Unauthenticated());
}

TEST_F(ListenerTest, ACertificateThatNamesNobodyIsRefused) {
  const Issued authority = testing::MakeAuthority("ours");
  WriteServer(authority);
  ASSERT_TRUE(StartTls().ok());
  for (const std::string names : {"", "DNS:alice"}) {
    testing::CertificateSpec spec;
    spec.common_names = {};
    spec.usage = "clientAuth";
    spec.alternative_names = names;
    const Issued nobody = testing::Issue(spec, &authority);
    EXPECT_EQ(UserOn(Connect(authority, &nobody)), Unauthenticated()) << names;
    EXPECT_EQ(UserOn(Connect(authority, &nobody), "local"), Unauthenticated()) << names;
  }
}

TEST_F(ListenerTest, WhoShowsNoGoodCertificateDoesNotComeIn) {
  const Issued authority = testing::MakeAuthority("ours");
  const Issued other = testing::MakeAuthority("ours");  // of the same name
  WriteServer(authority);
  ASSERT_TRUE(StartTls().ok());
  EXPECT_EQ(UserOn(Connect(authority, nullptr)), NoHandshake());
  const Issued foreign = testing::MakeClient("alice", other);
  EXPECT_EQ(UserOn(Connect(authority, &foreign)), NoHandshake());
  testing::CertificateSpec spec;
  spec.common_names = {"alice"};
  spec.usage = "serverAuth";
  const Issued server = testing::Issue(spec, &authority);
  EXPECT_EQ(UserOn(Connect(authority, &server)), NoHandshake());
  spec.usage = "clientAuth";
  spec.from = std::time(nullptr) - 7200;
  spec.to = std::time(nullptr) - 3600;
  const Issued expired = testing::Issue(spec, &authority);
  EXPECT_EQ(UserOn(Connect(authority, &expired)), NoHandshake());
  EXPECT_EQ(UserOn(Connect(grpc::InsecureChannelCredentials())), NoHandshake());
}

TEST_F(ListenerTest, TakesNewFilesAndKeepsTheGoodOnesWhenTheyAreBroken) {
  const Issued old_authority = testing::MakeAuthority("old");
  const Issued new_authority = testing::MakeAuthority("new");
  const Issued old_client = testing::MakeClient("alice", old_authority);
  const Issued new_client = testing::MakeClient("alice", new_authority);
  WriteServer(old_authority);
  ASSERT_TRUE(StartTls().ok());
  const auto long_lived = Connect(old_authority, &old_client);
  EXPECT_EQ(UserOn(long_lived), "alice");
  testing::WriteFile(At("core.crt"), "rubbish");
  EXPECT_EQ(UserOn(Connect(old_authority, &old_client)), "alice");
  WriteServer(new_authority);
  AwaitUser(new_authority, new_client, "alice");
  EXPECT_EQ(UserOn(Connect(old_authority, &old_client)), NoHandshake());
  EXPECT_EQ(UserOn(long_lived), "alice");
  testing::WriteFile(At("core.crt"), "rubbish");
  testing::WriteFile(At("ca.crt"), "rubbish");
  const Issued later = testing::MakeClient("bob", new_authority);
  EXPECT_EQ(UserOn(Connect(new_authority, &later)), "bob");
}

TEST_F(ListenerTest, FilesThatAreNoGoodStopTheStart) {
  const Issued authority = testing::MakeAuthority("ours");
  WriteServer(authority);
  testing::WriteFile(At("core.key"), testing::PrivatePem(testing::MakeKey().get()));
  EXPECT_NE(MessageOf(StartTls()).find("core.key"), std::string::npos);
  std::filesystem::remove(At("core.crt"));
  EXPECT_NE(MessageOf(StartTls()).find("core.crt"), std::string::npos);
}

TEST_F(ListenerTest, ThePlainListenerTrustsNoHeader) {
  ASSERT_TRUE(Start("listen = \"127.0.0.1:0\"").ok());
  const auto channel = Connect(grpc::InsecureChannelCredentials());
  EXPECT_EQ(UserOn(channel), "local");
  EXPECT_EQ(UserOn(channel, "alice"), "local");
}

TEST_F(ListenerTest, TheUnixSocketIsForItsUserUnlessSharedWithItsGroup) {
  for (const auto& [mode, bits] : {std::pair{"0600", 0600U}, {"0660", 0660U}}) {
    app_.reset();
    ASSERT_TRUE(Start(StrCat("listen = \"unix:", At("s"), "\"\nsocket_mode = \"", mode, "\"")).ok());
    struct stat found{};
    ASSERT_EQ(::stat(At("s").c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, bits);
    const auto channel = Connect(grpc::InsecureChannelCredentials());
    EXPECT_EQ(UserOn(channel), "local");
    EXPECT_EQ(UserOn(channel, "alice"), "alice");
    EXPECT_EQ(UserOn(channel, "%zz"), Unauthenticated());
  }
}

}  // namespace
}  // namespace fabro::app
