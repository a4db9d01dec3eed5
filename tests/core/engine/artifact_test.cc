#include "core/engine/artifact.h"

#include <gtest/gtest.h>

#include "core/base/strings.h"
#include "core/security/digest.h"

namespace fabro::engine {
namespace {

TEST(Artifact, ATextCountsByItsOwnBytes) {
  std::string quotes = JsonString(std::string(kMaxContextValue, '"'));  // twice as long as JSON
  const std::string before = quotes;
  EXPECT_EQ(TakeArtifact(quotes), std::nullopt);
  EXPECT_EQ(quotes, before);

  const std::string text(kMaxContextValue + 1, '"');
  std::string json = JsonString(text);
  const auto artifact = TakeArtifact(json);
  ASSERT_TRUE(artifact);
  EXPECT_EQ(artifact->content, text);
  EXPECT_EQ(artifact->hash, security::Sha256Hex(text));
  EXPECT_EQ(json, StrCat(R"({"$artifact":"sha256:)", artifact->hash, R"(","bytes":102401})"));
}

TEST(Artifact, AnythingElseIsItsCompactJson) {
  std::string json = "[";
  while (json.size() <= kMaxContextValue) json += "1,";
  json += "1]";
  const std::string before = json;
  const auto artifact = TakeArtifact(json);
  ASSERT_TRUE(artifact);
  EXPECT_EQ(artifact->content, before);
  EXPECT_EQ(artifact->hash, security::Sha256Hex(before));
  std::string name = json;
  EXPECT_EQ(TakeArtifact(name), std::nullopt);
}

TEST(Artifact, PeopleAreToldItsNameAndSize) {
  EXPECT_EQ(ReadableText(R"({"$artifact":"sha256:00","bytes":12})"),
            "(12 bytes, kept as artifact sha256:00)");
  for (const char* other :
       {R"("text")", R"({"$artifact":"sha256:00"})", R"({"$artifact":"sha256:00","bytes":x})",
        R"({"$artifact":"sha256:00","bytes":})", "1", "{}"}) {
    EXPECT_EQ(ReadableText(other), std::string_view(other) == R"("text")" ? "text" : other);
  }
}

}  // namespace
}  // namespace fabro::engine
