#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "fixtures.h"
#include "model/config.h"

namespace lodestone {
namespace {

std::map<std::string, CatalogModel> Models() {
  const auto models = CatalogModels();
  EXPECT_TRUE(models.ok()) << models.error().message;
  std::map<std::string, CatalogModel> by_name;
  if (models.ok()) {
    for (const CatalogModel& model : *models) by_name[model.name] = model;
  }
  return by_name;
}

TEST(CatalogModelsTest, HasEveryModelSortedWithDescriptionAndSource) {
  const auto models = CatalogModels();
  ASSERT_TRUE(models.ok()) << models.error().message;
  const std::set<std::string> expected = {
      "granite-3b-14l", "granite-8b-code", "granite-3.3-8b", "llama-3-8b", "llama-3-70b", "mistral-7b",  "qwen2.5-7b",
      "gpt2",           "gpt2-medium",     "gpt2-large",     "gpt2-xl",    "genslm-25m",  "genslm-250m", "genslm-2.5b",
      "genslm-25b",     "llama-7b",        "llama-13b",      "llama-2-7b", "llama-2-13b", "llama-2-70b", "qwen1.5-7b",
      "qwen2-7b",       "qwen2-72b",       "aquila-7b",      "gpt-j-6b",   "gpt-13b",     "llama-68m"};
  std::vector<std::string> names;
  for (const CatalogModel& model : *models) {
    names.push_back(model.name);
    EXPECT_FALSE(model.description.empty()) << model.name;
    EXPECT_FALSE(model.source.empty()) << model.name;
    EXPECT_EQ(model.config.name, model.name);
  }
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  for (const std::string& name : expected) EXPECT_EQ(std::count(names.begin(), names.end(), name), 1) << name;
}

TEST(CatalogModelsTest, ParameterCountsAreThePublishedOnes) {
  auto models = Models();
  const std::pair<const char*, int64_t> published[] = {
      {"gpt2", 124439808},          {"gpt2-medium", 354823168},     {"gpt2-large", 774030080},
      {"gpt2-xl", 1557611200},      {"granite-3.3-8b", 8170864640}, {"llama-3-8b", 8030261248},
      {"llama-3-70b", 70553706496}, {"mistral-7b", 7241732096},     {"qwen2.5-7b", 7615616512},
      {"genslm-25m", 25290752},     {"genslm-2.5b", 2533931008},    {"llama-7b", 6738415616},
      {"llama-13b", 13015864320},   {"llama-2-7b", 6738415616},     {"llama-2-13b", 13015864320},
      {"llama-2-70b", 68976648192}, {"qwen1.5-7b", 7721324544},     {"qwen2-7b", 7615616512},
      {"qwen2-72b", 72706203648},   {"mixtral-8x7b", 46702792704}};
  for (const auto& [name, count] : published) EXPECT_EQ(ParameterCount(models[name].config), count) << name;
}

// shared/facts/northpole.md, 3.2: what the paper's "3B" counts are the matrices of 14 layers.
TEST(CatalogModelsTest, ThePapersModelIsThreeBillionInItsLayers) {
  const ModelConfig c = Models()["granite-3b-14l"].config;
  const int64_t attention = 2 * int64_t{c.hidden} * c.q_width() + 2 * int64_t{c.hidden} * c.kv_width();
  const int64_t mlp = 3 * int64_t{c.hidden} * c.ffn;
  EXPECT_EQ(attention, 41943040);
  EXPECT_EQ(mlp, 176160768);
  EXPECT_EQ(attention + mlp, int64_t{104} * 2 * 1024 * 1024);  // 104.0 MiB at two codes a byte
  EXPECT_EQ(c.layers * (attention + mlp), 3053453312);
  EXPECT_EQ(int64_t{c.vocab} * c.hidden, int64_t{192} * 1024 * 1024);  // the output layer at INT8: 192.0 MiB
  EXPECT_EQ(2 * c.kv_width(), 2048);                                   // KV values a token and layer
}

TEST(CatalogModelsTest, ChildrenHaveTheLayersOfTheirParents) {
  auto models = Models();
  ModelConfig child = models["granite-3b-14l"].config;
  const ModelConfig parent = models["granite-8b-code"].config;
  EXPECT_EQ(child.layers, 14);
  EXPECT_EQ(parent.layers, 36);
  child.layers = parent.layers;
  EXPECT_EQ(ParameterCount(child), ParameterCount(parent));
  EXPECT_EQ(child.rope, parent.rope);
}

TEST(CatalogModelsTest, DetailsThatCountsDoNotShow) {
  auto models = Models();
  const ModelConfig granite = models["granite-3.3-8b"].config;
  EXPECT_EQ(granite.architecture, Architecture::kGranite);
  EXPECT_EQ(granite.attention_scale, 1.0 / 128);
  EXPECT_EQ(granite.logits_multiplier, 1.0 / 16);
  EXPECT_EQ(models["mistral-7b"].config.sliding_window, 4096);
  EXPECT_EQ(models["llama-3-8b"].config.rope.theta, 500000);
  EXPECT_EQ(models["llama-3-8b"].config.attention_scale, 1 / std::sqrt(128.0));
  EXPECT_TRUE(models["qwen2.5-7b"].config.qkv_bias);
  EXPECT_TRUE(models["genslm-25m"].config.parallel_residual);
  EXPECT_EQ(models["genslm-25m"].config.rope.rotary_dim, 16);
  EXPECT_EQ(models["gpt2"].config.position, PositionKind::kLearned);
}

// The catalogue's GenSLM shapes are those of the published files, but for the one whose size cannot run.
TEST(CatalogModelsTest, GenSlmShapesAreThePublishedFiles) {
  LODESTONE_REQUIRE_FIXTURE("published/genslm/architectures/neox");
  auto models = Models();
  const std::pair<const char*, const char*> files[] = {{"genslm-25m", "neox_25,290,752.json"},
                                                       {"genslm-250m", "neox_244,464,576.json"},
                                                       {"genslm-2.5b", "neox_2,533,931,008.json"},
                                                       {"genslm-25b", "neox_25,076,188,032.json"}};
  for (const auto& [name, file] : files) {
    const std::string path = (testing::SharedDir() / "published/genslm/architectures/neox" / file).string();
    Result<Json> json = ReadJsonFile(path, 1 << 20);
    ASSERT_TRUE(json.ok()) << json.error().message;
    if (std::string(name) == "genslm-25b") json->Set("hidden_size", 8192);
    const Result<ModelConfig> parsed = ParseHuggingFaceConfig(*json, path);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    const ModelConfig& ours = models[name].config;
    const auto numbers = [](const ModelConfig& c) {
      return fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}", ToString(c.architecture), c.layers,
                         c.hidden, c.ffn, c.heads, c.kv_heads, c.head_dim, c.vocab, c.max_positions, c.norm_eps,
                         c.rope.rotary_dim, c.rope.theta, c.tied_embeddings, c.parallel_residual,
                         static_cast<int>(c.activation), c.attention_scale);
    };
    EXPECT_EQ(numbers(ours), numbers(*parsed)) << name;
    EXPECT_EQ(ours.bos_id, parsed->bos_id);
    EXPECT_EQ(ours.eos_ids, parsed->eos_ids);
  }
}

class CatalogTomlTest : public ::testing::Test {
 protected:
  // The text of a valid shape with one line replaced or, where `value` is empty, left out.
  static std::string Text(const std::string& key = "", const std::string& value = "") {
    const std::pair<const char*, const char*> lines[] = {{"name", "\"x\""},
                                                         {"description", "\"d\""},
                                                         {"source", "\"s\""},
                                                         {"architecture", "\"llama\""},
                                                         {"layers", "2"},
                                                         {"hidden", "32"},
                                                         {"ffn", "64"},
                                                         {"heads", "4"},
                                                         {"kv_heads", "2"},
                                                         {"head_dim", "8"},
                                                         {"vocab", "100"},
                                                         {"max_positions", "64"},
                                                         {"norm", "\"rms\""},
                                                         {"norm_eps", "1e-5"},
                                                         {"activation", "\"silu\""},
                                                         {"gated_mlp", "true"},
                                                         {"position", "\"rotary\""},
                                                         {"rope", "{ theta = 10000.0, rotary_dim = 8 }"},
                                                         {"tied_embeddings", "true"}};
    std::string text;
    bool found = false;
    for (const auto& [k, v] : lines) {
      found |= key == k;
      if (key == k && value.empty()) continue;
      text += fmt::format("{} = {}\n", k, key == k ? value : v);
    }
    if (!found && !key.empty()) text += fmt::format("{} = {}\n", key, value);
    return text;
  }
  static Result<ModelConfig> Parse(const std::string& text) {
    const Result<Json> toml = ParseToml(text, "x.toml");
    if (!toml.ok()) return toml.error();
    return ParseCatalogModel(*toml, "x.toml");
  }
  static void ExpectRefused(const std::string& text, std::initializer_list<std::string_view> parts) {
    const Result<ModelConfig> config = Parse(text);
    ASSERT_FALSE(config.ok()) << text;
    for (const std::string_view part : parts) {
      EXPECT_NE(config.error().message.find(part), std::string::npos)
          << "expected '" << part << "' in: " << config.error().message;
    }
  }
};

TEST_F(CatalogTomlTest, WhatIsLeftOutIsNeutral) {
  const auto c = Parse(Text());
  ASSERT_TRUE(c.ok()) << c.error().message;
  EXPECT_EQ(c->attention_scale, 1 / std::sqrt(8.0));
  EXPECT_EQ(c->embedding_multiplier, 1);
  EXPECT_FALSE(c->qkv_bias || c->mlp_bias || c->attention_output_bias || c->qk_norm || c->parallel_residual);
  EXPECT_EQ(c->sliding_window, 0);
  EXPECT_FALSE(c->bos_id.has_value());
}

TEST_F(CatalogTomlTest, EveryOtherKeyIsRequired) {
  for (const char* key : {"name", "description", "source", "architecture", "layers", "hidden", "ffn", "heads",
                          "kv_heads", "head_dim", "vocab", "max_positions", "norm", "norm_eps", "activation",
                          "gated_mlp", "position", "rope", "tied_embeddings"}) {
    ExpectRefused(Text(key), {"x.toml", fmt::format("'{}'", key)});
  }
}

TEST_F(CatalogTomlTest, RefusesUnknownKeysWithTheirLine) {
  ExpectRefused(Text("layer", "3"), {"x.toml:20", "'layer'", "unknown", "'layers'"});
  ExpectRefused(Text("rope", "{ theta = 1e4, rotary_dim = 8, base = 3 }"), {"x.toml:18", "'rope.base'", "unknown"});
}

TEST_F(CatalogTomlTest, RefusesBadToml) { ExpectRefused("name = \"x\"\nlayers = = 3\n", {"x.toml:2"}); }

TEST_F(CatalogTomlTest, RefusesWordsAndNumbersThatDoNotFit) {
  ExpectRefused(Text("architecture", "\"bert\""), {"x.toml:4", "'bert'", "llama", "gpt-neox"});
  ExpectRefused(Text("norm", "\"batch\""), {"'batch'", "rms", "layer"});
  ExpectRefused(Text("activation", "\"relu\""), {"'relu'", "gelu-tanh"});
  ExpectRefused(Text("position", "\"alibi\""), {"'alibi'", "learned"});
  ExpectRefused(Text("layers", "0"), {"x.toml:5", "'layers'"});
  ExpectRefused(Text("layers", "5000"), {"'layers'", "4096"});
  ExpectRefused(Text("kv_heads", "3"), {"4 heads", "3 KV heads"});
  ExpectRefused(Text("rope", "{ theta = 1e4, rotary_dim = 7 }"), {"7 of 8"});
  ExpectRefused(Text("rope", "{ theta = 1e4, rotary_dim = 10 }"), {"10 of 8"});
  ExpectRefused(Text("rope", "3"), {"rope"});
  ExpectRefused(Text("bos_id", "100"), {"'bos_id'", "99"});
  ExpectRefused(Text("eos_ids", "[1, -1]"), {"'eos_ids'", "99"});
  ExpectRefused(Text("eos_ids", "1"), {"'eos_ids'", "list"});
}

TEST_F(CatalogTomlTest, RefusesAParameterCountThatTheShapeDoesNotHave) {
  // 100 × 32 + 2 × (2 × 32² + 2 × 32 × 16 + 3 × 32 × 64 + 2 × 32) + 32
  EXPECT_TRUE(Parse(Text("parameters", "21792")).ok());
  ExpectRefused(Text("parameters", "21793"), {"x.toml:20", "'parameters'", "21793", "21792"});
}

}  // namespace
}  // namespace lodestone
