#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "program/program.h"
#include "program/registers.h"
#include "program/work.h"
#include "test_models.h"

namespace lodestone {
namespace {

Program MustDescribe(const ModelConfig& config, const char* recipe) { return *Describe(config, *ParseRecipe(recipe)); }

// Every operator with the layer it runs for, segments unrolled.
std::vector<std::pair<std::string, int>> Unroll(const Program& program) {
  std::vector<std::pair<std::string, int>> ops;
  for (const Segment& segment : program.segments) {
    for (int run = 0; run < segment.repeat; ++run) {
      for (const Op& op : segment.ops) {
        ops.emplace_back(NameOf(op), segment.first_layer < 0 ? -1 : segment.first_layer + run);
      }
    }
  }
  return ops;
}

TEST(Cut, APartBeginsWhereOnlyTheStreamIsAlive) {
  EXPECT_EQ(PartCount(MustDescribe(testing::TinyLlama(), "w4a4")), 2 * 3 + 2);
  EXPECT_EQ(PartCount(MustDescribe(testing::TinyGpt2(), "f32")), 2 * 3 + 2);
  EXPECT_EQ(PartCount(MustDescribe(testing::TinyNeoX(), "f32")), 3 + 2);  // attention and MLP in parallel
  EXPECT_EQ(LayerCutPoints(MustDescribe(testing::TinyLlama(), "f32")), (std::vector<int>{0, 1, 3, 5, 7, 8}));
}

TEST(CutProperty, SlicesThatTouchAreTheWhole) {
  for (const ModelConfig& config : {testing::TinyLlama(), testing::TinyNeoX()}) {
    const Program program = Fuse(MustDescribe(config, "w4a8"));
    const auto whole = Unroll(program);
    const int parts = PartCount(program);
    for (int a = 0; a <= parts; ++a) {
      for (int b = a; b <= parts; ++b) {
        std::vector<std::pair<std::string, int>> pieces;
        for (const auto& [begin, end] : {std::pair(0, a), std::pair(a, b), std::pair(b, parts)}) {
          for (auto& op : Unroll(Slice(program, begin, end))) pieces.push_back(op);
        }
        ASSERT_EQ(pieces, whole) << "cut at " << a << " and " << b;
      }
    }
  }
}

TEST(Cut, StagesKnowWhatTheyHold) {
  const Program program = MustDescribe(testing::TinyLlama(), "w4a4");
  const auto first = MakeStage(program, 0, 3);
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(first->has_embedding);
  EXPECT_FALSE(first->has_output);
  EXPECT_EQ(first->label, "layer 0");
  EXPECT_EQ(MakeStage(program, 3, 4)->label, "layer 1 attention");
  EXPECT_EQ(MakeStage(program, 4, 5)->label, "layer 1 MLP");
  EXPECT_EQ(MakeStage(program, 0, 8)->label, "layers 0–2 + output");
  EXPECT_EQ(MakeStage(program, 7, 8, 1, 2)->label, "output 2/2");
  EXPECT_EQ(MakeStage(program, 4, 8)->first_layer, 1);
  EXPECT_EQ(MakeStage(program, 4, 8)->layers, 2);
  EXPECT_FALSE(MakeStage(program, 3, 3).ok());
  EXPECT_FALSE(MakeStage(program, 0, 9).ok());
}

TEST(Fuse, GroupsNeighbouringRowOperatorsAndNothingElse) {
  const Program program = Fuse(MustDescribe(testing::TinyLlama(), "w4a4"));
  const Segment& layer = program.segments[1];
  for (size_t i = 0; i < layer.ops.size(); ++i) {
    EXPECT_EQ(layer.fusion[i] != 0, IsRowOperator(layer.ops[i])) << NameOf(layer.ops[i]);
    if (i > 0 && layer.fusion[i] != 0 && layer.fusion[i - 1] != 0) EXPECT_EQ(layer.fusion[i], layer.fusion[i - 1]);
  }
}

TEST(Fuse, MovesFewerBytesAndDoesTheSameWork) {
  const Program program = MustDescribe(testing::TinyLlama(), "w4a8");
  const Load load{
      .rows = 5, .logit_rows = 2, .sequences = 2, .context_sum = 40, .context_max = 20, .kv_tokens_read = 30};
  const Work plain = WorkOf(program, load), fused = WorkOf(Fuse(program), load);
  EXPECT_EQ(plain.matrix_ops, fused.matrix_ops);
  EXPECT_EQ(plain.vector_ops, fused.vector_ops);
  EXPECT_EQ(plain.weight_bytes(), fused.weight_bytes());
  EXPECT_EQ(plain.kv_bytes(), fused.kv_bytes());
  EXPECT_LT(fused.activation_read_bytes, plain.activation_read_bytes);
  EXPECT_LT(fused.activation_write_bytes, plain.activation_write_bytes);
}

}  // namespace
}  // namespace lodestone
