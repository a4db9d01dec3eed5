#include "core/security/principal.h"

#include <gtest/gtest.h>

namespace fabro::security {
namespace {

TEST(Principal, HasOneTextForEachKindAndName) {
  const struct {
    Principal principal;
    std::string text;
  } kCases[] = {
      {{Principal::Kind::kUser, "alice"}, "alice"},
      {{Principal::Kind::kCertificate, "alice"}, "cn:alice"},
      {{Principal::Kind::kUser, "cn:alice"}, "user:cn:alice"},
      {{Principal::Kind::kUser, "user:bob"}, "user:user:bob"},
      {{Principal::Kind::kCertificate, "cn:alice"}, "cn:cn:alice"},
      {{Principal::Kind::kCertificate, "user:bob"}, "cn:user:bob"},
      {{Principal::Kind::kUser, "Zoë Müller"}, "Zoë Müller"},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(test.principal.ToString(), test.text);
    EXPECT_EQ(Principal::Parse(test.text), test.principal) << test.text;
  }
}

TEST(Principal, TravelsAsPrintableText) {
  for (const std::string text : {"alice", "cn:Zoë Müller", "100% sure", "a b", "line\nend", "%41"}) {
    const std::string header = EncodePrincipal(text);
    for (const char c : header) EXPECT_TRUE(c > ' ' && c < 0x7F) << header;
    EXPECT_EQ(DecodePrincipal(header), text) << header;
  }
  EXPECT_EQ(EncodePrincipal("cn:a b"), "cn:a%20b");
}

TEST(Principal, WhatNoGatewaySendsIsNobody) {
  for (const std::string header : {"", "a b", "%", "%4", "%zz", "a%0", "%FF", "caf\xC3\xA9", "a\n"}) {
    EXPECT_EQ(DecodePrincipal(header), std::nullopt) << header;
  }
  EXPECT_TRUE(DecodePrincipal(std::string(kMaxPrincipalBytes, 'a')).has_value());
  EXPECT_EQ(DecodePrincipal(std::string(kMaxPrincipalBytes + 1, 'a')), std::nullopt);
}

}  // namespace
}  // namespace fabro::security
