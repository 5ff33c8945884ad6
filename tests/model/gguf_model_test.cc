#include "model/gguf_model.h"

#include <gtest/gtest.h>

#include <numbers>

#include "base/temporary_folder.h"
#include "model/checkpoint_fixture.h"
#include "model/gguf_of_model.h"
#include "model/gguf_stories.h"

namespace lodestone {
namespace {

using testing::ExpectParts;
using testing::GgufBuilder;
using testing::GgufOfModel;
using testing::ReadRows;
using testing::TemporaryFolder;

// Two layers whose every dimension differs.
ModelConfig Tiny(Architecture architecture) {
  ModelConfig config;
  config.architecture = architecture;
  config.layers = 2, config.hidden = 24, config.ffn = 40, config.heads = 3, config.kv_heads = 1, config.head_dim = 8;
  config.vocab = 300, config.max_positions = 64;
  config.rope.rotary_dim = 8;
  config.rope.theta = 500000;
  config.attention_scale = 1 / std::sqrt(8.0);
  switch (architecture) {
    case Architecture::kGranite:
      config.embedding_multiplier = 12, config.residual_multiplier = 0.22, config.logits_multiplier = 1.0 / 8;
      config.attention_scale = 0.015625;
      config.tied_embeddings = true;
      break;
    case Architecture::kQwen2:
      config.qkv_bias = true;
      break;
    case Architecture::kQwen3:
      config.qk_norm = true;
      config.head_dim = config.rope.rotary_dim = 16;
      config.attention_scale = 1 / std::sqrt(16.0);
      break;
    case Architecture::kGpt2:
    case Architecture::kGptNeoX:
      config.kv_heads = 3;
      config.norm = NormKind::kLayer;
      config.gated_mlp = false;
      config.qkv_bias = config.attention_output_bias = config.mlp_bias = true;
      config.activation = ActivationKind::kGeluErf;
      config.parallel_residual = true;
      config.rope.rotary_dim = 4;
      break;
    default:
      config.rope.linear_factor = 4;
      break;
  }
  if (architecture == Architecture::kGpt2) {
    config.position = PositionKind::kLearned;
    config.activation = ActivationKind::kGeluTanh;
    config.parallel_residual = false;
    config.tied_embeddings = true;
    config.rope = Rope();
  }
  return config;
}

// A byte-level tokenizer of so many made-up tokens.
void AddTokenizer(GgufBuilder& builder, int vocab) {
  std::vector<std::string> tokens;
  for (int i = 0; i < vocab; ++i) tokens.push_back("t" + std::to_string(i));
  builder.Text("tokenizer.ggml.model", "gpt2").Text("tokenizer.ggml.pre", "gpt-2");
  builder.Texts("tokenizer.ggml.tokens", tokens).Texts("tokenizer.ggml.merges", {});
  builder.U32("tokenizer.ggml.bos_token_id", 3).U32("tokenizer.ggml.eos_token_id", 4);
  builder.U32("tokenizer.ggml.eot_token_id", 5).U32("tokenizer.ggml.padding_token_id", 6);
}

Result<Model> OpenBytes(const std::string& bytes) {
  const TemporaryFolder folder;
  return OpenModel(folder.Write("tiny.gguf", bytes).string());
}

// Llama with one more key or tensor.
std::string ErrorWith(const std::function<void(GgufBuilder&)>& change,
                      Architecture architecture = Architecture::kLlama) {
  const ModelConfig config = Tiny(architecture);
  GgufBuilder builder;
  AddTokenizer(builder, config.vocab);
  change(builder);
  GgufOfModel(config, *RandomWeights(config, 1)).AddTo(builder);
  const auto model = OpenBytes(builder.Build());
  return model.ok() ? "accepted" : model.error().message;
}

class GgufArchitectureTest : public ::testing::TestWithParam<Architecture> {};

TEST_P(GgufArchitectureTest, ShapeAndEveryWeightComeBack) {
  const ModelConfig config = Tiny(GetParam());
  const auto source = RandomWeights(config, 5);
  GgufBuilder builder;
  AddTokenizer(builder, config.vocab);
  GgufOfModel(config, *source).AddTo(builder);
  const auto model = OpenBytes(builder.Build());
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->name, "tiny");

  const ModelConfig& read = model->config;
  EXPECT_EQ(read.architecture, config.architecture);
  EXPECT_EQ(read.rope, config.rope);
  EXPECT_EQ(ParameterCount(read), ParameterCount(config));
  EXPECT_EQ(
      std::tie(read.layers, read.hidden, read.ffn, read.heads, read.kv_heads, read.head_dim, read.vocab),
      std::tie(config.layers, config.hidden, config.ffn, config.heads, config.kv_heads, config.head_dim, config.vocab));
  EXPECT_EQ(read.max_positions, config.max_positions);
  EXPECT_EQ(std::tie(read.norm, read.norm_eps, read.activation, read.position, read.parallel_residual),
            std::tie(config.norm, config.norm_eps, config.activation, config.position, config.parallel_residual));
  EXPECT_EQ(std::tie(read.embedding_multiplier, read.residual_multiplier, read.logits_multiplier, read.attention_scale),
            std::tie(config.embedding_multiplier, config.residual_multiplier, config.logits_multiplier,
                     config.attention_scale));
  EXPECT_EQ(read.bos_id, 3);
  EXPECT_EQ(read.eos_ids, (std::vector<int32_t>{4, 5}));

  std::vector<WeightId> ids = AllWeights(config);
  ids.push_back({WeightKind::kOutput, -1});
  for (const WeightId& id : ids) {
    EXPECT_EQ(ReadRows(*model->weights, config, id), ReadRows(*source, config, id)) << ToString(id);
  }
  std::vector<float> step(1);
  EXPECT_EQ(model->weights->ReadRow({WeightKind::kQueryStep, 0}, 0, step).error().code, ErrorCode::kNotFound);
}

INSTANTIATE_TEST_SUITE_P(All, GgufArchitectureTest,
                         ::testing::Values(Architecture::kLlama, Architecture::kGranite, Architecture::kQwen2,
                                           Architecture::kQwen3, Architecture::kGpt2, Architecture::kGptNeoX),
                         [](const auto& test) {
                           std::string name = ToString(test.param);
                           std::erase(name, '-');
                           return name;
                         });

TEST(GgufModelTest, BiasesOfLlamaAreFoundAndPermuted) {
  ModelConfig config = Tiny(Architecture::kLlama);
  config.qkv_bias = config.attention_output_bias = config.mlp_bias = true;
  // Random biases are all zero; numbered ones tell their rows apart.
  class Numbered final : public WeightSource {
   public:
    Status ReadRow(const WeightId& id, int64_t row, std::span<float> out) const override {
      for (size_t i = 0; i < out.size(); ++i) {
        out[i] = testing::ValueAt(static_cast<int>(id.kind), row, static_cast<int64_t>(i));
      }
      return {};
    }
    std::string Describe() const override { return "numbered"; }
  };
  GgufBuilder builder;
  AddTokenizer(builder, config.vocab);
  GgufOfModel(config, Numbered()).AddTo(builder);
  const auto model = OpenBytes(builder.Build());
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_TRUE(model->config.mlp_bias && model->config.attention_output_bias);
  for (const WeightId& id : AllWeights(config)) {
    EXPECT_EQ(ReadRows(*model->weights, config, id), ReadRows(Numbered(), config, id)) << ToString(id);
  }
}

TEST(GgufModelTest, ShapeAloneNeedsNoTokenizer) {
  const ModelConfig config = Tiny(Architecture::kLlama);
  GgufBuilder builder;
  GgufOfModel(config, *RandomWeights(config, 1)).AddTo(builder);
  const TemporaryFolder folder;
  // Known by its first bytes where the name does not tell.
  const std::string path = folder.Write("blob", builder.Build()).string();
  const auto shape = OpenShape(path);
  ASSERT_TRUE(shape.ok()) << shape.error().message;
  EXPECT_EQ(shape->vocab, 300);
  EXPECT_EQ(shape->name, "blob");
  const auto model = OpenModel(path);
  ASSERT_FALSE(model.ok());
  ExpectParts(model.error().message, {path, "tokenizer.ggml.model"});
}

TEST(GgufModelTest, RopeOfLlama3IsRecognisedByItsDivisors) {
  // Constants of the published models (Dubey et al. 2024), computed for each wavelength.
  const auto divisors = [](double stretch) {
    std::vector<float> out;
    for (int i = 0; i < 4; ++i) {
      const double wavelength = 2 * std::numbers::pi * std::pow(500000.0, i / 4.0);
      const double smooth = std::clamp((8192 / wavelength - 1) / 3, 0.0, 1.0);
      out.push_back(static_cast<float>(stretch / ((1 - smooth) / 32 + smooth)));
    }
    return out;
  };
  ModelConfig config = Tiny(Architecture::kLlama);
  config.rope.linear_factor = 1;
  const auto open = [&](const std::vector<float>& values) {
    GgufBuilder builder;
    AddTokenizer(builder, config.vocab);
    builder.TensorF32("rope_freqs.weight", {static_cast<int64_t>(values.size())}, values);
    GgufOfModel(config, *RandomWeights(config, 1)).AddTo(builder);
    return OpenBytes(builder.Build());
  };
  const auto model = open(divisors(1));
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->config.rope.llama3_factor, 32);
  EXPECT_EQ(model->config.rope.original_positions, 8192);
  EXPECT_EQ(open({1, 1, 1, 1})->config.rope.llama3_factor, 0);
  ExpectParts(open(divisors(1.01)).error().message, {"rope_freqs.weight", "Llama 3"});
  ExpectParts(open({1, 1}).error().message, {"rope_freqs.weight", "2 values, expected 4"});
}

TEST(GgufModelTest, RefusesByName) {
  EXPECT_EQ(ErrorWith([](GgufBuilder&) {}), "accepted");
  ExpectParts(ErrorWith([](GgufBuilder& b) { b.U32("llama.expert_count", 8); }), {"llama.expert_count", "8"});
  ExpectParts(ErrorWith([](GgufBuilder& b) { b.U32("llama.attention.sliding_window", 4096); }),
              {"llama.attention.sliding_window", "4096"});
  ExpectParts(ErrorWith([](GgufBuilder& b) { b.F32("llama.final_logit_softcapping", 30); }),
              {"llama.final_logit_softcapping", "not known", "arithmetic"});
  ExpectParts(ErrorWith([](GgufBuilder& b) { b.U32("split.count", 3); }), {"split.count", "3 files"});
  ExpectParts(ErrorWith([](GgufBuilder& b) { b.Text("general.type", "adapter"); }), {"general.type", "'adapter'"});
  ExpectParts(ErrorWith([](GgufBuilder& b) { b.Text("granite.rope.scaling.type", "yarn"); }, Architecture::kGranite),
              {"granite.rope.scaling.type", "'yarn'", "linear"});
  ExpectParts(ErrorWith([](GgufBuilder& b) { b.TensorF32("output.bias", {300}, std::vector<float>(300)); }),
              {"tensor 'output.bias' of shape [300] has no place"});
  ExpectParts(ErrorWith([](GgufBuilder& b) { b.TensorF32("blk.0.attn_q.bias", {24}, std::vector<float>(24)); }),
              {"no tensor 'blk.0.attn_k.bias'", "layer 0 k_proj bias"});
  GgufBuilder unknown;
  unknown.Text("general.architecture", "mamba");
  ExpectParts(OpenBytes(unknown.Build()).error().message, {"'mamba' is not supported", "llama, granite, qwen2"});
  ExpectParts(OpenBytes(GgufBuilder().Build()).error().message, {"general.architecture"});
}

TEST(GgufModelTest, RefusesAnotherShape) {
  const ModelConfig config = Tiny(Architecture::kLlama);
  GgufBuilder builder;
  AddTokenizer(builder, config.vocab - 1);
  GgufOfModel(config, *RandomWeights(config, 1)).AddTo(builder);
  ExpectParts(OpenBytes(builder.Build()).error().message,
              {"'token_embd.weight' has shape [300, 24], expected [299, 24]", "embedding"});
}

TEST(GgufStoriesTest, WeightsAndTokensAreThoseOfTheDirectory) {
  LODESTONE_REQUIRE_FIXTURE(testing::kStoriesFixture);
  const auto directory = OpenModel((testing::SharedDir() / testing::kStoriesFixture).string());
  ASSERT_TRUE(directory.ok()) << directory.error().message;
  const auto gguf = OpenBytes(testing::StoriesAsGguf(testing::kTensorF32));
  ASSERT_TRUE(gguf.ok()) << gguf.error().message;
  EXPECT_EQ(gguf->config.norm_eps, directory->config.norm_eps);
  EXPECT_EQ(gguf->config.rope, directory->config.rope);
  EXPECT_EQ(gguf->config.eos_ids, directory->config.eos_ids);
  for (const WeightId& id : AllWeights(directory->config)) {
    EXPECT_EQ(ReadRows(*gguf->weights, directory->config, id), ReadRows(*directory->weights, directory->config, id));
  }
  for (const char* text :
       {"", "Once upon a time, there was a little girl named Lily.", " two  spaces ", "naïve Σ 漢字 🙂", "a\n\tb",
        "aaaaaaa the the thethe", "<s> is text", "<0x41>", "▁ is a character"}) {
    const auto expected = directory->tokenizer->Encode(text);
    ASSERT_TRUE(expected.ok());
    EXPECT_EQ(*gguf->tokenizer->Encode(text), *expected) << text;
    EXPECT_EQ(gguf->tokenizer->Decode(*expected), directory->tokenizer->Decode(*expected)) << text;
  }
}

TEST(GgufStoriesTest, QuantisedWeightsAreWithinHalfAStep) {
  LODESTONE_REQUIRE_FIXTURE(testing::kStoriesFixture);
  const auto directory = OpenModel((testing::SharedDir() / testing::kStoriesFixture).string());
  ASSERT_TRUE(directory.ok());
  const WeightId id{WeightKind::kGate, 1};
  const testing::Rows exact = ReadRows(*directory->weights, directory->config, id);
  for (const uint32_t type : {testing::kTensorQ8_0, testing::kTensorQ4_0}) {
    const auto gguf = OpenBytes(testing::StoriesAsGguf(type));
    ASSERT_TRUE(gguf.ok()) << gguf.error().message;
    const testing::Rows rounded = ReadRows(*gguf->weights, directory->config, id);
    for (size_t r = 0; r < exact.size(); ++r) {
      for (size_t block = 0; block < exact[r].size(); block += 32) {
        float largest = 0;
        for (size_t i = block; i < block + 32; ++i) largest = std::max(largest, std::abs(exact[r][i]));
        // Half a step, and a whole one where Q4_0's 7 is a step below its −8; an f16 scale is off by 2^-11 at most.
        const float bound = largest * (type == testing::kTensorQ8_0 ? 0.5f / 127 : 1.0f / 8) * 1.01f + largest / 2048;
        for (size_t i = block; i < block + 32; ++i) EXPECT_NEAR(rounded[r][i], exact[r][i], bound) << r << " " << i;
      }
    }
  }
}

}  // namespace
}  // namespace lodestone
