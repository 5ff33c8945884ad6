#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "fixtures.h"
#include "model/config.h"

namespace lodestone {
namespace {

// A complete small configuration of each class; `extra` are further members, each ending with a comma.
std::string LlamaText(std::string_view extra = "", std::string_view class_name = "LlamaForCausalLM") {
  return fmt::format(
      R"({{{} "architectures": ["{}"], "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 5,
       "num_attention_heads": 8, "vocab_size": 512, "max_position_embeddings": 256}})",
      extra, class_name);
}
std::string Gpt2Text(std::string_view extra = "") {
  return fmt::format(
      R"({{{} "model_type": "gpt2", "n_embd": 48, "n_head": 4, "n_layer": 2, "n_positions": 128, "vocab_size": 100}})",
      extra);
}
std::string NeoXText(std::string_view extra = "") {
  return fmt::format(
      R"({{{} "architectures": ["GPTNeoXForCausalLM"], "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
       "num_attention_heads": 4, "vocab_size": 69, "max_position_embeddings": 256}})",
      extra);
}

Result<ModelConfig> Parse(const std::string& text) {
  const Result<Json> json = ParseJson(text, "config.json");
  if (!json.ok()) return json.error();
  return ParseHuggingFaceConfig(*json, "config.json");
}
ModelConfig MustParse(const std::string& text) {
  const Result<ModelConfig> config = Parse(text);
  EXPECT_TRUE(config.ok()) << config.error().message;
  return config.ok() ? *config : ModelConfig();
}
void ExpectRefused(const std::string& text, std::initializer_list<std::string_view> parts) {
  const Result<ModelConfig> config = Parse(text);
  ASSERT_FALSE(config.ok()) << text;
  for (const std::string_view part : parts) {
    EXPECT_NE(config.error().message.find(part), std::string::npos)
        << "expected '" << part << "' in: " << config.error().message;
  }
}

TEST(HuggingFaceConfigTest, LlamaWithTheLibrarysDefaults) {
  const ModelConfig c = MustParse(LlamaText());
  EXPECT_EQ(c.architecture, Architecture::kLlama);
  EXPECT_EQ(c.layers, 5);
  EXPECT_EQ(c.hidden, 64);
  EXPECT_EQ(c.ffn, 172);
  EXPECT_EQ(c.heads, 8);
  EXPECT_EQ(c.kv_heads, 8);
  EXPECT_EQ(c.head_dim, 8);
  EXPECT_EQ(c.vocab, 512);
  EXPECT_EQ(c.max_positions, 256);
  EXPECT_EQ(c.norm, NormKind::kRms);
  EXPECT_EQ(c.norm_eps, 1e-6);
  EXPECT_EQ(c.activation, ActivationKind::kSilu);
  EXPECT_TRUE(c.gated_mlp);
  EXPECT_EQ(c.position, PositionKind::kRotary);
  EXPECT_EQ(c.rope, (Rope{.theta = 10000, .rotary_dim = 8}));
  EXPECT_FALSE(c.tied_embeddings || c.qkv_bias || c.attention_output_bias || c.mlp_bias || c.qk_norm);
  EXPECT_EQ(c.sliding_window, 0);
  EXPECT_EQ(c.attention_scale, 1 / std::sqrt(8.0));
  EXPECT_EQ(c.bos_id, 1);
  EXPECT_EQ(c.eos_ids, std::vector<int32_t>{2});
}

TEST(HuggingFaceConfigTest, LlamaWithEverythingStated) {
  const ModelConfig c = MustParse(LlamaText(
      R"("model_type": "llama", "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-5, "attention_bias": true,
         "mlp_bias": true, "tie_word_embeddings": true, "rope_theta": 5e5, "hidden_act": "gelu", "bos_token_id": 7,
         "eos_token_id": [8, 9], "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
         "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}, "pretraining_tp": 1,
         "torch_dtype": "bfloat16", "transformers_version": "4.40", "use_cache": true, "attention_dropout": 0.1,
         "pad_token_id": null, "something_new": null,)"));
  EXPECT_EQ(c.kv_heads, 2);
  EXPECT_EQ(c.q_width(), 128);
  EXPECT_EQ(c.kv_width(), 32);
  EXPECT_TRUE(c.qkv_bias && c.attention_output_bias && c.mlp_bias && c.tied_embeddings);
  EXPECT_EQ(c.activation, ActivationKind::kGeluErf);
  EXPECT_EQ(c.rope, (Rope{.theta = 5e5,
                          .rotary_dim = 16,
                          .linear_factor = 1,
                          .llama3_factor = 8,
                          .low_freq_factor = 1,
                          .high_freq_factor = 4,
                          .original_positions = 8192}));
  EXPECT_EQ(c.bos_id, 7);
  EXPECT_EQ(c.eos_ids, (std::vector<int32_t>{8, 9}));
}

TEST(HuggingFaceConfigTest, RopeInEveryAcceptedSpelling) {
  EXPECT_EQ(MustParse(LlamaText(R"("rope_scaling": null,)")).rope.linear_factor, 1);
  EXPECT_EQ(MustParse(LlamaText(R"("rope_scaling": {"type": "default"},)")).rope.linear_factor, 1);
  EXPECT_EQ(MustParse(LlamaText(R"("rope_scaling": {"type": "linear", "factor": 2},)")).rope.linear_factor, 2);
  EXPECT_EQ(MustParse(LlamaText(R"("rope_scaling": {"rope_type": "linear", "factor": 4.0},)")).rope.linear_factor, 4);
  const ModelConfig newer =
      MustParse(LlamaText(R"("rope_parameters": {"rope_type": "default", "rope_theta": 250000.0},)"));
  EXPECT_EQ(newer.rope.theta, 250000);
}

TEST(HuggingFaceConfigTest, RefusesOtherRopes) {
  ExpectRefused(LlamaText(R"("rope_scaling": {"rope_type": "yarn", "factor": 2},)"),
                {"config.json", "'rope_scaling.rope_type'", "'yarn'", "linear", "llama3"});
  ExpectRefused(LlamaText(R"("rope_scaling": {"type": "dynamic", "factor": 2},)"),
                {"'rope_scaling.type'", "'dynamic'"});
  ExpectRefused(LlamaText(R"("rope_scaling": {"type": "default", "mrope_section": [1, 2]},)"),
                {"'rope_scaling.mrope_section'"});
  ExpectRefused(LlamaText(R"("rope_scaling": {"type": "linear"},)"), {"'rope_scaling.factor'"});
  ExpectRefused(LlamaText(R"("rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4,
                             "high_freq_factor": 4, "original_max_position_embeddings": 8192},)"),
                {"low_freq_factor", "high_freq_factor"});
  ExpectRefused(LlamaText(R"("rope_scaling": {"type": "default"}, "rope_parameters": {"rope_type": "default"},)"),
                {"'rope_scaling'", "rope_parameters"});
  ExpectRefused(LlamaText(R"("rope_scaling": "linear",)"), {"rope_scaling", "object"});
  ExpectRefused(LlamaText(R"("partial_rotary_factor": 0.5,)"), {"'partial_rotary_factor'", "0.5"});
  ExpectRefused(LlamaText(R"("head_dim": 7,)"), {"7"});
}

TEST(HuggingFaceConfigTest, MistralsWindow) {
  const auto text = [](std::string_view extra) {
    return LlamaText(fmt::format(R"("num_key_value_heads": 4, {})", extra), "MistralForCausalLM");
  };
  EXPECT_EQ(MustParse(text("")).sliding_window, 4096);
  EXPECT_EQ(MustParse(text(R"("sliding_window": null,)")).sliding_window, 0);
  EXPECT_EQ(MustParse(text(R"("sliding_window": 128,)")).sliding_window, 128);
  EXPECT_EQ(MustParse(text(R"("attention_bias": false,)")).architecture, Architecture::kMistral);
  ExpectRefused(text(R"("attention_bias": true,)"), {"'attention_bias'", "not supported"});
  // The library's default of 8 KV heads.
  EXPECT_EQ(MustParse(LlamaText("", "MistralForCausalLM")).kv_heads, 8);
}

TEST(HuggingFaceConfigTest, Qwen2HasQkvBiasesAndAWindowOnlyWhenAsked) {
  const auto text = [](std::string_view extra) {
    return LlamaText(fmt::format(R"("num_key_value_heads": 4, {})", extra), "Qwen2ForCausalLM");
  };
  const ModelConfig c = MustParse(text(R"("sliding_window": 100, "max_window_layers": 0, "use_mrope": false,)"));
  EXPECT_TRUE(c.qkv_bias);
  EXPECT_FALSE(c.attention_output_bias);
  EXPECT_EQ(c.sliding_window, 0);
  EXPECT_FALSE(c.bos_id.has_value());
  EXPECT_TRUE(c.eos_ids.empty());
  const char* use = R"("use_sliding_window": true, "sliding_window": 100,)";
  EXPECT_EQ(MustParse(text(fmt::format(R"({} "max_window_layers": 5,)", use))).sliding_window, 0);
  EXPECT_EQ(MustParse(text(fmt::format(R"({} "max_window_layers": 0,)", use))).sliding_window, 100);
  ExpectRefused(text(fmt::format(R"({} "max_window_layers": 2,)", use)), {"'max_window_layers'", "some layers"});
  EXPECT_EQ(
      MustParse(text(R"("use_sliding_window": true, "sliding_window": null, "max_window_layers": 0,)")).sliding_window,
      0);
  ExpectRefused(text(R"("use_mrope": true,)"), {"'use_mrope'"});
  ExpectRefused(text(R"("layer_types": ["sliding_attention"],)"), {"'layer_types'", "full_attention"});
  const std::string full = R"("layer_types": ["full_attention","full_attention","full_attention","full_attention",)"
                           R"("full_attention"],)";
  EXPECT_EQ(MustParse(text(full)).sliding_window, 0);
  EXPECT_EQ(MustParse(text(full + use)).sliding_window, 0);
}

TEST(HuggingFaceConfigTest, Qwen3HasHeadNormsAndItsOwnHeadDimension) {
  const ModelConfig c = MustParse(LlamaText(R"("num_key_value_heads": 4,)", "Qwen3ForCausalLM"));
  EXPECT_TRUE(c.qk_norm);
  EXPECT_FALSE(c.qkv_bias);
  EXPECT_EQ(c.head_dim, 128);
  EXPECT_EQ(c.rope.rotary_dim, 128);
  EXPECT_EQ(c.attention_scale, 1 / std::sqrt(128.0));
}

TEST(HuggingFaceConfigTest, GranitesMultipliers) {
  const ModelConfig c = MustParse(LlamaText(R"("embedding_multiplier": 12.0, "attention_multiplier": 0.0078125,
      "residual_multiplier": 0.22, "logits_scaling": 16.0,)",
                                            "GraniteForCausalLM"));
  EXPECT_EQ(c.embedding_multiplier, 12);
  EXPECT_EQ(c.residual_multiplier, 0.22);
  EXPECT_EQ(c.logits_multiplier, 1.0 / 16);
  EXPECT_EQ(c.attention_scale, 0.0078125);
  EXPECT_EQ(MustParse(LlamaText("", "GraniteForCausalLM")).attention_scale, 1);
  ExpectRefused(LlamaText(R"("logits_scaling": 16.0,)"), {"'logits_scaling'", "may change the arithmetic"});
  ExpectRefused(LlamaText(R"("logits_scaling": 0,)", "GraniteForCausalLM"), {"'logits_scaling'"});
}

TEST(HuggingFaceConfigTest, Gpt2) {
  const ModelConfig c = MustParse(Gpt2Text(R"("architectures": ["GPT2LMHeadModel"], "n_inner": null, "n_ctx": 128,
      "activation_function": "gelu_new", "resid_pdrop": 0.1, "summary_type": "cls_index",
      "task_specific_params": {"text-generation": {"max_length": 50}}, "reorder_and_upcast_attn": true,
      "scale_attn_by_inverse_layer_idx": false,)"));
  EXPECT_EQ(c.architecture, Architecture::kGpt2);
  EXPECT_EQ(c.ffn, 192);
  EXPECT_EQ(c.head_dim, 12);
  EXPECT_EQ(c.kv_heads, 4);
  EXPECT_EQ(c.norm, NormKind::kLayer);
  EXPECT_EQ(c.norm_eps, 1e-5);
  EXPECT_EQ(c.activation, ActivationKind::kGeluTanh);
  EXPECT_FALSE(c.gated_mlp);
  EXPECT_EQ(c.position, PositionKind::kLearned);
  EXPECT_TRUE(c.qkv_bias && c.attention_output_bias && c.mlp_bias && c.tied_embeddings);
  EXPECT_EQ(c.attention_scale, 1 / std::sqrt(12.0));
  // The library's default id 50256 lies outside this vocabulary.
  EXPECT_FALSE(c.bos_id.has_value());
  EXPECT_EQ(MustParse(Gpt2Text(R"("n_inner": 100,)")).ffn, 100);
  EXPECT_EQ(MustParse(Gpt2Text(R"("scale_attn_weights": false,)")).attention_scale, 1);
  ExpectRefused(Gpt2Text(R"("scale_attn_by_inverse_layer_idx": true,)"),
                {"'scale_attn_by_inverse_layer_idx'", "not supported"});
  ExpectRefused(Gpt2Text(R"("add_cross_attention": true,)"), {"'add_cross_attention'"});
}

TEST(HuggingFaceConfigTest, GptNeoX) {
  const ModelConfig c =
      MustParse(NeoXText(R"("rotary_pct": 0.25, "rotary_emb_base": 20000, "hidden_act": "gelu_fast",)"));
  EXPECT_EQ(c.architecture, Architecture::kGptNeoX);
  EXPECT_EQ(c.head_dim, 16);
  EXPECT_EQ(c.rope, (Rope{.theta = 20000, .rotary_dim = 4}));
  EXPECT_TRUE(c.parallel_residual);
  EXPECT_FALSE(c.gated_mlp || c.tied_embeddings);
  EXPECT_TRUE(c.qkv_bias && c.attention_output_bias && c.mlp_bias);
  EXPECT_EQ(c.activation, ActivationKind::kGeluTanh);
  EXPECT_EQ(MustParse(NeoXText()).activation, ActivationKind::kGeluErf);
  EXPECT_FALSE(MustParse(NeoXText(R"("use_parallel_residual": false,)")).parallel_residual);
  EXPECT_EQ(MustParse(NeoXText(R"("rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5},)"))
                .rope.rotary_dim,
            8);
  ExpectRefused(NeoXText(R"("rotary_pct": 0,)"), {"0 of 16 dimensions"});
}

TEST(HuggingFaceConfigTest, RefusesUnknownArchitectures) {
  ExpectRefused(LlamaText("", "FalconForCausalLM"),
                {"'architectures'", "'FalconForCausalLM'", "LlamaForCausalLM", "GPT2LMHeadModel"});
  ExpectRefused(LlamaText(R"("model_type": "gemma3",)"), {"'model_type'", "'gemma3'", "not supported"});
  ExpectRefused(LlamaText(R"("model_type": "mistral",)"), {"'model_type'", "'mistral'", "LlamaForCausalLM"});
  ExpectRefused("{}", {"'architectures'", "model_type"});
  ExpectRefused(R"({"architectures": []})", {"'architectures'", "one class name"});
  ExpectRefused("[]", {"config.json", "object"});
}

TEST(HuggingFaceConfigTest, RefusesUnknownKeysUnlessNull) {
  ExpectRefused(LlamaText(R"("attn_logit_softcapping": 50.0,)"),
                {"config.json", "'attn_logit_softcapping'", "may change the arithmetic", "remove it from config.json"});
  ExpectRefused(LlamaText(R"("use_something": false,)"), {"'use_something'"});
  EXPECT_TRUE(Parse(LlamaText(R"("attn_logit_softcapping": null,)")).ok());
}

constexpr std::string_view kMixtral = R"({"architectures": ["MixtralForCausalLM"], "model_type": "mixtral",
  "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 2, "num_attention_heads": 8, "vocab_size": 512,
  "max_position_embeddings": 256, "output_router_logits": false, "router_jitter_noise": 0.0)";

TEST(HuggingFaceConfigTest, Mixtral) {
  const auto stated = Parse(std::string(kMixtral) + R"(, "num_local_experts": 6, "num_experts_per_tok": 3})");
  ASSERT_TRUE(stated.ok()) << stated.error().message;
  EXPECT_EQ(stated->architecture, Architecture::kMixtral);
  EXPECT_EQ(stated->experts, 6);
  EXPECT_EQ(stated->experts_per_token, 3);
  const auto silent = Parse(std::string(kMixtral) + "}");
  ASSERT_TRUE(silent.ok()) << silent.error().message;
  EXPECT_EQ(silent->experts, 8);  // the library's defaults
  EXPECT_EQ(silent->experts_per_token, 2);
  EXPECT_EQ(silent->rope.theta, 1e6);
  EXPECT_EQ(silent->norm_eps, 1e-5);
  EXPECT_EQ(silent->sliding_window, 0);

  auto again = ParseHuggingFaceConfig(HuggingFaceConfig(*stated), "config.json");
  ASSERT_TRUE(again.ok()) << again.error().message;
  again->name = stated->name;
  EXPECT_EQ(*again, *stated);
}

TEST(HuggingFaceConfigTest, RefusesImpossibleExperts) {
  ExpectRefused(std::string(kMixtral) + R"(, "num_local_experts": 2, "num_experts_per_tok": 3})",
                {"the number of experts a token is 3", "1 to 2"});
  ExpectRefused(std::string(kMixtral) + R"(, "num_local_experts": 100000})", {"the number of experts is 100000"});
  ExpectRefused(std::string(kMixtral) + R"(, "n_routed_experts": 4})", {"'n_routed_experts'", "but Mixtral"});
}

TEST(HuggingFaceConfigTest, RefusesWhatChangesTheArithmetic) {
  ExpectRefused(LlamaText(R"("quantization_config": {"quant_method": "gptq", "bits": 4},)"),
                {"'quantization_config'", "'gptq'", "w4a8"});
  ExpectRefused(LlamaText(R"("num_local_experts": 8,)"), {"'num_local_experts'", "mixture-of-experts"});
  ExpectRefused(LlamaText(R"("pretraining_tp": 2,)"), {"'pretraining_tp'"});
  ExpectRefused(LlamaText(R"("pruned_heads": {"1": [0]},)"), {"'pruned_heads'"});
  ExpectRefused(LlamaText(R"("is_encoder_decoder": true,)"), {"'is_encoder_decoder'"});
  ExpectRefused(LlamaText(R"("hidden_act": "relu",)"), {"'hidden_act'", "'relu'", "silu"});
  EXPECT_TRUE(
      Parse(LlamaText(R"("pruned_heads": {}, "is_encoder_decoder": false, "quantization_config": null,)")).ok());
}

TEST(HuggingFaceConfigTest, RefusesMissingOutOfRangeOrInconsistentDimensions) {
  ExpectRefused(R"({"model_type": "llama"})", {"config.json", "'num_hidden_layers'"});
  const auto with = [](std::string_view key, std::string_view value) {
    // A member again would be a duplicate key, so the text is edited.
    std::string text = LlamaText();
    const std::string quoted = fmt::format("\"{}\": ", key);
    const size_t at = text.find(quoted) + quoted.size();
    return text.replace(at, text.find_first_of(",}", at) - at, value);
  };
  for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size",
                          "max_position_embeddings"}) {
    const std::string quoted = fmt::format("'{}'", key);
    ExpectRefused(with(key, "0"), {quoted});
    ExpectRefused(with(key, "-64"), {quoted});
    ExpectRefused(with(key, "9223372036854775807"), {quoted});
    ExpectRefused(with(key, "1e300"), {quoted});
    ExpectRefused(with(key, "64.5"), {quoted});
    ExpectRefused(with(key, "\"64\""), {quoted});
    ExpectRefused(with(key, "null"), {quoted});
  }
  ExpectRefused(with("hidden_size", "65"), {"'hidden_size'", "65", "8 heads", "head_dim"});
  ExpectRefused(LlamaText(R"("num_key_value_heads": 3,)"), {"8 heads", "3 KV heads"});
  ExpectRefused(LlamaText(R"("num_key_value_heads": 16,)"), {"KV heads", "16"});
  ExpectRefused(LlamaText(R"("rms_norm_eps": -1,)"), {"'rms_norm_eps'"});
  ExpectRefused(LlamaText(R"("bos_token_id": 512,)"), {"BOS", "512"});
  ExpectRefused(LlamaText(R"("eos_token_id": [1, -1],)"), {"'eos_token_id'"});
  ExpectRefused(LlamaText(R"("eos_token_id": "x",)"), {"'eos_token_id'"});
}

TEST(HuggingFaceConfigTest, LargestAcceptedShapeDoesNotOverflow) {
  const ModelConfig c = MustParse(R"({"model_type": "llama", "hidden_size": 1048576, "intermediate_size": 4194304,
      "num_hidden_layers": 4096, "num_attention_heads": 4096, "head_dim": 4096, "vocab_size": 16777216,
      "max_position_embeddings": 1073741824})");
  // Per layer: Q, K, V, O of 2^20 × 2^24 each, three matrices of 2^20 × 2^22, two norms; two tables of 2^44; one norm.
  const int64_t layer = 4 * (int64_t{1} << 44) + 3 * (int64_t{1} << 42) + 2 * (int64_t{1} << 20);
  EXPECT_EQ(ParameterCount(c), 4096 * layer + 2 * (int64_t{1} << 44) + (int64_t{1} << 20));
}

// The published GenSLM files name their parameter counts; the 250M hold another shape than their names say, and three
// shapes cannot run.
TEST(HuggingFaceConfigTest, PublishedGenSlmFilesCountAsTheirNamesSay) {
  LODESTONE_REQUIRE_FIXTURE("published/genslm/architectures");
  int matched = 0, refused = 0;
  for (const char* family : {"neox", "gpt2"}) {
    for (const auto& entry :
         std::filesystem::directory_iterator(testing::SharedDir() / "published/genslm/architectures" / family)) {
      const std::string file = entry.path().filename().string();
      std::string digits;
      for (const char ch : file.substr(5, file.find_first_of("_.", 5) - 5)) {
        if (ch != ',') digits += ch;
      }
      const Result<Json> json = ReadJsonFile(entry.path().string(), 1 << 20);
      ASSERT_TRUE(json.ok()) << json.error().message;
      const Result<ModelConfig> config = ParseHuggingFaceConfig(*json, file);
      // Hidden 8196 is not divisible by 64 heads; a quarter of a head of 181 or 110 is an odd number of rotary
      // dimensions.
      const std::pair<const char*, const char*> cannot_run[] = {{"neox_25,076,188,032", "8196 is not a multiple of 64"},
                                                                {"neox_1,620,997,120", "45 of 181"},
                                                                {"neox_15,056,728,576", "27 of 110"}};
      const auto* reason = std::find_if(std::begin(cannot_run), std::end(cannot_run),
                                        [&](const auto& pair) { return file.starts_with(pair.first); });
      if (reason != std::end(cannot_run)) {
        ASSERT_FALSE(config.ok()) << file;
        EXPECT_NE(config.error().message.find(reason->second), std::string::npos) << config.error().message;
        ++refused;
        continue;
      }
      ASSERT_TRUE(config.ok()) << config.error().message;
      // Hidden 1840 is stored where the name counts with 1800.
      const int64_t expected = file.starts_with("neox_244,464,576") ? 253429376 : std::stoll(digits);
      EXPECT_EQ(ParameterCount(*config), expected) << file;
      ++matched;
    }
  }
  EXPECT_EQ(refused, 3);
  EXPECT_EQ(matched, 13);
}

}  // namespace
}  // namespace lodestone
