#include "gateway/route/path_template.h"

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace fabro::route {
namespace {

TEST(PathTemplate, KnowsLiteralsAndVariables) {
  const auto path = PathTemplate::Parse("/runs/{id}/questions/{qid=*}/answer");
  ASSERT_TRUE(path.ok());
  EXPECT_EQ(path->variables(), (std::vector<std::string>{"id", "qid"}));
  EXPECT_EQ(path->Pattern(), "/runs/{}/questions/{}/answer");
  EXPECT_EQ(PathTemplate::Parse("/")->segments().size(), 0u);
  EXPECT_EQ(PathTemplate::Parse("/")->Pattern(), "/");
  EXPECT_EQ(PathTemplate::Parse("/openapi.json")->Pattern(), "/openapi.json");
  EXPECT_EQ(PathTemplate::Parse("/{run.id}")->variables(), std::vector<std::string>{"run.id"});
}

TEST(PathTemplate, RefusesWhatItCannotServe) {
  for (const char* text :
       {"", "runs", "/runs/", "//", "/runs//x", "/{id=**}", "/{id=a/*}", "/*", "/**", "/{id", "/id}", "/{}",
        "/{1d}", "/{a.}", "/runs:cancel", "/{id}/{id}", "/{a}{b}", "/x y"}) {
    EXPECT_FALSE(PathTemplate::Parse(text).ok()) << text;
  }
  EXPECT_EQ(MessageOf(PathTemplate::Parse("/a/{b=c/*}").status()),
            "path template \"/a/{b=c/*}\": a variable holds exactly one segment: {name} or {name=*}");
}

TEST(PercentDecode, ResolvesEscapes) {
  std::string out;
  EXPECT_TRUE(PercentDecode("a%2Fb%20c+d%c3%A9", false, out));
  EXPECT_EQ(out, "a/b c+dé");
  EXPECT_TRUE(PercentDecode("a+b%2B", true, out));
  EXPECT_EQ(out, "a b+");
  for (const char* broken : {"%", "%2", "a%", "%zz", "%2g", "% 20"}) {
    EXPECT_FALSE(PercentDecode(broken, false, out)) << broken;
  }
}

TEST(PercentEncode, IsUndoneByDecoding) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  std::string encoded, back;
  AppendPercentEncoded(encoded, all);
  ASSERT_TRUE(PercentDecode(encoded, true, back));
  EXPECT_EQ(back, all);
  EXPECT_EQ(encoded.find('/'), std::string::npos);
}

}  // namespace
}  // namespace fabro::route
