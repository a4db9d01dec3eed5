#include "core/security/certificate.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "tests/support/pki.h"
#include "tests/support/temp_directory.h"

namespace fabro::security {
namespace {

using fabro::testing::CertificateSpec;
using fabro::testing::Issue;
using fabro::testing::Issued;
using fabro::testing::MakeAuthority;
using fabro::testing::MakeClient;
using fabro::testing::TempDirectory;
using fabro::testing::WriteFile;

class CertificateTest : public ::testing::Test {
 protected:
  std::string Put(const std::string& name, const std::string& text) {
    const std::string path = directory_.path().string() + "/" + name;
    WriteFile(path, text);
    return path;
  }
  std::string Refusal(const std::string& cert, const std::string& key,
                      CertificateUse use = CertificateUse::kServer) {
    const auto loaded = LoadIdentity(cert, key, use, SystemClock().Now());
    if (loaded.ok()) return "it was accepted";
    EXPECT_EQ(loaded.status().code(), absl::StatusCode::kFailedPrecondition);
    return MessageOf(loaded.status());
  }
  static bool Says(const std::string& message, std::string_view part) {
    return message.find(part) != std::string::npos;
  }

  TempDirectory directory_;
  const Issued authority_ = MakeAuthority("Test CA");
  const Issued server_ = Issue({}, &authority_);
};

TEST_F(CertificateTest, ReadsAPairAndTellsWhoseItIs) {
  const auto identity =
      LoadIdentity(Put("c", server_.cert_pem() + authority_.cert_pem()), Put("k", server_.key_pem()),
                   CertificateUse::kServer, SystemClock().Now());
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->common_name, "localhost");
  EXPECT_EQ(identity->key_pem.Reveal(), server_.key_pem());
  EXPECT_GT(identity->expires_at, SystemClock().Now());
}

TEST_F(CertificateTest, SaysWhichFileIsWrongAndWhatToDo) {
  const std::string cert = Put("server.crt", server_.cert_pem());
  const std::string key = Put("server.key", server_.key_pem());
  const std::string missing = directory_.path().string() + "/none";
  const Issued other = Issue({}, &authority_);

  struct Case {
    std::string cert, key, at_fault;
    std::vector<std::string_view> says;
  };
  const Case cases[] = {
      {missing, key, missing, {"No such file", "Correct the path"}},
      {cert, missing, missing, {"No such file"}},
      {directory_.path().string(), key, directory_.path().string(), {"is not a file"}},
      {key, cert, key, {"holds no certificate: it begins with PRIVATE KEY"}},
      {cert, cert, cert, {"holds no usable private key: it begins with CERTIFICATE"}},
      {Put("text", "hello"), key, "text", {"it is not PEM"}},
      {Put("cut", server_.cert_pem().substr(0, 200)), key, "cut", {"damaged"}},
      {cert, Put("other", other.key_pem()), "other", {"is not the key of the certificate in", cert}},
  };
  for (const Case& each : cases) {
    const std::string message = Refusal(each.cert, each.key);
    EXPECT_TRUE(Says(message.substr(0, message.find(' ')), each.at_fault)) << message;
    for (const std::string_view part : each.says) EXPECT_TRUE(Says(message, part)) << message;
  }
}

TEST_F(CertificateTest, RefusesAKeyWithAPassphrase) {
  const fabro::testing::BioPtr bio(BIO_new(BIO_s_mem()));
  const std::string word = "secret";
  ASSERT_EQ(PEM_write_bio_PKCS8PrivateKey(bio.get(), server_.key.get(), EVP_aes_128_cbc(), word.data(), 6,
                                          nullptr, nullptr),
            1);
  const std::string message =
      Refusal(Put("c", server_.cert_pem()), Put("k", fabro::testing::TextOf(bio.get())));
  EXPECT_TRUE(Says(message, "passphrase")) << message;
}

TEST_F(CertificateTest, ValidityHoldsToTheSecond) {
  CertificateSpec spec;
  spec.from = 1'800'000'000;
  spec.to = 1'800'000'100;
  const Issued certificate = Issue(spec, &authority_);
  const std::string cert = Put("c", certificate.cert_pem());
  const std::string key = Put("k", certificate.key_pem());
  auto at = [&](std::int64_t ms) {
    return LoadIdentity(cert, key, CertificateUse::kServer, Timestamp{ms}).status();
  };
  EXPECT_TRUE(Says(MessageOf(at(1'799'999'999'999)), "is not valid before 2027-01-15T08:00:00.000Z"));
  EXPECT_TRUE(at(1'800'000'000'000).ok());
  EXPECT_TRUE(at(1'800'000'099'999).ok());
  EXPECT_TRUE(Says(MessageOf(at(1'800'000'100'000)), "has expired at 2027-01-15T08:01:40.000Z"));
}

TEST_F(CertificateTest, MayOnlyBeUsedForWhatItWasMadeFor) {
  const Issued client = MakeClient("alice", authority_);
  const std::string cert = Put("c", client.cert_pem());
  const std::string key = Put("k", client.key_pem());
  EXPECT_TRUE(Says(Refusal(cert, key), "serverAuth"));
  EXPECT_EQ(Refusal(cert, key, CertificateUse::kClient), "it was accepted");
  EXPECT_TRUE(
      Says(Refusal(Put("sc", server_.cert_pem()), Put("sk", server_.key_pem()), CertificateUse::kClient),
           "clientAuth"));
}

TEST_F(CertificateTest, AuthoritiesMustBeAuthorities) {
  const Timestamp now = SystemClock().Now();
  EXPECT_TRUE(LoadAuthorities(Put("ca", authority_.cert_pem()), now).ok());
  EXPECT_TRUE(Says(MessageOf(LoadAuthorities(Put("leaf", server_.cert_pem()), now).status()), "CA:FALSE"));
  EXPECT_TRUE(
      Says(MessageOf(LoadAuthorities(directory_.path().string() + "/none", now).status()), "No such file"));
  EXPECT_TRUE(
      Says(MessageOf(LoadAuthorities(Put("key", authority_.key_pem()), now).status()), "PRIVATE KEY"));
  const Timestamp late = now + std::chrono::hours(48);
  EXPECT_TRUE(Says(MessageOf(LoadAuthorities(Put("ca", authority_.cert_pem()), late).status()), "expired"));
}

TEST_F(CertificateTest, ACommonNameIsOneAndPlain) {
  auto name_of = [&](std::vector<std::string> names) {
    CertificateSpec spec;
    spec.common_names = std::move(names);
    return CommonNameOf(Issue(spec, &authority_).certificate.get());
  };
  EXPECT_EQ(name_of({"alice"}), "alice");
  EXPECT_EQ(name_of({"Zoë Ångström"}), "Zoë Ångström");
  EXPECT_EQ(name_of({"*.example, and/=+"}), "*.example, and/=+");
  EXPECT_EQ(name_of({}), "");
  EXPECT_EQ(name_of({"alice", "root"}), "");
  EXPECT_EQ(name_of({std::string("alice\0.evil", 11)}), "");
  EXPECT_EQ(name_of({"two\nlines"}), "");
}

TEST_F(CertificateTest, AChangeCountsOnceItHasSettled) {
  const std::string cert = Put("c", "1");
  const std::string key = Put("k", "1");
  FileStamps stamps({cert, key});
  EXPECT_FALSE(stamps.HaveChanged());
  WriteFile(cert, "2");
  EXPECT_FALSE(stamps.HaveChanged());  // the key may still be on its way
  WriteFile(key, "2");
  EXPECT_FALSE(stamps.HaveChanged());
  EXPECT_TRUE(stamps.HaveChanged());
  EXPECT_FALSE(stamps.HaveChanged());
  std::filesystem::remove(key);
  EXPECT_FALSE(stamps.HaveChanged());
  EXPECT_TRUE(stamps.HaveChanged());
}

}  // namespace
}  // namespace fabro::security
