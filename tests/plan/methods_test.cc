#include "plan/methods.h"

#include <gtest/gtest.h>

#include <cmath>

#include "test_models.h"

namespace lodestone {
namespace {

Methods MustParse(const std::vector<std::string>& words) {
  const Result<Methods> methods = ParseMethods(words);
  EXPECT_TRUE(methods.ok()) << methods.error().message;
  return methods.ok() ? *methods : Methods();
}

void ExpectRefused(const std::vector<std::string>& words, std::initializer_list<std::string_view> parts) {
  const Result<Methods> methods = ParseMethods(words);
  ASSERT_FALSE(methods.ok()) << words[0];
  for (const std::string_view part : parts) {
    EXPECT_NE(methods.error().message.find(part), std::string::npos)
        << "expected '" << part << "' in: " << methods.error().message;
  }
}

Program MustDescribe(const ModelConfig& config, const char* recipe = "bf16") {
  return *Describe(config, *ParseRecipe(recipe));
}

Program MustApply(const std::vector<std::string>& words, const ModelConfig& config) {
  Result<Program> program = Apply(MustParse(words), MustDescribe(config));
  EXPECT_TRUE(program.ok()) << program.error().message;
  return program.ok() ? *std::move(program) : Program();
}

const Linear& LinearOf(const Program& program, WeightKind kind) {
  for (const Segment& segment : program.segments) {
    for (const Op& op : segment.ops) {
      const auto* linear = std::get_if<Linear>(&op);
      if (linear != nullptr && linear->weight.kind == kind) return *linear;
    }
  }
  ADD_FAILURE() << "no such weight";
  static const Linear kNone{};
  return kNone;
}

// One token at a context of 10.
constexpr Load kStep{
    .rows = 1, .logit_rows = 1, .sequences = 1, .context_sum = 10, .context_max = 10, .kv_tokens_read = 10};

TEST(Methods, NoneByDefault) {
  EXPECT_FALSE(Methods().any());
  EXPECT_FALSE(MustParse({}).any());
  EXPECT_EQ(MustParse({"unfused", "kv-budget=64"}).text, "unfused kv-budget=64");
  EXPECT_EQ(MustParse({"unfused kv-budget=64"}).kv_budget, 64);  // as `text` has it
}

TEST(Methods, WeightSparsity) {
  using enum Sparsity::Pattern;
  EXPECT_EQ(MustParse({"weight-sparsity=2:4"}).weight_sparsity, (Sparsity{kTwoOfFour, 0.5}));
  EXPECT_EQ(MustParse({"weight-sparsity=0.7"}).weight_sparsity, (Sparsity{kUnstructured, 0.7}));
  EXPECT_EQ(MustParse({"weight-sparsity=tiles:0.25"}).weight_sparsity, (Sparsity{kTiles, 0.25}));
  for (const char* bad :
       {"weight-sparsity=4:8", "weight-sparsity=1", "weight-sparsity=0", "weight-sparsity=-0.5", "weight-sparsity=nan",
        "weight-sparsity=tiles", "weight-sparsity=tiles:2", "weight-sparsity="}) {
    ExpectRefused({bad}, {"weight-sparsity", "2:4, a share of zeros"});
  }
}

TEST(Methods, SparsityPrunesTheLayersAndNotTheOutput) {
  const Program program = MustApply({"weight-sparsity=0.5"}, testing::TinyLlama());
  EXPECT_EQ(LinearOf(program, WeightKind::kQ).sparsity.level, 0.5);
  EXPECT_EQ(LinearOf(program, WeightKind::kDown).sparsity.level, 0.5);
  EXPECT_EQ(LinearOf(program, WeightKind::kOutput).sparsity, Sparsity());
}

TEST(Methods, TwoOfFourNeedsRowsOfFour) {
  ModelConfig config = testing::TinyLlama();
  config.ffn = 82;
  const auto refused = Apply(MustParse({"weight-sparsity=2:4"}), MustDescribe(config));
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("82"), std::string::npos) << refused.error().message;
}

TEST(Methods, TheGateSaysWhichRowsAreIdle) {
  const Program gated = MustApply({"activation-sparsity=0.75"}, testing::TinyLlama());
  EXPECT_EQ(LinearOf(gated, WeightKind::kGate).idle, 0);
  EXPECT_EQ(LinearOf(gated, WeightKind::kUp).idle, 0.75);
  EXPECT_EQ(LinearOf(gated, WeightKind::kDown).idle, 0.75);
  EXPECT_EQ(LinearOf(gated, WeightKind::kO).idle, 0);
  const Program plain = MustApply({"activation-sparsity=0.75"}, testing::TinyGpt2());
  EXPECT_EQ(LinearOf(plain, WeightKind::kUp).idle, 0);
  EXPECT_EQ(LinearOf(plain, WeightKind::kDown).idle, 0.75);
  // Of three matrices of 48 × 80 bf16 weights, one and twice a quarter are read for one row.
  const int64_t dense = WorkOf(MustDescribe(testing::TinyLlama()), kStep).weight_code_bytes;
  EXPECT_EQ(dense - WorkOf(gated, kStep).weight_code_bytes, 3 * 2 * (48 * 80 * 2) * 3 / 4);
  EXPECT_FALSE(Apply(MustParse({"activation-sparsity=0.5"}), MustDescribe(testing::TinyMixtral())).ok());
}

TEST(Methods, KvBudgetBoundsWhatADecodingStepReads) {
  const Methods methods = MustParse({"kv-budget=100"});
  const Load load{
      .rows = 4, .logit_rows = 4, .sequences = 4, .context_sum = 4000, .context_max = 1000, .kv_tokens_read = 4000};
  const Load kept = Apply(methods, load);
  EXPECT_EQ(kept.context_sum, 400);
  EXPECT_EQ(kept.context_max, 100);
  EXPECT_EQ(kept.kv_tokens_read, 400);
  EXPECT_EQ(kept.rows, 4);
  EXPECT_EQ(Apply(methods, kept), kept);
  EXPECT_EQ(Apply(Methods(), load), load);
  ExpectRefused({"kv-budget=0"}, {"kv-budget", "'0'", "from 1"});
  ExpectRefused({"kv-budget=1.5"}, {"whole number"});
}

TEST(Methods, Speculation) {
  const Methods methods = MustParse({"speculative=tiny-4l:tokens=3:acceptance=0.5"});
  ASSERT_TRUE(methods.speculation.has_value());
  EXPECT_EQ(methods.speculation->draft, "tiny-4l");
  EXPECT_EQ(methods.speculation->tokens, 3);
  EXPECT_DOUBLE_EQ(methods.speculation->TokensARound(), 1 + 0.5 + 0.25 + 0.125);
  const Methods own = MustParse({"self-speculation=2:acceptance=0:tokens=4"});
  EXPECT_EQ(own.speculation->draft_layers, 2);
  EXPECT_TRUE(own.speculation->draft.empty());
  EXPECT_DOUBLE_EQ(own.speculation->TokensARound(), 1);  // nothing proposed is accepted
  ExpectRefused({"speculative=m:tokens=3"}, {"MODEL:tokens=N:acceptance=A"});
  ExpectRefused({"speculative=:tokens=3:acceptance=0.5"}, {"a draft model"});
  ExpectRefused({"speculative=m:tokens=3:tokens=4:acceptance=0.5"}, {"once each"});
  ExpectRefused({"speculative=m:tokens=3:acceptance=1"}, {"'1'", "not including"});
  ExpectRefused({"speculative=m:tokens=65:acceptance=0.5"}, {"1 to 64"});
  ExpectRefused({"self-speculation=x:tokens=3:acceptance=0.5"}, {"'x'"});
  EXPECT_FALSE(
      Apply(MustParse({"self-speculation=3:tokens=4:acceptance=0.5"}), MustDescribe(testing::TinyLlama())).ok());
}

TEST(Methods, EarlyExitLeavesLastLayersOut) {
  const Program program = MustApply({"early-exit=0.7"}, testing::TinyLlama());  // of three layers
  EXPECT_EQ(program.segments[1].runs(), 2);
  EXPECT_EQ(program.segments[1].repeat, 3);
  EXPECT_EQ(program.segments[2].runs(), 1);
  EXPECT_EQ(MustApply({"early-exit=0.01"}, testing::TinyLlama()).segments[1].runs(), 1);
}

TEST(Methods, UnfusedMovesMoreBytesAndNoMoreOperations) {
  const Program fused = Fuse(MustDescribe(testing::TinyLlama()));
  const Result<Program> unfused = Apply(MustParse({"unfused", "materialised-softmax"}), fused);
  ASSERT_TRUE(unfused.ok());
  const Work a = WorkOf(fused, kStep), b = WorkOf(*unfused, kStep);
  EXPECT_GT(b.activation_read_bytes, a.activation_read_bytes);
  EXPECT_GT(b.activation_write_bytes, a.activation_write_bytes);
  EXPECT_EQ(a.matrix_ops, b.matrix_ops);
  EXPECT_EQ(a.weight_bytes(), b.weight_bytes());
  ExpectRefused({"unfused=1"}, {"unfused", "takes no value"});
}

TEST(Methods, Offload) {
  using What = Methods::Offload::What;
  const auto layers = MustParse({"offload=layers:2@host"}).offload;
  EXPECT_EQ(layers->what, What::kLayers);
  EXPECT_EQ(layers->layers, 2);
  EXPECT_TRUE(layers->machine.empty());
  EXPECT_EQ(MustParse({"offload=layers:2@xeon-8488c"}).offload->machine, "xeon-8488c");
  EXPECT_EQ(MustParse({"offload=attention@aimx"}).offload->what, What::kAttention);
  EXPECT_EQ(MustParse({"offload=experts@host"}).offload->what, What::kExperts);
  for (const char* bad : {"offload=layers@host", "offload=layers:0@host", "offload=attention@host", "offload=experts@",
                          "offload=experts@aimx", "offload=mlp@host", "offload=layers:2"}) {
    ExpectRefused({bad}, {"offload"});
  }
  const Program dense = MustDescribe(testing::TinyLlama());
  EXPECT_FALSE(Apply(MustParse({"offload=layers:4@host"}), dense).ok());
  EXPECT_FALSE(Apply(MustParse({"offload=experts@host"}), dense).ok());
  EXPECT_TRUE(Apply(MustParse({"offload=experts@host"}), MustDescribe(testing::TinyMixtral())).ok());
}

TEST(Methods, RefusesWhatItDoesNotKnow) {
  ExpectRefused({"kv-bugdet=4"}, {"'kv-bugdet'", "did you mean 'kv-budget'?", "materialised-softmax"});
  ExpectRefused({"quantum"}, {"'quantum'", "is not known. Methods are"});
  ExpectRefused({"=4"}, {"''"});
  ExpectRefused({"kv-budget"}, {"kv-budget", "a value"});
  ExpectRefused({"kv-budget=4", "kv-budget=4"}, {"kv-budget is given twice"});
}

TEST(Methods, RefusesPairsByName) {
  const char* draft = "speculative=m:tokens=3:acceptance=0.5";
  ExpectRefused({draft, "self-speculation=1:tokens=3:acceptance=0.5"}, {"speculative and self-speculation"});
  ExpectRefused({draft, "early-exit=0.5"}, {"speculative and early-exit"});
  ExpectRefused({"offload=layers:1@host", "self-speculation=1:tokens=3:acceptance=0.5"},
                {"self-speculation and offload"});
  ExpectRefused({"early-exit=0.5", "offload=layers:1@host"}, {"early-exit and offload"});
  ExpectRefused({"weight-sparsity=2:4", "activation-sparsity=0.5"}, {"weight-sparsity and activation-sparsity"});
}

// Words made of the pieces that the parser knows, in any order: read, or refused with a message.
TEST(MethodsProperty, AnyWordIsReadOrRefused) {
  const char* pieces[] = {
      "weight-sparsity", "speculative", "offload", "=", ":",  "@",     "2:4", "tiles",     "0.5",  "host",
      "tokens=",         "acceptance=", "layers",  "3", "-1", "1e999", " ",   "kv-budget", "\x01", ""};
  uint32_t state = 1;
  for (int i = 0; i < 20000; ++i) {
    std::string word;
    for (int n = 0; n < 8; ++n) {
      state = state * 1664525 + 1013904223;
      word += pieces[(state >> 16) % std::size(pieces)];
    }
    const Result<Methods> methods = ParseMethods({word});
    if (methods.ok()) {
      EXPECT_EQ(ParseMethods({methods->text})->text, methods->text) << word;
    } else {
      EXPECT_FALSE(methods.error().message.empty()) << word;
    }
  }
}

TEST(MethodsProperty, NoMethodAddsWeightsOrOperations) {
  for (const char* word : {"weight-sparsity=2:4", "weight-sparsity=0.5", "weight-sparsity=tiles:0.5",
                           "activation-sparsity=0.5", "kv-budget=4", "early-exit=0.5", "unfused",
                           "materialised-softmax", "self-speculation=1:tokens=3:acceptance=0.5"}) {
    const Methods methods = MustParse({word});
    EXPECT_TRUE(methods.any()) << word;
    EXPECT_EQ(methods.text, word);
    const Work before = WorkOf(MustDescribe(testing::TinyLlama()), kStep);
    const Work after = WorkOf(MustApply({word}, testing::TinyLlama()), Apply(methods, kStep));
    EXPECT_LE(after.matrix_ops, before.matrix_ops) << word;
    EXPECT_LE(after.weight_bytes(), before.weight_bytes()) << word;
    EXPECT_LE(after.kv_bytes(), before.kv_bytes()) << word;
  }
}

}  // namespace
}  // namespace lodestone
