#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "program/program.h"
#include "program/registers.h"
#include "test_models.h"

namespace lodestone {
namespace {

std::string Names(const Segment& segment) {
  std::string names;
  for (const Op& op : segment.ops) names += std::string(names.empty() ? "" : " ") + NameOf(op);
  return names;
}

Program MustDescribe(const ModelConfig& config, const char* recipe) {
  auto parsed = ParseRecipe(recipe);
  EXPECT_TRUE(parsed.ok());
  auto program = Describe(config, *parsed);
  EXPECT_TRUE(program.ok());
  return *std::move(program);
}

TEST(Describe, LlamaInF32NeedsNoQuantizers) {
  const Program program = MustDescribe(testing::TinyLlama(), "f32");
  ASSERT_EQ(program.segments.size(), 3u);
  EXPECT_EQ(Names(program.segments[0]), "embed");
  EXPECT_EQ(Names(program.segments[1]),
            "norm linear linear linear rotate rotate store_kv attend linear add "
            "norm linear linear gate linear add");
  EXPECT_EQ(Names(program.segments[2]), "norm linear");
  EXPECT_EQ(program.segments[1].repeat, 3);
  EXPECT_EQ(program.segments[1].first_layer, 0);
}

TEST(Describe, QuantizersAreExplicit) {
  const Program program = MustDescribe(testing::TinyLlama(), "w4a4");
  EXPECT_EQ(Names(program.segments[1]),
            "norm quantize linear linear linear rotate rotate quantize store_kv attend quantize linear add "
            "norm quantize linear linear gate quantize linear add");
  EXPECT_EQ(Names(program.segments[2]), "norm quantize linear");
  const auto& output = std::get<Linear>(program.segments[2].ops[2]);
  EXPECT_EQ(output.weights.code, Code::kInt8);
  EXPECT_EQ(output.input.code, Code::kInt8);
  const auto& down = std::get<Linear>(program.segments[1].ops[19]);
  EXPECT_EQ(down.weight.kind, WeightKind::kDown);
  EXPECT_EQ(down.weights.code, Code::kInt4);
  EXPECT_EQ(down.input.code, Code::kInt8);  // the SiLU·up product
}

TEST(Describe, StaticRecipesNameTheirSteps) {
  const Program program = MustDescribe(testing::TinyLlama(), "w4a4:static");
  int steps = 0;
  for (const Segment& segment : program.segments) {
    for (const Op& op : segment.ops) {
      if (const auto* quantize = std::get_if<Quantize>(&op)) {
        EXPECT_TRUE(quantize->step.has_value());
        ++steps;
      }
      if (const auto* store = std::get_if<StoreKv>(&op)) EXPECT_TRUE(store->key_step && store->value_step);
      if (const auto* attend = std::get_if<Attend>(&op)) EXPECT_TRUE(attend->probability_step.has_value());
    }
  }
  EXPECT_EQ(steps, 6);  // attention input, Q, attended, MLP input, down input; output input
}

TEST(Describe, Gpt2HasBiasesLearnedPositionsAndNoRotation) {
  const Program program = MustDescribe(testing::TinyGpt2(), "f32");
  EXPECT_EQ(Names(program.segments[1]),
            "norm linear linear linear store_kv attend linear add norm linear gate linear add");
  EXPECT_TRUE(std::get<Embed>(program.segments[0].ops[0]).positions.has_value());
  for (const Op& op : program.segments[1].ops) {
    if (const auto* linear = std::get_if<Linear>(&op)) EXPECT_TRUE(linear->bias.has_value());
    if (const auto* gate = std::get_if<Gate>(&op)) EXPECT_FALSE(gate->up.has_value());
  }
  // The tied table is the output layer's weight.
  EXPECT_EQ(std::get<Linear>(program.segments[2].ops[1]).weight.kind, WeightKind::kEmbedding);
}

TEST(Describe, ParallelResidualAddsBothAtTheEnd) {
  const Program program = MustDescribe(testing::TinyNeoX(), "f32");
  EXPECT_EQ(Names(program.segments[1]),
            "norm linear linear linear rotate rotate store_kv attend linear norm linear gate linear add add");
}

TEST(Describe, GraniteMultipliersReachTheirOperators) {
  const Program program = MustDescribe(testing::TinyGranite(), "bf16");
  EXPECT_EQ(std::get<Embed>(program.segments[0].ops[0]).multiplier, 12.0f);
  for (const Op& op : program.segments[1].ops) {
    if (const auto* add = std::get_if<Add>(&op)) EXPECT_EQ(add->multiplier, 0.22f);
    if (const auto* attend = std::get_if<Attend>(&op)) EXPECT_EQ(attend->scale, 0.0078125f);
  }
  EXPECT_EQ(std::get<Linear>(program.segments[2].ops.back()).multiplier, 0.0625f);
}

TEST(Describe, EveryRegisterIsWrittenBeforeItIsRead) {
  for (const ModelConfig& config :
       {testing::TinyLlama(), testing::TinyGpt2(), testing::TinyNeoX(), testing::TinyGranite()}) {
    for (const std::string& recipe : RecipeNames()) {
      const Program program = MustDescribe(config, recipe.c_str());
      for (const Segment& segment : program.segments) {
        RegSet written;
        written.set(static_cast<size_t>(Reg::kStream));
        if (&segment == &program.segments.front()) written.reset();
        for (const Op& op : segment.ops) {
          const RegisterUses uses = UsesOf(op);
          for (const RegisterUse& use : uses.reads()) {
            EXPECT_TRUE(written[static_cast<size_t>(use.reg)])
                << config.name << " " << recipe << ": " << NameOf(op) << " reads " << ToString(use.reg);
          }
          for (const RegisterUse& use : uses.writes()) written.set(static_cast<size_t>(use.reg));
        }
      }
    }
  }
}

TEST(Describe, RefusesImpossibleShapes) {
  ModelConfig config = testing::TinyLlama();
  config.kv_heads = 3;
  EXPECT_FALSE(Describe(config, *ParseRecipe("f32")).ok());
  config = testing::TinyLlama();
  config.rope.rotary_dim = 17;
  const auto odd = Describe(config, *ParseRecipe("f32"));
  ASSERT_FALSE(odd.ok());
  EXPECT_NE(odd.error().message.find("17 rotary dimensions"), std::string::npos);
  config = testing::TinyLlama();
  config.attention_scale = 0;
  EXPECT_FALSE(Describe(config, *ParseRecipe("f32")).ok());
}

}  // namespace
}  // namespace lodestone
