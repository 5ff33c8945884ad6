#include <gtest/gtest.h>

#include "program/program.h"
#include "program/work.h"
#include "test_models.h"

namespace lodestone {
namespace {

// h 48, f 80, four experts, two a token.
Program Mixture(const char* recipe) { return *Describe(testing::TinyMixtral(), *ParseRecipe(recipe)); }

const Experts& ExpertsOf(const Program& program) {
  for (const Op& op : program.segments[1].ops) {
    if (const auto* experts = std::get_if<Experts>(&op)) return *experts;
  }
  ADD_FAILURE() << "no experts";
  static const Experts kNone{};
  return kNone;
}

Load Rows(int rows) { return {.rows = rows, .logit_rows = rows, .sequences = rows}; }

// Three matrices of 48 × 80 bf16 weights, and the router's four rows.
constexpr int64_t kExpertBytes = 3 * 48 * 80 * 2, kRouterBytes = 4 * 48 * 2;

TEST(Experts, TakeThePlaceOfTheMlp) {
  const Program program = Mixture("w4a8");
  std::string names;
  for (const Op& op : program.segments[1].ops) names += std::string(NameOf(op)) + " ";
  EXPECT_EQ(names,
            "norm quantize linear linear linear rotate rotate quantize store_kv attend quantize linear add "
            "norm quantize experts add ");
  const Experts& experts = ExpertsOf(program);
  EXPECT_EQ(experts.weights.code, Code::kInt4);
  EXPECT_EQ(experts.input.code, Code::kInt8);
  EXPECT_EQ(experts.inner.code, Code::kInt8);
  EXPECT_EQ(experts.router_code, Code::kBf16);
  EXPECT_EQ(MakeStage(program, 2, 3)->label, "layer 0 MLP");
}

TEST(Experts, OneRowReadsTheTwoThatItPicks) {
  const Program program = Mixture("bf16");
  const Work work = WorkOf(Op(ExpertsOf(program)), Rows(1));
  EXPECT_EQ(work.weight_code_bytes, 2 * kExpertBytes + kRouterBytes);
  EXPECT_EQ(work.weight_scale_bytes, 0);
  EXPECT_EQ(work.matrix_ops, 2 * (2 * 3 * 48 * 80) + 2 * 4 * 48);
  EXPECT_EQ(work.matrix_code, Code::kBf16);
}

TEST(Experts, RowsShareWhatTheyRead) {
  const Program program = Mixture("bf16");
  const Op op = ExpertsOf(program);
  const auto read = [&](int rows) { return (WorkOf(op, Rows(rows)).weight_code_bytes - kRouterBytes) / kExpertBytes; };
  EXPECT_EQ(read(0), 0);
  EXPECT_EQ(read(2), 3);  // 4 (1 − (1 − 2/4)²)
  EXPECT_EQ(read(3), 4);  // 3.5, rounded up
  EXPECT_EQ(read(1000), 4);
  EXPECT_EQ(WorkOf(op, Rows(10)).matrix_ops, 10 * WorkOf(op, Rows(1)).matrix_ops);
}

TEST(Experts, IntegerScalesAreCounted) {
  const Program program = Mixture("w4a8");
  const Work work = WorkOf(Op(ExpertsOf(program)), Rows(1));
  EXPECT_EQ(work.weight_code_bytes, 2 * 3 * 48 * 80 / 2 + kRouterBytes);
  EXPECT_EQ(work.weight_scale_bytes, 2 * 4 * (80 + 80 + 48));
  EXPECT_EQ(work.matrix_code, Code::kInt8);
}

TEST(Experts, AllOfThemAreResident) {
  const Residency mixture = ResidencyOf(Mixture("bf16")),
                  dense = ResidencyOf(*Describe(testing::TinyLlama(), *ParseRecipe("bf16")));
  EXPECT_EQ(mixture.code_bytes - dense.code_bytes, 3 * (3 * kExpertBytes + kRouterBytes));
}

TEST(Experts, AnOneExpertMixtureIsTheMlpAndItsRouter) {
  ModelConfig config = testing::TinyMixtral();
  config.experts = config.experts_per_token = 1;
  for (const char* recipe : {"f32", "bf16", "w4a8", "w8a8"}) {
    const Program one = *Describe(config, *ParseRecipe(recipe)),
                  mlp = *Describe(testing::TinyLlama(), *ParseRecipe(recipe));
    const Load load{
        .rows = 5, .logit_rows = 1, .sequences = 1, .context_sum = 15, .context_max = 5, .kv_tokens_read = 5};
    const Work a = WorkOf(one, load), b = WorkOf(mlp, load);
    EXPECT_EQ(a.matrix_ops, b.matrix_ops + 3 * 2 * 5 * 48) << recipe;
    EXPECT_EQ(a.weight_scale_bytes, b.weight_scale_bytes) << recipe;
  }
}

TEST(Experts, ColumnsOfThemAreNotSplit) {
  const auto sharded = Shard(Mixture("bf16"), 0, 2);
  ASSERT_FALSE(sharded.ok());
  EXPECT_EQ(sharded.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(sharded.error().message.find("4 experts cannot be split by columns"), std::string::npos)
      << sharded.error().message;
}

TEST(Experts, RanksHoldWholeOnes) {
  const Program program = Mixture("bf16");
  const auto rank = ShardExperts(program, 1, 2);
  ASSERT_TRUE(rank.ok());
  const Residency part = ResidencyOf(*rank), whole = ResidencyOf(program);
  EXPECT_EQ(whole.code_bytes - part.code_bytes, 3 * 2 * kExpertBytes);
  // Of ten rows' twenty picks half fall on this rank's experts, in expectation.
  const Work work = WorkOf(Op(ExpertsOf(*rank)), Rows(10));
  EXPECT_EQ(work.matrix_ops, 10 * (2 * 3 * 48 * 80) + 2 * 10 * 4 * 48);
  EXPECT_EQ(work.weight_code_bytes, 2 * kExpertBytes + kRouterBytes);

  EXPECT_NE(ShardExperts(program, 0, 3).error().message.find("4 experts do not divide by 3"), std::string::npos);
  EXPECT_FALSE(ShardExperts(program, 2, 2).ok());
  EXPECT_FALSE(ShardExperts(*Describe(testing::TinyLlama(), *ParseRecipe("bf16")), 0, 2).ok());
}

TEST(Experts, DescribeRefusesAMixtureOfNone) {
  ModelConfig config = testing::TinyMixtral();
  config.experts_per_token = 5;
  EXPECT_NE(Describe(config, *ParseRecipe("f32")).error().message.find("5 of 4 experts"), std::string::npos);
  config.experts_per_token = 0;
  EXPECT_FALSE(Describe(config, *ParseRecipe("f32")).ok());
}

TEST(ExpertsProperty, MoreRowsReadNoLessAndNeverMoreThanAll) {
  for (int experts = 1; experts <= 9; ++experts) {
    for (int picked = 1; picked <= experts; ++picked) {
      ModelConfig config = testing::TinyMixtral();
      config.experts = experts;
      config.experts_per_token = picked;
      const Program program = *Describe(config, *ParseRecipe("bf16"));
      const Op op = ExpertsOf(program);
      const int64_t router = CodeBytes(Code::kBf16, experts, 48);
      EXPECT_EQ(WorkOf(op, Rows(1)).weight_code_bytes, picked * kExpertBytes + router) << picked << " of " << experts;
      int64_t before = 0;
      for (int rows = 0; rows < 64; ++rows) {
        const int64_t bytes = WorkOf(op, Rows(rows)).weight_code_bytes;
        EXPECT_GE(bytes, before);
        EXPECT_LE(bytes, experts * kExpertBytes + router);
        EXPECT_LE(bytes, int64_t{rows} * picked * kExpertBytes + router);
        before = bytes;
      }
    }
  }
}

}  // namespace
}  // namespace lodestone
