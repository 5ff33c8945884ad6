#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "base/json.h"

namespace lodestone {
namespace {

constexpr int64_t kIntMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kIntMax = std::numeric_limits<int64_t>::max();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Json Toml(std::string_view text) {
  Result<Json> json = ParseToml(text, "card.toml");
  EXPECT_TRUE(json.ok()) << json.error().message;
  return json.ok() ? *std::move(json) : Json();
}

// The message that one read of `text` leaves behind.
template <typename Read>
std::string MessageOf(std::string_view text, Read read) {
  const Json json = Toml(text);
  ObjectReader reader(json, "card.toml", "memory");
  read(reader);
  return reader.status().ok() ? "ok" : reader.status().error().message;
}

TEST(ObjectReaderTest, ReadsEveryKind) {
  const Json json = Toml("i = 5\nr = 1.5\ns = 'text'\nb = true\na = [1]\nt = { x = 1 }");
  ObjectReader reader(json, "card.toml");
  EXPECT_EQ(reader.RequireInt("i", 5, 5), 5);
  EXPECT_EQ(reader.RequireNumber("r", 0, 2), 1.5);
  EXPECT_EQ(reader.RequireNumber("i", 0, 5), 5.0);
  EXPECT_EQ(reader.RequireString("s"), "text");
  EXPECT_TRUE(reader.RequireBool("b"));
  ASSERT_NE(reader.Require("a"), nullptr);
  EXPECT_EQ(reader.Require("a")->as_array()->size(), 1u);
  ASSERT_NE(reader.Optional("t"), nullptr);
  EXPECT_TRUE(reader.Finish().ok()) << reader.Finish().error().message;
}

TEST(ObjectReaderTest, OptionalReadsFallBackWhenAbsentOrNull) {
  const Result<Json> json = ParseJson(R"({"n": null, "i": 5, "r": 0.5, "s": "x", "b": false})", "config.json");
  ASSERT_TRUE(json.ok());
  ObjectReader reader(*json, "config.json");
  for (const char* key : {"n", "absent"}) {
    EXPECT_FALSE(reader.Has(key));
    EXPECT_EQ(reader.OptionalInt(key, -7, 0, 1), -7);
    EXPECT_EQ(reader.OptionalNumber(key, 2.5, 0, 1), 2.5);
    EXPECT_EQ(reader.OptionalString(key, "f"), "f");
    EXPECT_TRUE(reader.OptionalBool(key, true));
    EXPECT_EQ(reader.Optional(key), nullptr);
  }
  EXPECT_TRUE(reader.Has("i"));
  EXPECT_EQ(reader.OptionalInt("i", 0, 0, 9), 5);
  EXPECT_EQ(reader.OptionalNumber("r", 0, 0, 1), 0.5);
  EXPECT_EQ(reader.OptionalString("s", ""), "x");
  EXPECT_FALSE(reader.OptionalBool("b", true));
  EXPECT_TRUE(reader.Finish().ok());
}

TEST(ObjectReaderTest, WrongKindsNameWhatWasFound) {
  EXPECT_EQ(MessageOf("\nx = 'five'", [](ObjectReader& r) { r.RequireInt("x", 0, 9); }),
            "card.toml:2: key 'memory.x': found the string 'five', expected an integer from 0 to 9");
  EXPECT_EQ(MessageOf("x = 5.0", [](ObjectReader& r) { r.RequireInt("x", 0, 9); }),
            "card.toml:1: key 'memory.x': found 5.0, expected an integer from 0 to 9");
  EXPECT_EQ(MessageOf("x = true", [](ObjectReader& r) { r.RequireNumber("x", 0, 1); }),
            "card.toml:1: key 'memory.x': found true, expected a number from 0 to 1");
  EXPECT_EQ(MessageOf("x = 5", [](ObjectReader& r) { r.RequireString("x"); }),
            "card.toml:1: key 'memory.x': found 5, expected a string");
  EXPECT_EQ(MessageOf("x = [1]", [](ObjectReader& r) { r.RequireBool("x"); }),
            "card.toml:1: key 'memory.x': found an array, expected true or false");
  EXPECT_EQ(MessageOf("x = {}", [](ObjectReader& r) { r.OptionalString("x", ""); }),
            "card.toml:1: key 'memory.x': found an object, expected a string");
  EXPECT_EQ(MessageOf("x = 'a'", [](ObjectReader& r) { r.OptionalInt("x", 0, 0, 1); }),
            "card.toml:1: key 'memory.x': found the string 'a', expected an integer from 0 to 1");
  EXPECT_EQ(MessageOf("x = 1", [](ObjectReader& r) { r.OptionalBool("x", true); }),
            "card.toml:1: key 'memory.x': found 1, expected true or false");
  EXPECT_EQ(MessageOf("x = 'a'", [](ObjectReader& r) { r.OptionalNumber("x", 0, 0, 1); }),
            "card.toml:1: key 'memory.x': found the string 'a', expected a number from 0 to 1");
}

TEST(ObjectReaderTest, RangesAreInclusiveAndNamed) {
  const auto read = [](std::string_view text, int64_t min, int64_t max) {
    return MessageOf(text, [=](ObjectReader& r) { r.RequireInt("x", min, max); });
  };
  EXPECT_EQ(read("x = 1", 1, 3), "ok");
  EXPECT_EQ(read("x = 3", 1, 3), "ok");
  EXPECT_EQ(read("x = 0", 1, 3), "card.toml:1: key 'memory.x': found 0, expected an integer from 1 to 3");
  EXPECT_EQ(read("x = 4", 1, 3), "card.toml:1: key 'memory.x': found 4, expected an integer from 1 to 3");
  EXPECT_EQ(read("x = 0", 1, kIntMax), "card.toml:1: key 'memory.x': found 0, expected an integer of at least 1");
  EXPECT_EQ(read("x = 2", kIntMin, 1), "card.toml:1: key 'memory.x': found 2, expected an integer of at most 1");
  EXPECT_EQ(read("x = 2.5", kIntMin, kIntMax), "card.toml:1: key 'memory.x': found 2.5, expected an integer");
}

TEST(ObjectReaderTest, RangesOfNumbersRefuseWhatIsNotFinite) {
  const auto read = [](std::string_view text, double min, double max) {
    return MessageOf(text, [=](ObjectReader& r) { r.RequireNumber("x", min, max); });
  };
  EXPECT_EQ(read("x = 0.5", 0.5, 0.5), "ok");
  EXPECT_EQ(read("x = 0.4", 0.5, 1), "card.toml:1: key 'memory.x': found 0.4, expected a number from 0.5 to 1");
  EXPECT_EQ(read("x = nan", 0, 1), "card.toml:1: key 'memory.x': found nan, expected a number from 0 to 1");
  EXPECT_EQ(read("x = nan", -kInfinity, kInfinity), "card.toml:1: key 'memory.x': found nan, expected a number");
  EXPECT_EQ(read("x = inf", 0, 1e300), "card.toml:1: key 'memory.x': found inf, expected a number from 0 to 1e+300");
  EXPECT_EQ(read("x = -1", 0, kInfinity), "card.toml:1: key 'memory.x': found -1, expected a number of at least 0");
  EXPECT_EQ(read("x = 1", -kInfinity, 0), "card.toml:1: key 'memory.x': found 1, expected a number of at most 0");
}

TEST(ObjectReaderTest, MissingKeysNameTheLineOfTheirTable) {
  const Json json = Toml("a = 1\n\n[memory]\nb = 1");
  ObjectReader reader(*json.Find("memory"), "card.toml", "memory");
  reader.RequireString("unit");
  EXPECT_EQ(reader.status().error().message, "card.toml:3: key 'memory.unit': found nothing, expected a string");
  EXPECT_EQ(reader.status().error().code, ErrorCode::kNotFound);

  const Result<Json> null = ParseJson(R"({"x": null})", "config.json");
  ObjectReader plain(*null, "config.json");
  EXPECT_EQ(plain.Require("x"), nullptr);
  EXPECT_EQ(plain.status().error().message, "config.json: key 'x': found null, expected a value");
}

TEST(ObjectReaderTest, TheFirstErrorStaysAndLaterReadsAreNeutral) {
  const Json json = Toml("a = 'x'\nb = 5\nc = 'text'\nd = true\ne = 2.5");
  ObjectReader reader(json, "card.toml");
  EXPECT_EQ(reader.RequireInt("a", 3, 9), 3);
  EXPECT_EQ(reader.RequireInt("b", -9, -2), -2);
  EXPECT_EQ(reader.RequireInt("b", -9, 9), 0);
  EXPECT_EQ(reader.RequireString("c"), "");
  EXPECT_FALSE(reader.RequireBool("d"));
  EXPECT_EQ(reader.RequireNumber("e", 0.5, 9), 0.5);
  EXPECT_EQ(reader.OptionalInt("b", 7, 0, 9), 7);
  EXPECT_EQ(reader.Require("b"), nullptr);
  EXPECT_EQ(reader.Optional("b"), nullptr);
  reader.Fail("b", "another");
  EXPECT_EQ(reader.Finish().error().message,
            "card.toml:1: key 'a': found the string 'x', expected an integer from 3 to 9");
  EXPECT_TRUE(reader.Unread().empty());
}

TEST(ObjectReaderTest, WhatIsNoObjectIsRefused) {
  const Json json = Toml("memory = [1]");
  ObjectReader reader(*json.Find("memory"), "card.toml", "memory");
  EXPECT_EQ(reader.status().error().message, "card.toml:1: key 'memory': found an array, expected an object");
  EXPECT_FALSE(reader.Has("x"));
  EXPECT_EQ(reader.RequireInt("x", 1, 2), 1);
  EXPECT_TRUE(reader.Unread().empty());
  const Json number = 5;
  EXPECT_EQ(ObjectReader(number, "config.json").Finish().error().message, "config.json: found 5, expected an object");
}

TEST(ObjectReaderTest, UnknownKeysAreRefusedByName) {
  const Json json = Toml("[memory]\ncapacity = 1\nspare = 2\ncapcity = 3\nother = 4");
  ObjectReader reader(*json.Find("memory"), "card.toml", "memory");
  reader.RequireInt("capacity", 0, 9);
  reader.OptionalInt("banks", 1, 1, 9);
  reader.OptionalInt("banks", 1, 1, 9);
  reader.Ignore("spare");
  EXPECT_EQ(reader.Unread(), (std::vector<std::string>{"capcity", "other"}));
  const Status status = reader.Finish();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(status.error().message,
            "card.toml:4: key 'memory.capcity': found an unknown key, expected one of capacity, banks, spare; "
            "did you mean 'capacity'?");
}

TEST(ObjectReaderTest, SuggestsOnlyWhatIsClose) {
  const auto finish = [](const std::string& key) {
    const Json json = Toml(key + " = 1");
    ObjectReader reader(json, "x");
    for (const char* known : {"rate", "rates_hz", "id"}) reader.Ignore(known);
    return reader.Finish().error().message;
  };
  EXPECT_NE(finish("Rate").find("did you mean 'rate'?"), std::string::npos);
  EXPECT_NE(finish("rtae").find("did you mean 'rate'?"), std::string::npos);
  EXPECT_NE(finish("rates_h").find("did you mean 'rates_hz'?"), std::string::npos);
  EXPECT_EQ(finish("speed").find("did you mean"), std::string::npos);
  EXPECT_EQ(finish("xy").find("did you mean"), std::string::npos);  // two edits away from "id", as all short words are
}

TEST(ObjectReaderTest, AnObjectWithoutKnownKeysSaysSo) {
  const Json json = Toml("x = 1");
  ObjectReader reader(json, "card.toml");
  EXPECT_EQ(reader.Finish().error().message, "card.toml:1: key 'x': found an unknown key, expected no keys here");
}

TEST(ObjectReaderTest, FailNamesKeyPathAndCode) {
  const Json json = Toml("\nx = 1");
  ObjectReader reader(json, "card.toml", "chip.core");
  EXPECT_EQ(reader.file(), "card.toml");
  EXPECT_EQ(reader.PathOf("x"), "chip.core.x");
  EXPECT_EQ(reader.PathOf(""), "chip.core");
  reader.Fail("x", "needs a unit", ErrorCode::kUnsupported);
  EXPECT_EQ(reader.status().error().message, "card.toml:2: key 'chip.core.x': needs a unit");
  EXPECT_EQ(reader.status().error().code, ErrorCode::kUnsupported);
}

TEST(ObjectReaderTest, LongAndStrangeTextIsShownShort) {
  const Json json = Json::Object{{"x", "\x1b[2J" + std::string(5000, 'a')}};
  ObjectReader reader(json, "config.json");
  reader.RequireInt("x", 0, 1);
  const std::string message = reader.status().error().message;
  EXPECT_LT(message.size(), 200u);
  EXPECT_NE(message.find("'\\x1b[2Jaaa"), std::string::npos) << message;
}

}  // namespace
}  // namespace lodestone
