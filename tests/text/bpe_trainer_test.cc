#include "text/bpe_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace lodestone::testing {
namespace {

using Pair = std::pair<std::string, std::string>;

// Sennrich's algorithm as it is stated: every pair is counted anew before every merge.
std::vector<Pair> LearnByDefinition(const std::vector<WordCount>& counted, size_t tokens) {
  struct Word {
    std::vector<std::string> symbols;
    int64_t count;
  };
  std::vector<Word> words;
  for (const WordCount& word : counted) {
    words.push_back({{}, word.count});
    for (const char byte : word.bytes) words.back().symbols.emplace_back(1, byte);
  }
  std::vector<Pair> merges;
  while (256 + merges.size() < tokens) {
    std::map<Pair, int64_t> pairs;  // in order of the bytes of left, then right
    for (const Word& word : words) {
      for (size_t i = 0; i + 1 < word.symbols.size(); ++i) pairs[{word.symbols[i], word.symbols[i + 1]}] += word.count;
    }
    const auto best =
        std::max_element(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    if (best == pairs.end() || best->second < 2) break;
    const Pair pair = best->first;
    merges.push_back(pair);
    for (Word& word : words) {
      for (size_t i = 0; i + 1 < word.symbols.size(); ++i) {
        if (word.symbols[i] != pair.first || word.symbols[i + 1] != pair.second) continue;
        word.symbols[i] += pair.second;
        word.symbols.erase(word.symbols.begin() + static_cast<ptrdiff_t>(i) + 1);
      }
    }
  }
  return merges;
}

std::vector<Pair> BytesOf(const BpeMerges& learned) {
  std::vector<Pair> merges;
  for (const BpeMerges::Merge& merge : learned.merges) {
    merges.emplace_back(learned.tokens[static_cast<size_t>(merge.left)],
                        learned.tokens[static_cast<size_t>(merge.right)]);
  }
  return merges;
}

TEST(BpeTrainer, LearnsThePapersExample) {
  // Sennrich et al. 2016, section 3.2, without the end-of-word mark.
  const std::vector<WordCount> words{{"low", 5}, {"lower", 2}, {"newest", 6}, {"widest", 3}};
  const BpeMerges learned = LearnMerges(words, 256 + 4);
  EXPECT_EQ(BytesOf(learned), (std::vector<Pair>{{"e", "s"}, {"es", "t"}, {"l", "o"}, {"lo", "w"}}));
  EXPECT_EQ(learned.tokens[256], "es");
  EXPECT_EQ(learned.tokens[10], "\n");
  EXPECT_EQ(learned.tokens.size(), 260u);
}

TEST(BpeTrainer, BytesDecideBetweenEqualCounts) {
  EXPECT_EQ(BytesOf(LearnMerges(std::vector<WordCount>{{"yz", 2}, {"xz", 2}, {"xy", 2}}, 259)),
            (std::vector<Pair>{{"x", "y"}, {"x", "z"}, {"y", "z"}}));
  // Bytes above 127 are large, not negative.
  EXPECT_EQ(BytesOf(LearnMerges(std::vector<WordCount>{{"\xC3\xA9", 2}, {"ab", 2}}, 257)),
            (std::vector<Pair>{{"a", "b"}}));
}

TEST(BpeTrainer, APairThatOccursOnceIsNotLearned) {
  const BpeMerges learned = LearnMerges(std::vector<WordCount>{{"abab", 1}, {"cd", 1}}, 1000);
  EXPECT_EQ(BytesOf(learned), (std::vector<Pair>{{"a", "b"}}));
  EXPECT_TRUE(LearnMerges({}, 1000).merges.empty());
  EXPECT_EQ(LearnMerges({}, 1000).tokens.size(), 256u);
}

TEST(BpeTrainer, RunsMergeFromTheLeft) {
  // "aaaaa": aa aa a, then (aa)(aa) a.
  const BpeMerges learned = LearnMerges(std::vector<WordCount>{{"aaaaa", 3}}, 258);
  EXPECT_EQ(BytesOf(learned), (std::vector<Pair>{{"a", "a"}, {"aa", "a"}}));
}

TEST(BpeTrainerProperty, EqualsTheDefinitionWhateverTheOrderOfTheWords) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 200; ++trial) {
    const auto letters = 1 + random() % 3;
    std::vector<WordCount> words;
    for (auto i = 1 + random() % 8; i > 0; --i) {
      WordCount word{{}, 1 + static_cast<int64_t>(random() % 5)};
      for (auto j = random() % 40; j > 0; --j) word.bytes.push_back(static_cast<char>(0x7E + random() % letters));
      words.push_back(std::move(word));
    }
    const int32_t tokens = 256 + static_cast<int32_t>(random() % 40);
    const BpeMerges learned = LearnMerges(words, tokens);
    ASSERT_EQ(BytesOf(learned), LearnByDefinition(words, static_cast<size_t>(tokens))) << "trial " << trial;
    ASSERT_EQ(learned.tokens.size(), 256 + learned.merges.size());
    ASSERT_EQ(std::set<std::string>(learned.tokens.begin(), learned.tokens.end()).size(), learned.tokens.size());
    std::shuffle(words.begin(), words.end(), random);
    ASSERT_EQ(BytesOf(LearnMerges(words, tokens)), BytesOf(learned)) << "trial " << trial;
  }
}

}  // namespace
}  // namespace lodestone::testing
