#include "lab/ngram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <string>

namespace lodestone::testing {
namespace {

NgramModel Train(const std::vector<std::string_view>& documents, int order) {
  const auto model = NgramModel::Train(documents, order);
  EXPECT_TRUE(model.ok()) << model.error().message;
  return *model;
}

// A text with some order in it: words of a small vocabulary.
std::string RandomText(std::mt19937& random, int words) {
  constexpr std::string_view kWords[] = {"if ", "return ", "x", " = ", "0", "\n", "self.", "name", "(", "):\n    "};
  std::string text;
  for (int i = 0; i < words; ++i) text += kWords[random() % 10];
  return text;
}

// The formula of the header, from counts in maps.
class Definition {
 public:
  Definition(const std::vector<std::string_view>& documents, int order) : order_(order), counts_(Size(order) + 1) {
    for (const std::string_view document : documents) {
      const std::string text = std::string(Size(order) - 1, '\0') + std::string(document);
      for (size_t i = 0; i < document.size(); ++i) ++counts_[Size(order)][text.substr(i, Size(order))];
    }
    for (int k = order; k > 1; --k) {
      for (const auto& [ngram, count] : counts_[Size(k)]) ++counts_[Size(k - 1)][ngram.substr(1)];
    }
  }

  double Probability(const std::string& history, char next, int k) const {
    if (k == 0) return 1.0 / 256;
    const std::string h = history.substr(history.size() - Size(k) + 1);
    const double lower = Probability(history, next, k - 1);
    double total = 0, reserved = 0, kept = 0;
    for (int byte = 0; byte < 256; ++byte) {
      const auto found = counts_[Size(k)].find(h + static_cast<char>(byte));
      if (found == counts_[Size(k)].end()) continue;
      total += found->second;
      reserved += Discount(k, found->second);
      if (static_cast<char>(byte) == next) kept = found->second - Discount(k, found->second);
    }
    return total == 0 ? lower : (kept + reserved * lower) / total;
  }

 private:
  static size_t Size(int n) { return static_cast<size_t>(n); }
  double Discount(int k, int count) const {
    const int i = std::min(count, 3);
    std::array<double, 5> n{};
    for (const auto& [ngram, c] : counts_[Size(k)]) {
      if (c <= 4) ++n[Size(c)];
    }
    if (n[Size(i)] == 0 || n[1] + n[2] == 0) return 0.5;
    const double d = i - (i + 1) * (n[1] / (n[1] + 2 * n[2])) * n[Size(i) + 1] / n[Size(i)];
    return d > 0 && d < i ? d : 0.5;
  }

  int order_;
  std::vector<std::map<std::string, int>> counts_;  // by order
};

TEST(Ngram, UnigramByHand) {
  // "aab": counts 2 and 1; n₁ = n₂ = 1, Y = 1/3, D₁ = 1 − 2/3, D₂ = 2 − 3 · 0 = 2, out of range, so 1/2.
  const NgramModel model = Train({"aab"}, 1);
  const double d1 = 1.0 / 3, d2 = 0.5, reserved = d1 + d2;
  EXPECT_DOUBLE_EQ(model.Probability("", 'a'), (2 - d2 + reserved / 256) / 3);
  EXPECT_DOUBLE_EQ(model.Probability("zz", 'b'), (1 - d1 + reserved / 256) / 3);
  EXPECT_DOUBLE_EQ(model.Probability("", 'c'), reserved / 256 / 3);
  EXPECT_DOUBLE_EQ(model.Bits("ac"), -std::log2(model.Probability("", 'a')) - std::log2(model.Probability("", 'c')));
  EXPECT_EQ(model.ngrams(), 2);
}

TEST(NgramProperty, EqualsTheFormula) {
  std::mt19937 random(4);
  for (int order = 1; order <= 5; ++order) {
    const std::string one = RandomText(random, 60), two = RandomText(random, 40), other = RandomText(random, 12);
    const NgramModel model = Train({one, two}, order);
    const Definition definition({one, two}, order);
    std::string history(static_cast<size_t>(order), '\0');
    for (const char next : other + "\xFFz") {
      ASSERT_NEAR(model.Probability(history, static_cast<uint8_t>(next)), definition.Probability(history, next, order),
                  1e-12)
          << order;
      history += next;
    }
  }
}

TEST(NgramProperty, ProbabilitiesSumToOne) {
  std::mt19937 random(6);
  const std::string text = RandomText(random, 2000), other = RandomText(random, 30);
  for (const int order : {1, 2, 3, 5, 8}) {
    const NgramModel model = Train({text}, order);
    for (const std::string& history : {std::string(), std::string("never seen"), other, other.substr(0, 17)}) {
      double sum = 0;
      for (int byte = 0; byte < 256; ++byte) {
        const double p = model.Probability(history, static_cast<uint8_t>(byte));
        EXPECT_GT(p, 0);
        sum += p;
      }
      EXPECT_NEAR(sum, 1, 1e-12) << order;
    }
  }
}

TEST(Ngram, MoreContextHelpsWhereThereIsStructure) {
  std::mt19937 random(8);
  const std::string text = RandomText(random, 20000), other = RandomText(random, 2000);
  double last = 8;
  for (const int order : {1, 2, 3}) {
    const double bits = Train({text}, order).Bits(other) / static_cast<double>(other.size());
    EXPECT_LT(bits, last) << order;
    last = bits;
  }
  // Ten words drawn evenly: no model needs less than their entropy.
  EXPECT_GT(last * static_cast<double>(other.size()), 2000 * std::log2(10.0) * 0.97);
}

TEST(Ngram, ADocumentBeginsWithoutWhatIsBeforeIt) {
  const NgramModel model = Train({"xa", "xb", "xa"}, 2);
  EXPECT_GT(model.Probability("", 'x'), 0.5);
  EXPECT_LT(model.Probability("a", 'x'), model.Probability("", 'x'));
}

TEST(Ngram, RefusesNoTextAndOtherOrders) {
  EXPECT_FALSE(NgramModel::Train({}, 5).ok());
  const std::vector<std::string_view> text{"abc"};
  EXPECT_FALSE(NgramModel::Train(text, 0).ok());
  const auto high = NgramModel::Train(text, 9);
  ASSERT_FALSE(high.ok());
  EXPECT_NE(high.error().message.find("expected 1 to 8"), std::string::npos) << high.error().message;
}

}  // namespace
}  // namespace lodestone::testing
