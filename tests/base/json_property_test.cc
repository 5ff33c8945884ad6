#include <gtest/gtest.h>

#include <string>

#include "base/json.h"
#include "random_json.h"

namespace lodestone {
namespace {

using testing::RandomJson;
using testing::SameJson;

TEST(JsonPropertyTest, WhatIsWrittenReadsBackEqual) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const Json value = RandomJson(seed).Value(5);
    for (int indent : {-1, 0, 2}) {
      const std::string text = value.Dump(indent);
      const Result<Json> read = ParseJson(text, "text");
      ASSERT_TRUE(read.ok()) << "seed " << seed << ": " << read.error().message << "\n" << text;
      ASSERT_TRUE(SameJson(value, *read)) << "seed " << seed << "\n" << text << "\n" << read->Dump(indent);
    }
  }
}

TEST(JsonPropertyTest, OneLineHasNoLineBreak) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    ASSERT_EQ(RandomJson(seed).Value(5).Dump(-1).find('\n'), std::string::npos) << "seed " << seed;
  }
}

// One to four faults in a valid text: a byte changed, removed, doubled, a piece repeated, or the end cut off.
std::string Mutated(std::string text, RandomJson& random) {
  for (size_t faults = 1 + random.Below(4); faults > 0 && !text.empty(); --faults) {
    const size_t at = random.Below(text.size());
    switch (random.Below(6)) {
      case 0:
        text[at] = static_cast<char>(random.Below(256));
        break;
      case 1:
        text[at] = static_cast<char>(text[at] ^ (1 << random.Below(8)));
        break;
      case 2:
        text.erase(at, 1 + random.Below(4));
        break;
      case 3:
        text.insert(at, 1, "[]{}\",:.=#'\\\n0e-"[random.Below(16)]);
        break;
      case 4:
        text.insert(at, text.substr(random.Below(text.size()), random.Below(20)));
        break;
      default:
        text.resize(at);
    }
  }
  return text;
}

// Either a value that can be written and read again, or a message that names the text and is not empty.
void ExpectSound(const Result<Json>& result, const std::string& text) {
  if (!result.ok()) {
    EXPECT_EQ(result.error().code, ErrorCode::kInvalid);
    EXPECT_TRUE(result.error().message.starts_with("text:")) << result.error().message;
    EXPECT_LT(result.error().message.size(), 700u) << result.error().message;
    return;
  }
  const Result<Json> again = ParseJson(result->Dump(), "again");
  EXPECT_TRUE(again.ok()) << again.error().message << "\n" << text;
}

TEST(MutationPropertyTest, DamagedJsonIsReadOrRefused) {
  int refused = 0;
  for (uint64_t seed = 0; seed < 20'000; ++seed) {
    RandomJson random(seed);
    const std::string text = Mutated(random.Value(4).Dump(seed % 2 == 0 ? 2 : -1), random);
    const Result<Json> result = ParseJson(text, "text");
    ExpectSound(result, text);
    refused += result.ok() ? 0 : 1;
    if (HasFailure()) FAIL() << "seed " << seed << "\n" << text;
  }
  EXPECT_GT(refused, 5000);
}

constexpr const char* kToml = R"(# a card
[card]
name = "north \"pole\" \u00e9" # of 2023
path = 'C:\dir'
notes = """
several lines, with "quotes" and \
a fold"""
raw = '''as 'it' is'''
memory.capacity_bytes = 234_881_024
memory.layers = [ { at = 0x10, of = [1, 2, [3.5e-3, inf]] }, {} ]
on = true

[[link]]
from.to."quoted key" = 1
[[link]]
rate = -1.5
)";

TEST(MutationPropertyTest, DamagedTomlIsReadOrRefused) {
  ASSERT_TRUE(ParseToml(kToml, "text").ok()) << ParseToml(kToml, "text").error().message;
  int refused = 0;
  for (uint64_t seed = 0; seed < 20'000; ++seed) {
    RandomJson random(seed);
    const std::string text = Mutated(kToml, random);
    const Result<Json> result = ParseToml(text, "text");
    ExpectSound(result, text);
    refused += result.ok() ? 0 : 1;
    if (HasFailure()) FAIL() << "seed " << seed << "\n" << text;
  }
  EXPECT_GT(refused, 5000);
}

TEST(MutationPropertyTest, NoiseIsReadOrRefused) {
  for (uint64_t seed = 0; seed < 5000; ++seed) {
    RandomJson random(seed);
    std::string text;
    for (size_t i = random.Below(200); i > 0; --i) {
      text += random.Below(3) == 0 ? static_cast<char>(random.Below(256)) : "[]{}\",:.=#'\\\n0e-"[random.Below(16)];
    }
    ExpectSound(ParseJson(text, "text"), text);
    ExpectSound(ParseToml(text, "text"), text);
    if (HasFailure()) FAIL() << "seed " << seed << "\n" << text;
  }
}

}  // namespace
}  // namespace lodestone
