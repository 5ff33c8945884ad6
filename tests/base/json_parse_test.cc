#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "base/json.h"
#include "fixtures.h"
#include "temporary_folder.h"

namespace lodestone {
namespace {

std::string Parsed(std::string_view text) {
  const Result<Json> json = ParseJson(text, "x.json");
  return json.ok() ? json->Dump(-1) : json.error().message;
}

TEST(ParseJsonTest, ReadsEveryKindInFileOrder) {
  EXPECT_EQ(Parsed(" {\"b\": [1, -2, 3.5, 1e3, true, false, null], \"a\": {}}\n"),
            R"({"b":[1,-2,3.5,1000.0,true,false,null],"a":{}})");
  EXPECT_EQ(Parsed("\"alone\""), "\"alone\"");
  EXPECT_EQ(Parsed("\xEF\xBB\xBF[]"), "[]");  // a byte order mark
}

TEST(ParseJsonTest, ValuesHaveNoLine) { EXPECT_EQ(ParseJson("\n\n1", "x.json")->line, 0); }

TEST(ParseJsonTest, UnicodeEscapes) {
  EXPECT_EQ(*ParseJson(R"("\u0041\u00e9\u20AC\ud83d\ude00\u0000")", "x")->as_string(), std::string("Aé€😀\0", 11));
  EXPECT_EQ(Parsed(R"("\ud83d")"),
            "x.json:1:8: invalid JSON: invalid string: surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF "
            "near '\"\\ud83d\"'");
  EXPECT_NE(Parsed(R"("\udc00")").find("x.json:1:"), std::string::npos);
  EXPECT_NE(Parsed(R"("\u12g4")").find("x.json:1:6: invalid JSON"), std::string::npos) << Parsed(R"("\u12g4")");
}

TEST(ParseJsonTest, IntegersKeepAll64BitsAndLargerOnesBecomeReals) {
  EXPECT_EQ(*ParseJson("9223372036854775807", "x")->as_int(), INT64_MAX);
  EXPECT_EQ(*ParseJson("-9223372036854775808", "x")->as_int(), INT64_MIN);
  for (const char* text : {"9223372036854775808", "18446744073709551616", "-9223372036854775809"}) {
    const Result<Json> json = ParseJson(text, "x");
    ASSERT_TRUE(json.ok()) << json.error().message;
    EXPECT_EQ(json->as_int(), nullptr) << text;
    EXPECT_DOUBLE_EQ(*json->as_number(), std::stod(text));
  }
}

TEST(ParseJsonTest, RefusesNumbersBeyondADouble) {
  EXPECT_EQ(Parsed("[1e400]"),
            "x.json:1:6: found a number near '[1e400', expected one within the range of a double, ±1.8e308");
  EXPECT_EQ(Parsed("[1" + std::string(400, '0') + "]").substr(0, 32), "x.json:1:402: found a number nea");
}

TEST(ParseJsonTest, ErrorsNameLineAndColumn) {
  EXPECT_EQ(Parsed(""), "x.json:1:1: invalid JSON: unexpected end of input; expected '[', '{', or a literal");
  EXPECT_EQ(Parsed("{\n  \"a\": [1,]\n}"),
            "x.json:2:11: invalid JSON: unexpected ']' near '  \"a\": [1,]'; expected '[', '{', or a literal");
  EXPECT_EQ(Parsed("{\"a\" 1}"), "x.json:1:6: invalid JSON: unexpected number literal near '{\"a\" 1'; expected ':'");
  EXPECT_EQ(Parsed("\r\n@"), "x.json:2:1: invalid JSON: invalid literal near '@'");
  EXPECT_EQ(Parsed("1 2"), "x.json:1:3: invalid JSON: unexpected number literal near '1 2'; expected end of input");
  EXPECT_EQ(Parsed("[\"\xff\"]"), "x.json:1:3: invalid JSON: invalid string: ill-formed UTF-8 byte near '[\"\\xff'");
}

TEST(ParseJsonTest, RefusesWhatIsNotJson) {
  for (const char* text : {"// c\n1", "{a: 1}", "['a']", "[1,]", "{\"a\":1,}", "01", "+1", ".5", "1.", "NaN",
                           "Infinity", "\"\t\"", "\"\\x41\"", "tru", "[1 2]", "}", "[}"}) {
    EXPECT_NE(Parsed(text).find("invalid JSON"), std::string::npos) << text << " -> " << Parsed(text);
  }
}

TEST(ParseJsonTest, EveryCutOfATextIsRefused) {
  const std::string text = R"({"a": [1, "b\u00e9", {"c": null}], "d": true})";
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(ParseJson(std::string_view(text).substr(0, size), "x").ok()) << size;
  }
  EXPECT_TRUE(ParseJson(text, "x").ok());
}

TEST(ParseJsonTest, AZeroByteDoesNotEndTheText) {
  EXPECT_EQ(Parsed(std::string_view("{}\n\0garbage", 11)), "x.json:2:1: found a zero byte, expected JSON text");
}

TEST(ParseJsonTest, LongTextsAreNotRepeatedInMessages) {
  const Result<Json> json = ParseJson("\"" + std::string(1 << 20, 'a'), "x");
  ASSERT_FALSE(json.ok());
  EXPECT_LT(json.error().message.size(), 200u);
}

TEST(ParseJsonTest, DuplicateKeysAreRefusedWithThePlaceOfTheSecond) {
  EXPECT_EQ(Parsed("{\"a\": 1,\n  \"a\": 2}"),
            "x.json:2:3: found the key 'a' twice in one object, expected unique keys");
  EXPECT_EQ(Parsed(R"({"\\\"":1,"\\\"":2})"),
            R"(x.json:1:11: found the key '\"' twice in one object, expected unique keys)");
  EXPECT_EQ(Parsed(R"({"a":1,"\u0061":2})"), "x.json:1:8: found the key 'a' twice in one object, expected unique keys");
  EXPECT_EQ(Parsed(R"({"a":{"a":1},"b":{"a":1}})"), R"({"a":{"a":1},"b":{"a":1}})");
}

// Sizes on both sides of every change of the key table: the direct search, the first table, each growth.
TEST(ParseJsonTest, DuplicateKeysAreFoundInObjectsOfEverySize) {
  for (int size = 1; size <= 300; ++size) {
    std::string members;
    for (int i = 0; i < size; ++i) members += fmt::format("\"key{}\":{},", i, i);
    for (int repeated : {0, size / 2, size - 1}) {
      const Result<Json> json = ParseJson(fmt::format("{{{}\"key{}\":0}}", members, repeated), "x");
      ASSERT_FALSE(json.ok()) << size << " " << repeated;
      EXPECT_NE(json.error().message.find(fmt::format("the key 'key{}' twice", repeated)), std::string::npos);
    }
    const Result<Json> json = ParseJson(fmt::format("{{{}\"other\":0}}", members), "x");
    ASSERT_TRUE(json.ok()) << json.error().message;
    EXPECT_EQ(json->as_object()->size(), static_cast<size_t>(size) + 1);
  }
}

TEST(ParseJsonTest, AVocabularyKeepsAllItsEntries) {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += fmt::format("{}\"token{}\":{}", i > 0 ? "," : "", i, i);
  const Result<Json> json = ParseJson(text + "}", "x");
  ASSERT_TRUE(json.ok()) << json.error().message;
  ASSERT_EQ(json->as_object()->size(), 200'000u);
  EXPECT_EQ(json->as_object()->back().first, "token199999");
  EXPECT_EQ(*json->as_object()->back().second.as_int(), 199'999);
  EXPECT_FALSE(ParseJson(text + ",\"token77\":0}", "x").ok());
}

std::string Nested(int levels, std::string_view open, std::string_view close) {
  std::string text;
  for (int i = 0; i < levels; ++i) text += open;
  text += "1";
  for (int i = 0; i < levels; ++i) text += close;
  return text;
}

TEST(ParseJsonTest, DepthIsBounded) {
  EXPECT_TRUE(ParseJson(Nested(64, "[", "]"), "x").ok());
  EXPECT_TRUE(ParseJson(Nested(64, "{\"a\":", "}"), "x").ok());
  EXPECT_EQ(Parsed(Nested(65, "[", "]")),
            "x.json:1:65: found values nested deeper than 64, expected at most 64 levels");
  EXPECT_FALSE(ParseJson(Nested(65, "{\"a\":", "}"), "x").ok());
  EXPECT_TRUE(ParseJson("[[1]]", "x", {.max_depth = 2}).ok());
  EXPECT_FALSE(ParseJson("[[[1]]]", "x", {.max_depth = 2}).ok());
  EXPECT_TRUE(ParseJson("1", "x", {.max_depth = 0}).ok());
  EXPECT_FALSE(ParseJson("[]", "x", {.max_depth = 0}).ok());
  // Depth, not count: siblings do not add up.
  EXPECT_TRUE(ParseJson(fmt::format("[{0},{0}]", Nested(63, "[", "]")), "x").ok());
}

TEST(ParseJsonTest, AMillionLevelsDoNotTakeTheStack) {
  EXPECT_FALSE(ParseJson(std::string(1'000'000, '['), "x").ok());
  EXPECT_FALSE(ParseJson(Nested(1'000'000, "{\"a\":[", "]}"), "x").ok());
}

TEST(ReadJsonFileTest, NamesTheFile) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.Write("x.json", "{\"a\": }").string();
  EXPECT_EQ(ReadJsonFile(path, 100).error().message.substr(0, path.size() + 6), path + ":1:7: ");
  EXPECT_EQ(ReadJsonFile(path, 3).error().message, path + ": found 7 bytes, expected at most 3");
  folder.Write("x.json", "{\"a\": 1}");
  const Result<Json> json = ReadJsonFile(path, 100);
  ASSERT_TRUE(json.ok()) << json.error().message;
  EXPECT_EQ(*json->Find("a")->as_int(), 1);
}

TEST(ReadJsonFileTest, ReadsATokenizer) {
  LODESTONE_REQUIRE_FIXTURE("fixtures/gpt2-tokenizer/tokenizer.json");
  const std::string path = (testing::SharedDir() / "fixtures/gpt2-tokenizer/tokenizer.json").string();
  const Result<Json> json = ReadJsonFile(path, 64 << 20);
  ASSERT_TRUE(json.ok()) << json.error().message;
  const Json* model = json->Find("model");
  ASSERT_NE(model, nullptr);
  ASSERT_NE(model->Find("vocab"), nullptr);
  EXPECT_EQ(model->Find("vocab")->as_object()->size(), 50'257u);
}

}  // namespace
}  // namespace lodestone
