#include "learn/codons.h"

#include <gtest/gtest.h>

#include <set>

#include "fixtures.h"
#include "text/tokenizer.h"

namespace lodestone::testing {
namespace {

TEST(Codons, EveryCodonHasAnIdOfItsOwn) {
  std::set<int32_t> ids;
  for (const char a : std::string_view("ACGT")) {
    for (const char b : std::string_view("ACGT")) {
      for (const char c : std::string_view("ACGT")) {
        const std::string codon{a, b, c};
        const int32_t id = CodonId(codon);
        EXPECT_TRUE(ids.insert(id).second) << codon;
        EXPECT_EQ(CodonName(id), codon);
      }
    }
  }
  EXPECT_EQ(*ids.begin(), kFirstCodon);
  EXPECT_EQ(*ids.rbegin(), kCodonVocabulary - 1);
  for (const char* other : {"", "AT", "ATGC", "ATN", "atg", "[UNK]"}) EXPECT_EQ(CodonId(other), kCodonUnknown) << other;
}

TEST(Codons, IdsAreThoseOfGenSlm) {
  EXPECT_EQ(CodonId("GGC"), 5);
  EXPECT_EQ(CodonId("ATG"), 10);
  EXPECT_EQ(CodonId("TAA"), 65);
  EXPECT_EQ(CodonId("TAG"), 68);
  LODESTONE_REQUIRE_FIXTURE("published/genslm/tokenizer/codon_wordlevel_69vocab.json");
  const auto published =
      Tokenizer::Load((SharedDir() / "published/genslm/tokenizer/codon_wordlevel_69vocab.json").string());
  ASSERT_TRUE(published.ok()) << published.error().message;
  ASSERT_EQ((*published)->vocab_size(), kCodonVocabulary);
  for (int32_t id = 0; id < kCodonVocabulary; ++id) EXPECT_EQ((*published)->IdToToken(id), CodonName(id));
}

TEST(Codons, CutsFromTheFrontAndMarksTheRest) {
  std::vector<uint8_t> ids;
  AppendCodons("ATGGGCNTATA", ids);
  EXPECT_EQ(ids, (std::vector<uint8_t>{10, 5, 0, 0}));
  AppendCodons("", ids);
  AppendCodons("TAA", ids);
  EXPECT_EQ(ids.size(), 5u);
}

TEST(Codons, TheTokenizerFileMakesTheSameIds) {
  const auto tokenizer = Tokenizer::Parse(CodonTokenizerJson(), "tokenizer.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ((*tokenizer)->vocab_size(), kCodonVocabulary);
  const std::vector<int32_t> expected{CodonId("ATG"), CodonId("GGC"), CodonId("TAA")};
  EXPECT_EQ(*(*tokenizer)->Encode("ATG GGC TAA"), expected);
  EXPECT_EQ(*(*tokenizer)->Encode("ATGGGCTAA"), expected);
  EXPECT_EQ(*(*tokenizer)->Encode("ATGGGC\nTAA\n"), expected);
  EXPECT_EQ((*tokenizer)->Decode(expected), "ATG GGC TAA");
  EXPECT_EQ((*tokenizer)->Encode("ATGGG")->back(), kCodonUnknown);
  EXPECT_TRUE((*tokenizer)->IsSpecial(kCodonEnd));
}

}  // namespace
}  // namespace lodestone::testing
