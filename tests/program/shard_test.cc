#include <gtest/gtest.h>

#include <string>

#include "program/program.h"
#include "program/work.h"
#include "test_models.h"

namespace lodestone {
namespace {

Program MustDescribe(const ModelConfig& config, const char* recipe) { return *Describe(config, *ParseRecipe(recipe)); }

TEST(Shard, SplitsColumnsAndHeadsAndGathersBeforeWholeRowsAreNeeded) {
  const auto shard = Shard(MustDescribe(testing::TinyLlama(), "w4a8"), 1, 2);
  ASSERT_TRUE(shard.ok());
  std::string names;
  for (const Op& op : shard->segments[1].ops) names += std::string(NameOf(op)) + " ";
  EXPECT_EQ(names,
            "norm quantize linear linear linear rotate rotate quantize store_kv attend collective quantize linear "
            "collective add norm quantize linear linear gate collective quantize linear collective add ");
  const auto& q = std::get<Linear>(shard->segments[1].ops[2]);
  EXPECT_EQ(q.n, 32);
  EXPECT_EQ(q.weight.first_row, 32);
  EXPECT_EQ(q.k, 48);
}

TEST(Shard, OutputColumnsSplitInPanelsTheLastRankTakingTheRest) {
  const Program program = MustDescribe(testing::TinyLlama(), "w4a8");  // 50 columns: 4 panels
  const auto first = Shard(program, 0, 2), second = Shard(program, 1, 2);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(std::get<Linear>(first->segments[2].ops.back()).n, 32);
  EXPECT_EQ(std::get<Linear>(second->segments[2].ops.back()).n, 18);
  EXPECT_EQ(std::get<Linear>(second->segments[2].ops.back()).weight.first_row, 32);
}

TEST(Shard, RefusesWhatDoesNotDivide) {
  const Program program = MustDescribe(testing::TinyLlama(), "w4a8");
  const auto three = Shard(program, 0, 3);
  ASSERT_FALSE(three.ok());
  EXPECT_EQ(three.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(three.error().message.find("do not divide by 3 ranks"), std::string::npos) << three.error().message;
  EXPECT_FALSE(Shard(program, 2, 2).ok());
  EXPECT_FALSE(Shard(*Shard(program, 0, 2), 0, 2).ok());  // twice
}

TEST(ShardProperty, RanksTogetherHoldTheWholeModel) {
  for (const ModelConfig& config : {testing::TinyLlama(), testing::TinyGranite(), testing::TinyNeoX()}) {
    const Program program = MustDescribe(config, "w8a8");
    Residency sum;
    const Residency whole = ResidencyOf(program);
    for (int rank = 0; rank < 2; ++rank) {
      const auto shard = Shard(program, rank, 2);
      ASSERT_TRUE(shard.ok()) << config.name;
      const Residency part = ResidencyOf(*shard);
      sum.code_bytes += part.code_bytes;
      sum.scale_bytes += part.scale_bytes;
      sum.kv_code_bytes_per_token += part.kv_code_bytes_per_token;
    }
    EXPECT_EQ(sum.code_bytes, whole.code_bytes) << config.name;
    EXPECT_EQ(sum.scale_bytes, whole.scale_bytes) << config.name;
    EXPECT_EQ(sum.kv_code_bytes_per_token, whole.kv_code_bytes_per_token) << config.name;
  }
}

}  // namespace
}  // namespace lodestone
