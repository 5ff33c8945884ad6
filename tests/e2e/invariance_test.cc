// A user's tokens depend on his own prompt alone: not on who else is there, nor on micro-batches, chunks, threads or
// cards.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "e2e/program.h"
#include "fixtures.h"

namespace lodestone::testing {
namespace {

constexpr const char* kStories = "fixtures/stories260k";

const std::vector<std::string>& Prompts() {
  static const std::vector<std::string> kPrompts{"Once upon a time", "The dog ran to the big red house and", "A",
                                                 "One day,",
                                                 "Lily and Tom went to the park because they wanted to play with"};
  return kPrompts;
}

struct Setting {
  int users = 1, micro_batches = 1, chunk = 128, threads = 1;
  const char* appliance = "cpu";
};

// Users take the prompts in turn from `first`.
std::vector<std::vector<int64_t>> Tokens(const std::string& model, const std::string& recipe, const Setting& setting,
                                         size_t first = 0, bool sampled = false) {
  std::vector<std::string> words{"generate",
                                 "--model",
                                 model,
                                 "--recipe",
                                 recipe,
                                 "--appliance",
                                 setting.appliance,
                                 "--users",
                                 std::to_string(setting.users),
                                 "--micro-batches",
                                 std::to_string(setting.micro_batches),
                                 "--prefill-chunk",
                                 std::to_string(setting.chunk),
                                 "--threads",
                                 std::to_string(setting.threads),
                                 "--tokens",
                                 "12",
                                 "--ignore-eos"};
  for (size_t i = 0; i < std::min(Prompts().size(), static_cast<size_t>(setting.users)); ++i) {
    words.insert(words.end(), {"--prompt", Prompts()[(first + i) % Prompts().size()]});
  }
  if (sampled) words.insert(words.end(), {"--temperature", "0.9", "--top-p", "0.95", "--seed", "5"});
  return TokensOf(RunJson(words));
}

void ExpectTokensOfOneUserAlone(const std::string& model, const std::string& recipe) {
  std::vector<std::vector<int64_t>> alone;
  for (size_t i = 0; i < Prompts().size(); ++i) {
    const auto tokens = Tokens(model, recipe, {}, i);
    ASSERT_EQ(tokens.size(), 1u);
    alone.push_back(tokens[0]);
  }
  const std::vector<Setting> settings{{.users = 3, .micro_batches = 2, .chunk = 1, .threads = 2},
                                      {.users = 28, .micro_batches = 14, .chunk = 7},
                                      {.users = 28, .micro_batches = 1, .threads = 2},
                                      {.users = 28, .micro_batches = 14, .chunk = 5, .appliance = "northpole-16"},
                                      {.users = 3, .micro_batches = 40, .appliance = "northpole-16"}};
  for (const Setting& setting : settings) {
    if (recipe == "f32" && setting.appliance != std::string("cpu")) continue;  // the chip has no unit for it
    const auto tokens = Tokens(model, recipe, setting);
    ASSERT_EQ(tokens.size(), static_cast<size_t>(setting.users));
    for (size_t user = 0; user < tokens.size(); ++user) {
      EXPECT_EQ(tokens[user], alone[user % alone.size()])
          << recipe << ", user " << user << " of " << setting.users << ", " << setting.micro_batches
          << " micro-batches, chunk " << setting.chunk << ", " << setting.threads << " threads, " << setting.appliance;
    }
  }
}

TEST(Invariance, TrainedModel) {
  LODESTONE_REQUIRE_FIXTURE(kStories);
  for (const char* recipe : {"f32", "w4a4", "w4a8", "w8a8"}) {
    ExpectTokensOfOneUserAlone((SharedDir() / kStories).string(), recipe);
  }
}

TEST(Invariance, RandomWeights) { ExpectTokensOfOneUserAlone("random:nano-14l", "w4a8:g64"); }

// Sampled tokens are keyed by seed, user and position: the same users get the same tokens however they are batched.
TEST(Invariance, SampledTokens) {
  const auto plain = Tokens("random:nano-14l", "w4a4", {.users = 5}, 0, true);
  const auto other =
      Tokens("random:nano-14l", "w4a4",
             {.users = 5, .micro_batches = 3, .chunk = 2, .threads = 2, .appliance = "northpole-16"}, 0, true);
  EXPECT_EQ(plain, other);
}

}  // namespace
}  // namespace lodestone::testing
