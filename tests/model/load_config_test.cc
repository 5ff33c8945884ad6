#include <gtest/gtest.h>

#include "base/temporary_folder.h"
#include "fixtures.h"
#include "model/config.h"

namespace lodestone {
namespace {

using testing::TemporaryFolder;

constexpr const char* kConfig = R"({
  "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 5,
  "num_attention_heads": 8, "vocab_size": 512, "max_position_embeddings": 256
})";

void ExpectRefused(const std::string& what, std::initializer_list<std::string_view> parts) {
  const Result<ModelConfig> config = LoadModelConfig(what);
  ASSERT_FALSE(config.ok()) << what;
  for (const std::string_view part : parts) {
    EXPECT_NE(config.error().message.find(part), std::string::npos)
        << "expected '" << part << "' in: " << config.error().message;
  }
}

TEST(LoadModelConfigTest, ADirectoryIsNamedByItself) {
  TemporaryFolder folder;
  folder.Write("config.json", kConfig);
  const std::string path = folder.path().string();
  for (const std::string& spelling : {path, path + "/", path + "/."}) {
    const auto config = LoadModelConfig(spelling);
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(config->name, folder.path().filename().string());
    EXPECT_EQ(config->eos_ids, std::vector<int32_t>{2});
  }
}

TEST(LoadModelConfigTest, GenerationConfigWins) {
  TemporaryFolder folder;
  folder.Write("config.json", kConfig);
  folder.Write("generation_config.json", R"({"eos_token_id": [5, 6], "temperature": 0.6, "_from_model_config": true})");
  const auto config = LoadModelConfig(folder.path().string());
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->bos_id, 1);
  EXPECT_EQ(config->eos_ids, (std::vector<int32_t>{5, 6}));
  folder.Write("generation_config.json", R"({"eos_token_id": 512})");
  ExpectRefused(folder.path().string(), {"generation_config.json", "512"});
  folder.Write("generation_config.json", R"({"eos_token_id": "x"})");
  ExpectRefused(folder.path().string(), {"generation_config.json", "'eos_token_id'"});
}

TEST(LoadModelConfigTest, BadJsonNamesTheLine) {
  TemporaryFolder folder;
  folder.Write("config.json", "{\n  \"hidden_size\": 64,\n  \"vocab_size\" 512\n}\n");
  ExpectRefused(folder.path().string(), {"config.json:3"});
}

TEST(LoadModelConfigTest, RefusesDirectoriesWithoutAModelFilesAndNonsense) {
  TemporaryFolder folder;
  ExpectRefused(folder.path().string(), {folder.path().string(), "no model", "config.json"});
  ExpectRefused(folder.Write("model.safetensors", "x").string(), {"found a file", "directory"});
  ExpectRefused((folder.path() / "absent").string(), {"absent", "no such directory"});
  ExpectRefused("", {"''", "llama-3-8b"});
}

TEST(LoadModelConfigTest, AnUnknownNameListsTheKnownOnesAndTheNearest) {
  ExpectRefused("lama-3-8b", {"'lama-3-8b'", "did you mean 'llama-3-8b'?", "granite-3b-14l", "gpt2-xl", "./"});
  const auto config = LoadModelConfig("no-such-model-at-all-here");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(config.error().message.find("did you mean"), std::string::npos) << config.error().message;
}

TEST(LoadModelConfigTest, NamesOfTheCatalogueAndShapesInFiles) {
  const auto config = LoadModelConfig("gpt2");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->name, "gpt2");
  EXPECT_EQ(config->layers, 12);

  TemporaryFolder folder;
  const auto file = folder.Write("mine.toml", "name = \"mine\"\nlayers = 2\n\nlayer = 3\n");
  ExpectRefused(file.string(), {"mine.toml:", "description"});
  folder.Write("mine.toml", "name = \"mine\"\nlayers = \n");
  ExpectRefused(file.string(), {"mine.toml:2"});
}

TEST(LoadModelConfigTest, ReadsTheFixture) {
  LODESTONE_REQUIRE_FIXTURE("fixtures/stories260k/config.json");
  const auto config = LoadModelConfig((testing::SharedDir() / "fixtures/stories260k").string());
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->name, "stories260k");
  EXPECT_EQ(config->hidden, 64);
  EXPECT_EQ(config->kv_heads, 4);
  EXPECT_TRUE(config->tied_embeddings);
  // 512 × 64 + 5 × (2 × 64² + 2 × 64 × 32 + 3 × 64 × 172 + 2 × 64) + 64
  EXPECT_EQ(ParameterCount(*config), 260032);
}

}  // namespace
}  // namespace lodestone
