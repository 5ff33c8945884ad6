#include "model/recipe.h"

#include <gtest/gtest.h>

#include <set>

namespace lodestone {
namespace {

Recipe MustParse(std::string_view text) {
  const Result<Recipe> recipe = ParseRecipe(text);
  EXPECT_TRUE(recipe.ok()) << recipe.error().message;
  return recipe.ok() ? *recipe : Recipe();
}
void ExpectRefused(std::string_view text, std::initializer_list<std::string_view> parts) {
  const Result<Recipe> recipe = ParseRecipe(text);
  ASSERT_FALSE(recipe.ok()) << text;
  for (const std::string_view part : parts) {
    EXPECT_NE(recipe.error().message.find(part), std::string::npos)
        << "expected '" << part << "' in: " << recipe.error().message;
  }
}

constexpr Format kF32{Code::kF32, Scales::kNone, 0};
constexpr Format kBf16{Code::kBf16, Scales::kNone, 0};
constexpr Format Int8(Scales scales) { return {Code::kInt8, scales, 0}; }
constexpr Format Int4(Scales scales) { return {Code::kInt4, scales, 0}; }

// DESIGN's table, row by row.
TEST(RecipeTest, FloatingPointRows) {
  for (const auto& [name, format] : {std::pair("f32", kF32), std::pair("bf16", kBf16)}) {
    const Recipe r = MustParse(name);
    EXPECT_EQ(r.name, name);
    for (const Format& f :
         {r.weights, r.activations, r.query, r.probability, r.kv, r.output_weights, r.output_input, r.down_input}) {
      EXPECT_EQ(f, format) << name;
    }
    EXPECT_EQ(r.stream, format.code);
  }
}

TEST(RecipeTest, W8a8) {
  const Recipe r = MustParse("w8a8");
  EXPECT_EQ(r.weights, Int8(Scales::kChannel));
  EXPECT_EQ(r.activations, Int8(Scales::kToken));
  EXPECT_EQ(r.query, Int8(Scales::kHead));
  EXPECT_EQ(r.probability, (Format{Code::kUint8, Scales::kToken, 0}));
  EXPECT_EQ(r.kv, Int8(Scales::kHead));
  EXPECT_EQ(r.output_weights, Int8(Scales::kChannel));
  EXPECT_EQ(r.output_input, Int8(Scales::kToken));
  EXPECT_EQ(r.down_input, Int8(Scales::kToken));
  EXPECT_EQ(r.stream, Code::kBf16);
}

TEST(RecipeTest, W4a16KeepsActivationsInBf16) {
  const Recipe r = MustParse("w4a16");
  EXPECT_EQ(r.weights, Int4(Scales::kChannel));
  EXPECT_EQ(r.output_weights, Int8(Scales::kChannel));
  for (const Format& f : {r.activations, r.query, r.probability, r.kv, r.output_input, r.down_input})
    EXPECT_EQ(f, kBf16);
}

TEST(RecipeTest, W4a8AndW4a8c8DifferOnlyInScales) {
  const Recipe a = MustParse("w4a8");
  EXPECT_EQ(a.weights, Int4(Scales::kChannel));
  EXPECT_EQ(a.activations, Int8(Scales::kToken));
  EXPECT_EQ(a.kv, Int8(Scales::kHead));
  EXPECT_EQ(a.probability, (Format{Code::kUint8, Scales::kToken, 0}));
  EXPECT_EQ(a.output_weights, Int8(Scales::kChannel));
  EXPECT_EQ(a.down_input, Int8(Scales::kToken));

  const Recipe b = MustParse("w4a8c8");
  const Recipe c = MustParse("w4a8:static");
  const auto formats = [](const Recipe& r) {
    return std::vector<Format>{r.weights, r.activations,    r.query,        r.probability,
                               r.kv,      r.output_weights, r.output_input, r.down_input};
  };
  EXPECT_EQ(formats(b), formats(c));
  EXPECT_EQ(formats(MustParse("w4a8c8:dynamic")), formats(a));
}

TEST(RecipeTest, W4a4KeepsOutputAndDownInputInInt8) {
  const Recipe r = MustParse("w4a4");
  EXPECT_EQ(r.weights, Int4(Scales::kChannel));
  EXPECT_EQ(r.activations, Int4(Scales::kToken));
  EXPECT_EQ(r.query, Int4(Scales::kHead));
  EXPECT_EQ(r.probability, (Format{Code::kUint4, Scales::kToken, 0}));
  EXPECT_EQ(r.kv, Int4(Scales::kHead));
  EXPECT_EQ(r.output_weights, Int8(Scales::kChannel));
  EXPECT_EQ(r.output_input, Int8(Scales::kToken));
  EXPECT_EQ(r.down_input, Int8(Scales::kToken));
}

TEST(RecipeTest, StaticReachesEveryIntegerActivationAndNoWeight) {
  const Recipe r = MustParse("w4a4:static");
  EXPECT_EQ(r.name, "w4a4:static");
  for (const Format& f : {r.activations, r.query, r.probability, r.kv, r.output_input, r.down_input}) {
    EXPECT_EQ(f.scales, Scales::kStatic);
  }
  EXPECT_EQ(r.weights.scales, Scales::kChannel);
  EXPECT_EQ(r.output_weights.scales, Scales::kChannel);
}

TEST(RecipeTest, GroupsReachTheInt4WeightsAlone) {
  for (const int group : {32, 64, 128}) {
    const Recipe r = MustParse("w4a8:g" + std::to_string(group));
    EXPECT_EQ(r.weights, (Format{Code::kInt4, Scales::kGroup, static_cast<uint16_t>(group)}));
    EXPECT_EQ(r.output_weights, Int8(Scales::kChannel));
    EXPECT_EQ(r.activations, Int8(Scales::kToken));
  }
  EXPECT_EQ(MustParse("w4a16:g64").weights.group, 64);
  const Recipe both = MustParse("w4a4:static:g32");
  EXPECT_EQ(both.weights.group, 32);
  EXPECT_EQ(both.kv.scales, Scales::kStatic);
}

TEST(RecipeTest, RecipesOfOtherMachines) {
  for (const auto& [name, code] : {std::pair("w8a16", Code::kInt8), std::pair("w2a16", Code::kInt2)}) {
    const Recipe r = MustParse(name);
    EXPECT_EQ(r.weights, (Format{code, Scales::kChannel, 0})) << name;
    EXPECT_EQ(r.output_weights, Int8(Scales::kChannel)) << name;
    for (const Format& f : {r.activations, r.query, r.probability, r.kv, r.output_input, r.down_input})
      EXPECT_EQ(f, kBf16) << name;
  }
  const Recipe f8 = MustParse("f8");
  EXPECT_EQ(f8.weights, (Format{Code::kFp8, Scales::kChannel, 0}));
  for (const Format& f : {f8.activations, f8.down_input}) EXPECT_EQ(f, (Format{Code::kFp8, Scales::kToken, 0}));
  for (const Format& f : {f8.query, f8.probability, f8.kv, f8.output_weights, f8.output_input}) EXPECT_EQ(f, kBf16);
}

TEST(RecipeTest, KvSuffixesChangeKvAlone) {
  Recipe r = MustParse("bf16:kv8");
  EXPECT_EQ(r.kv, Int8(Scales::kHead));
  r.kv = kBf16;
  r.name = "bf16";
  const Recipe plain = MustParse("bf16");
  EXPECT_EQ(r.query, plain.query);
  EXPECT_EQ(r.probability, plain.probability);
  EXPECT_EQ(MustParse("w4a16:g128:kv4").kv, Int4(Scales::kHead));
  EXPECT_EQ(MustParse("w4a16:g128:kv4").weights.group, 128);
  EXPECT_EQ(MustParse("w4a8:static:kv4").kv, Int4(Scales::kStatic));
  EXPECT_EQ(MustParse("f8:kv8").kv, (Format{Code::kFp8, Scales::kHead, 0}));
  EXPECT_EQ(MustParse("f8:kv4").kv, Int4(Scales::kHead));
}

TEST(RecipeTest, RefusesKvSuffixesThatChangeNothing) {
  ExpectRefused("w8a8:kv8", {"int8 already"});
  ExpectRefused("w4a4:kv8", {"int4 already"});
  ExpectRefused("bf16:kv8:kv4", {"more than one of :kv8, :kv4"});
  ExpectRefused("bf16:kv16", {"'kv16'", ":kv8"});
}

TEST(RecipeTest, RefusesUnknownNamesAndSuffixes) {
  ExpectRefused("w3a3", {"'w3a3'", "f32", "w4a8c8", ":g128", ":static"});
  ExpectRefused("", {"''", "w4a4"});
  ExpectRefused("W4A8", {"'W4A8'"});
  ExpectRefused("w4a8:g16", {"'g16'", ":g32"});
  ExpectRefused("w4a8:", {"''", ":static"});
  ExpectRefused("w4a8::static", {"''"});
  ExpectRefused("w4a8:g32:g64", {"more than one group"});
  ExpectRefused("w4a8:static:dynamic", {"more than one of"});
}

TEST(RecipeTest, RefusesSuffixesWithNothingToChoose) {
  ExpectRefused("f32:g32", {"int4 weights", "f32"});
  ExpectRefused("w8a8:g32", {"int4 weights", "int8"});
  ExpectRefused("bf16:static", {"integer activations", "bf16"});
  ExpectRefused("w4a16:dynamic", {"integer activations", "bf16"});
}

TEST(RecipeTest, EveryNameParsesAndIsKnownOnce) {
  const std::vector<std::string> names = RecipeNames();
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), 12u);
  for (const std::string& name : names) EXPECT_EQ(MustParse(name).name, name);
}

}  // namespace
}  // namespace lodestone
