#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "base/json.h"
#include "temporary_folder.h"

namespace lodestone {
namespace {

std::string Parsed(std::string_view text) {
  const Result<Json> json = ParseToml(text, "x.toml");
  return json.ok() ? json->Dump(-1) : json.error().message;
}

TEST(ParseTomlTest, ReadsEveryKind) {
  EXPECT_EQ(Parsed("a = 1_000\nb = 0xff\nc = 1.5\nd = 1e6\ne = true\nf = 'x'\ng = [1, [2]]\nh = { i = \"\\u00e9\" }"),
            R"({"a":1000,"b":255,"c":1.5,"d":1000000.0,"e":true,"f":"x","g":[1,[2]],"h":{"i":"é"}})");
  EXPECT_EQ(Parsed(""), "{}");
  const Result<Json> json = ParseToml("a = inf\nb = nan", "x");
  ASSERT_TRUE(json.ok()) << json.error().message;
  EXPECT_TRUE(std::isinf(*json->Find("a")->as_number()));
  EXPECT_TRUE(std::isnan(*json->Find("b")->as_number()));
}

TEST(ParseTomlTest, MembersStandInFileOrder) {
  EXPECT_EQ(Parsed("[z]\ny = 1\nb = 2\n[[m]]\nq = 1\n[a.b]\nk = 1\n[[m]]\nq = 2\n[a]\nc = 3"),
            R"({"z":{"y":1,"b":2},"m":[{"q":1},{"q":2}],"a":{"b":{"k":1},"c":3}})");
}

TEST(ParseTomlTest, EveryValueKnowsItsLine) {
  const Result<Json> json = ParseToml("a = 1\n\n[b.c]\nd = [1,\n  2]\n[[e]]\nf = 1\n[[e]]\ng = { h = 2 }\n", "x");
  ASSERT_TRUE(json.ok()) << json.error().message;
  EXPECT_EQ(json->line, 1);
  EXPECT_EQ(json->Find("a")->line, 1);
  EXPECT_EQ(json->Find("b")->line, 3);
  const Json* c = json->Find("b")->Find("c");
  EXPECT_EQ(c->line, 3);
  EXPECT_EQ(c->Find("d")->line, 4);
  EXPECT_EQ((*c->Find("d")->as_array())[1].line, 5);
  const Json::Array& e = *json->Find("e")->as_array();
  EXPECT_EQ(e[0].line, 6);
  EXPECT_EQ(e[0].Find("f")->line, 7);
  EXPECT_EQ(e[1].line, 8);
  EXPECT_EQ(e[1].Find("g")->Find("h")->line, 9);
}

TEST(ParseTomlTest, ErrorsNameLineAndColumn) {
  EXPECT_EQ(Parsed("a = 1\nb = "),
            "x.toml:2:5: invalid TOML: Error while parsing key-value pair: encountered end-of-file");
  EXPECT_EQ(Parsed("a = 99999999999999999999").substr(0, 27), "x.toml:1:25: invalid TOML: ");
  EXPECT_EQ(Parsed("[t]\na = 1\na = 2").substr(0, 11), "x.toml:3:5:");
  EXPECT_NE(Parsed("a = 1\na = 2").find("cannot redefine existing integer 'a'"), std::string::npos);
}

TEST(ParseTomlTest, RefusesWhatIsNotToml) {
  for (const char* text :
       {"a", "a =", "= 1", "a = 1 b = 2", "[a", "[a]\n[a]", "a = \"x", "a = '''x", "a = [1, 2", "a = { b = 1", "a = 01",
        "a = \"\xff\"", "a = \"\\q\"", "a.b = 1\na = 2", "\x01", "a = 0x", "a = truE", "a = 1e", "a = \"\\uD800\""}) {
    EXPECT_NE(Parsed(text).find("invalid TOML"), std::string::npos) << text << " -> " << Parsed(text);
  }
}

TEST(ParseTomlTest, RefusesDatesByName) {
  constexpr const char* kRest =
      ": found a date or time, expected a string, number, boolean, array or table; write it as a string in quotes";
  EXPECT_EQ(Parsed("a = 1\nb = 2024-05-27"), std::string("x.toml:2:5: key 'b'") + kRest);
  EXPECT_EQ(Parsed("[t]\nb = [1, 07:32:00]"), std::string("x.toml:2:9: key 't.b[1]'") + kRest);
  EXPECT_EQ(Parsed("[[t]]\nb.c = 2024-05-27T07:32:00Z"), std::string("x.toml:2:7: key 't[0].b.c'") + kRest);
}

std::string Dotted(int parts) {
  std::string key = "a";
  for (int i = 1; i < parts; ++i) key += ".a";
  return key;
}

TEST(ParseTomlTest, DepthIsBounded) {
  // The document itself is a level, and so is each table but not the value.
  EXPECT_TRUE(ParseToml(Dotted(63) + " = 1", "x").ok());
  EXPECT_FALSE(ParseToml(Dotted(64) + " = 1", "x").ok());
  EXPECT_FALSE(ParseToml(fmt::format("[{0}]\n{0} = 1", Dotted(40)), "x").ok());
  EXPECT_TRUE(ParseToml("a = " + std::string(62, '[') + std::string(62, ']'), "x").ok());
  EXPECT_EQ(Parsed("\nb = " + std::string(65, '[') + std::string(65, ']')),
            "x.toml:2:69: found values nested deeper than 64, expected at most 64 levels");
}

TEST(ParseTomlTest, AMillionLevelsDoNotTakeTheStack) {
  const std::string key = Dotted(1'000'000);
  for (const std::string& text : {key + " = 1", "[" + key + "]", "[[" + key + "]]", "a = { " + key + " = 1 }",
                                  "'quoted'." + key + " = 1", "a = " + std::string(1'000'000, '['),
                                  "x = '''it's'''\n" + key + " = 1", "x = \"\"\"a\\\"\"\"\"\"\n" + key + " = 1"}) {
    const Result<Json> json = ParseToml(text, "x");
    ASSERT_FALSE(json.ok()) << text.substr(0, 40);
    EXPECT_NE(json.error().message.find("nested deeper than 64"), std::string::npos) << json.error().message;
  }
}

// The most that the bounds on dots and on brackets let through together, before the levels of the tree are counted.
TEST(ParseTomlTest, DottedKeysInNestedTablesAreRefusedToo) {
  std::string text;
  for (int i = 0; i < 32; ++i) text += (i > 0 ? "[{" : "") + Dotted(63) + (i > 0 ? "=" : " = ");
  text += "1";
  for (int i = 1; i < 32; ++i) text += "}]";
  EXPECT_NE(Parsed(text).find("nested deeper than 64"), std::string::npos) << Parsed(text).substr(0, 300);
}

TEST(ParseTomlTest, DotsAndBracketsInTextAreNoLevels) {
  const std::string dots(500, '.');
  const std::string brackets(500, '[');
  const std::string many = dots + brackets;
  EXPECT_TRUE(ParseToml("# " + many + "\na = 1", "x").ok());
  for (const char* quote : {"\"", "'", "\"\"\"", "'''"}) {
    const std::string text = std::string("a = ") + quote + many + quote + " # " + many + "\nb = 1";
    EXPECT_TRUE(ParseToml(text, "x").ok()) << quote << ParseToml(text, "x").error().message;
  }
  EXPECT_TRUE(ParseToml("a = \"\"\"x\n" + many + "\\\"\"\" " + many + "\"\"\"\"\"\nb = 1", "x").ok());
  std::string reals = "a = [";
  for (int i = 0; i < 500; ++i) reals += "1.5, ";
  EXPECT_TRUE(ParseToml(reals + "]", "x").ok());
  EXPECT_TRUE(ParseToml("\"" + many + "\" = 1", "x").ok());
}

TEST(ReadTomlFileTest, NamesTheFile) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.Write("x.toml", "a = 1\nb 2").string();
  const Result<Json> json = ReadTomlFile(path, 100);
  ASSERT_FALSE(json.ok());
  EXPECT_TRUE(json.error().message.starts_with(path + ":2:3: invalid TOML: ")) << json.error().message;
  EXPECT_EQ(ReadTomlFile(folder.path() / "none", 1).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace lodestone
