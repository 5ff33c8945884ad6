#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/json.h"

namespace lodestone {
namespace {

TEST(JsonValueTest, KnowsItsKind) {
  EXPECT_TRUE(Json().is_null());
  EXPECT_TRUE(Json(nullptr).is_null());
  EXPECT_EQ(*Json(true).as_bool(), true);
  EXPECT_EQ(*Json(7).as_int(), 7);
  EXPECT_EQ(*Json("text").as_string(), "text");
  EXPECT_EQ(Json(Json::Array{1, 2}).as_array()->size(), 2u);
  EXPECT_EQ(Json(Json::Object{{"a", 1}}).as_object()->size(), 1u);
  EXPECT_EQ(Json(1.5).as_int(), nullptr);
  EXPECT_EQ(Json(1).as_bool(), nullptr);
  EXPECT_EQ(Json("1").as_number(), std::nullopt);
  EXPECT_EQ(Json(1).as_number(), 1.0);
  EXPECT_EQ(Json(1.5).as_number(), 1.5);
}

TEST(JsonValueTest, NamesItsKind) {
  EXPECT_EQ(Json().TypeName(), "null");
  EXPECT_EQ(Json(false).TypeName(), "a boolean");
  EXPECT_EQ(Json(1).TypeName(), "an integer");
  EXPECT_EQ(Json(1.0).TypeName(), "a real number");
  EXPECT_EQ(Json("").TypeName(), "a string");
  EXPECT_EQ(Json(Json::Array{}).TypeName(), "an array");
  EXPECT_EQ(Json(Json::Object{}).TypeName(), "an object");
}

TEST(JsonValueTest, SetAppendsOrReplaces) {
  Json json;
  json.Set("b", 1).Set("a", 2).Set("b", 3);
  EXPECT_EQ(json.Dump(-1), R"({"b":3,"a":2})");
  EXPECT_EQ(*json.Find("a")->as_int(), 2);
  EXPECT_EQ(json.Find("c"), nullptr);
  EXPECT_EQ(Json(1).Find("a"), nullptr);
}

TEST(JsonDumpTest, ListsOfPlainValuesStandOnOneLine) {
  Json json;
  json.Set("ids", Json::Array{1, 2, 3});
  json.Set("empty", Json::Array{});
  json.Set("none", Json::Object{});
  json.Set("rows", Json::Array{Json::Array{1}, Json(Json::Object{{"k", "v"}})});
  EXPECT_EQ(json.Dump(), R"({
  "ids": [1, 2, 3],
  "empty": [],
  "none": {},
  "rows": [
    [1],
    {
      "k": "v"
    }
  ]
})");
  EXPECT_EQ(json.Dump(-1), R"({"ids":[1,2,3],"empty":[],"none":{},"rows":[[1],{"k":"v"}]})");
}

TEST(JsonDumpTest, RealsStayReals) {
  EXPECT_EQ(Json(1.0).Dump(), "1.0");
  EXPECT_EQ(Json(-0.0).Dump(), "-0.0");
  EXPECT_EQ(Json(0.1).Dump(), "0.1");
  EXPECT_EQ(Json(1e22).Dump(), "1e+22");
  EXPECT_EQ(Json(5e-324).Dump(), "5e-324");
  EXPECT_EQ(Json(std::numeric_limits<int64_t>::min()).Dump(), "-9223372036854775808");
}

TEST(JsonDumpTest, WhatJsonCannotSayIsNull) {
  EXPECT_EQ(Json(std::nan("")).Dump(), "null");
  EXPECT_EQ(Json(std::numeric_limits<double>::infinity()).Dump(), "null");
}

TEST(JsonDumpTest, Escapes) {
  EXPECT_EQ(Json("\"\\/\b\f\n\r\t\x01\x1f\x7f").Dump(), "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
  EXPECT_EQ(Json(std::string(1, '\0')).Dump(), "\"\\u0000\"");
  EXPECT_EQ(Json("é😀").Dump(), "\"é😀\"");
}

TEST(JsonDumpTest, BytesThatAreNotUtf8AreReplaced) {
  EXPECT_EQ(Json("a\xff"
                 "b")
                .Dump(),
            "\"a\xEF\xBF\xBD"
            "b\"");
  EXPECT_EQ(Json("\xC3").Dump(), "\"\xEF\xBF\xBD\"");
  EXPECT_EQ(Json("\xC3(").Dump(), "\"\xEF\xBF\xBD(\"");
  EXPECT_EQ(Json("\xC0\xAF").Dump(), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
  Json keyed;
  keyed.Set("\xff", 1);
  EXPECT_EQ(keyed.Dump(-1), "{\"\xEF\xBF\xBD\":1}");
}

}  // namespace
}  // namespace lodestone
