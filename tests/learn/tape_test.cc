#include "learn/tape.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "learn/training_model.h"
#include "model/recipe.h"
#include "test_models.h"

namespace lodestone {
namespace {

using testing::TinyGpt2;
using testing::TinyGranite;
using testing::TinyLlama;
using testing::TinyNeoX;

struct PartTape {
  PartTape(const ModelConfig& config, const std::string& recipe, int part, bool recompute = false)
      : program(Slice(*Describe(config, *ParseRecipe(recipe)), part, part + 1)),
        tape(MakeTape(program.segments.front().ops, recompute)) {}

  // Names of the operators that are computed again.
  std::string Replayed() const {
    std::string names;
    for (const TapeNode& node : tape.nodes) {
      if (node.replay) names += std::string(names.empty() ? "" : " ") + NameOf(*node.op);
    }
    return names;
  }

  Program program;
  Tape tape;
};

int64_t Padded(int64_t width) { return (width + 15) / 16 * 16; }

TEST(TapeTest, KeepsTheStreamAndWhatHeavyOperatorsComputed) {
  const ModelConfig c = TinyGpt2();
  // Attention: the stream, q, k, v, the attended values and their softmax sums.
  const PartTape attention(c, "f32", 1);
  EXPECT_EQ(attention.tape.frame_width, Padded(c.hidden) + 4 * Padded(c.q_width()) + Padded(c.heads));
  EXPECT_EQ(attention.Replayed(), "norm");
  // MLP: the stream and what goes into the activation.
  const PartTape mlp(c, "f32", 2);
  EXPECT_EQ(mlp.tape.frame_width, Padded(c.hidden) + Padded(c.ffn));
  EXPECT_EQ(mlp.Replayed(), "norm gate");
  EXPECT_EQ(PartTape(c, "f32", 0).tape.frame_width, 0);                                // embedding
  EXPECT_EQ(PartTape(c, "f32", 2 * c.layers + 1).tape.frame_width, Padded(c.hidden));  // output layer
}

TEST(TapeTest, RowOperatorsOfHeadsAreReplayed) {
  EXPECT_EQ(PartTape(TinyLlama(), "f32", 1).Replayed(), "norm rotate rotate");
  EXPECT_EQ(PartTape(TinyGranite(), "f32", 1).Replayed(), "norm norm norm rotate rotate");
  EXPECT_EQ(PartTape(TinyNeoX(), "f32", 1).Replayed(), "norm rotate rotate norm gate");
}

TEST(TapeTest, RecomputationKeepsTheStreamAlone) {
  for (const ModelConfig& config : testing::TrainingConfigs()) {
    const PartTape part(config, "bf16", 1, true);
    EXPECT_EQ(part.tape.frame_width, Padded(config.hidden)) << config.name;
    EXPECT_NE(part.Replayed().find("linear linear linear"), std::string::npos);
    // What the stream gains is not needed again.
    EXPECT_FALSE(part.tape.nodes[part.tape.nodes.size() - 1].replay);
    EXPECT_FALSE(part.tape.nodes[part.tape.nodes.size() - 2].replay);
  }
}

TEST(TapeTest, Bf16NeedsNoValuesOfItsOwnAndIntegersKnowTheirSteps) {
  const PartTape f32(TinyLlama(), "f32", 1), bf16(TinyLlama(), "bf16", 1), integer(TinyLlama(), "w4a4:static", 1);
  EXPECT_EQ(bf16.tape.values.size(), f32.tape.values.size());
  EXPECT_EQ(bf16.tape.nodes.size(), f32.tape.nodes.size());
  EXPECT_EQ(integer.tape.nodes.size(), f32.tape.nodes.size() + 4);  // inputs of q/k/v and o, query, K and V
  std::vector<WeightKind> steps;
  for (const TapeValue& value : integer.tape.values) {
    if (value.step) steps.push_back(value.step->kind);
  }
  EXPECT_EQ(steps, (std::vector<WeightKind>{WeightKind::kAttentionInputStep, WeightKind::kQueryStep,
                                            WeightKind::kKeyStep, WeightKind::kValueStep, WeightKind::kAttendedStep}));
}

// Walks the timeline of every part forward and back, marks each stretch of scratch by who wrote it last, and finds no
// reader that meets somebody else's mark.
TEST(TapePropertyTest, NobodyReadsWhatAnotherValueOverwrote) {
  for (const ModelConfig& config : testing::TrainingConfigs()) {
    for (const std::string recipe : {"f32", "w8a8:static"}) {
      for (const bool recompute : {false, true}) {
        const int parts = PartCount(*Describe(config, *ParseRecipe(recipe)));
        for (int p = 0; p < parts; ++p) {
          const PartTape part(config, recipe, p, recompute);
          const std::vector<TapeValue>& values = part.tape.values;
          std::map<int64_t, int> owner;  // of each 16 floats of scratch: value, or ~value for its gradient
          const auto mark = [&](int64_t offset, int64_t width, int who) {
            EXPECT_LE(offset + Padded(width), part.tape.scratch_width);
            for (int64_t at = offset; at < offset + width; at += 16) owner[at] = who;
          };
          const auto check = [&](int64_t offset, int64_t width, int who) {
            for (int64_t at = offset; at < offset + width; at += 16) {
              ASSERT_EQ(owner[at], who) << config.name << " part " << p << " of " << recipe << ", offset " << at;
            }
          };
          const auto write = [&](int v) {
            if (values[v].place == Place::kScratch) mark(values[v].offset, values[v].width, v + 1);
          };
          const auto read = [&](int v) {
            if (values[v].place == Place::kScratch) check(values[v].offset, values[v].width, v + 1);
          };
          for (const TapeNode& node : part.tape.nodes) {
            for (const int v : node.reads) read(v);
            for (const int v : node.writes) write(v);
          }
          owner.clear();  // other parts use the scratch in between
          for (const TapeNode& node : part.tape.nodes) {
            if (!node.replay) continue;
            for (const int v : node.reads) read(v);
            for (const int v : node.writes) write(v);
          }
          for (size_t i = part.tape.nodes.size(); i-- > 0;) {
            const TapeNode& node = part.tape.nodes[i];
            if (std::holds_alternative<Norm>(*node.op) || std::holds_alternative<Linear>(*node.op) ||
                std::holds_alternative<Gate>(*node.op) || std::holds_alternative<Attend>(*node.op) ||
                std::holds_alternative<Quantize>(*node.op) || std::holds_alternative<StoreKv>(*node.op)) {
              for (const int v : node.reads) read(v);
            }
            if (std::holds_alternative<Attend>(*node.op)) {
              for (const int v : node.writes) read(v);
            }
            if (!node.writes.empty() && !values[node.writes[0]].stream) {
              check(values[node.writes[0]].gradient_offset, values[node.writes[0]].width, ~node.writes[0]);
            }
            for (const int v : node.reads) {
              if (!values[v].stream) mark(values[v].gradient_offset, values[v].width, ~v);
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace lodestone
