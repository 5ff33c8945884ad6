#include "learn/train_config.h"

#include <gtest/gtest.h>

#include "base/catalog.h"
#include "base/file.h"
#include "base/temporary_folder.h"
#include "fixtures.h"

extern "C" int FuzzTrainConfig(const uint8_t* data, size_t size);
extern "C" int FuzzTokenFile(const uint8_t* data, size_t size);

namespace lodestone::testing {
namespace {

constexpr std::string_view kSmall = R"(kind = "training"
[model]
shape = "gpt2"
[data]
train = "a.txt"
[run]
steps = 10
sequence = 64
)";

Result<TrainConfig> Parse(const std::string& text) {
  const Result<Json> json = ParseToml(text, "t.toml");
  if (!json.ok()) return json.error();
  return ParseTrainConfig(*json, "t.toml");
}

std::string Refusal(const std::string& text) {
  const Result<TrainConfig> config = Parse(text);
  return config.ok() ? "ok" : config.error().message;
}

TEST(TrainConfig, DefaultsAreThoseOfThePapers) {
  const Result<TrainConfig> config = Parse(std::string(kSmall));
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->name, "t");
  EXPECT_EQ(config->data.train, std::vector<std::filesystem::path>{"a.txt"});
  EXPECT_EQ(config->run.sequences_a_step(), 1);
  EXPECT_EQ(config->run.recipe, "f32");
  EXPECT_EQ(config->optimizer.beta2, 0.95);
  EXPECT_TRUE(config->optimizer.cosine);
  EXPECT_EQ(config->optimizer.step_rate_factor, 200);
  EXPECT_EQ(config->optimizer.step_rate_steps, 250);
  EXPECT_EQ(config->sparsity.pattern, SparsityPattern::kNone);
  EXPECT_TRUE(config->checkpoint.directory.empty());
}

TEST(TrainConfig, FaultsAreToldWithFileLineAndKey) {
  const std::string small(kSmall);
  EXPECT_NE(Refusal(small + "batch = 3\n").find("t.toml:9"), std::string::npos) << Refusal(small + "batch = 3\n");
  EXPECT_NE(Refusal(small + "batch = 3\n").find("run.batch"), std::string::npos);
  EXPECT_NE(Refusal(small + "[optimiser]\nx = 1\n").find("optimiser"), std::string::npos);
  EXPECT_NE(Refusal(small + "epochs = 2\n").find("either steps or epochs"), std::string::npos);
  EXPECT_NE(Refusal(small + "recipe = \"w3\"\n").find("run.recipe"), std::string::npos);
  EXPECT_NE(Refusal(small + "micro_batch = 0\n").find("found 0"), std::string::npos);
  EXPECT_NE(Refusal(small + "[schedule]\nkind = \"linear\"\n").find("cosine or constant"), std::string::npos);
  EXPECT_NE(Refusal(small + "[sparsity]\nlevel = 0.5\n").find("sparsity.pattern"), std::string::npos);
  EXPECT_NE(Refusal(small + "[checkpoint]\nevery = 5\n").find("checkpoint.directory"), std::string::npos);
  EXPECT_NE(Refusal(small + "[quantization]\ndistillation_weight = 0.5\n").find("teacher"), std::string::npos);
  EXPECT_NE(Refusal("kind = \"study\"\n").find("not for 'lodestone train'"), std::string::npos);
  EXPECT_NE(Refusal("").find("kind"), std::string::npos);
  EXPECT_NE(Refusal(small + "[model.more]\n").find("model"), std::string::npos);
  EXPECT_NE(Refusal(small + "[optimizer]\neps = nan\n").find("found nan"), std::string::npos);
  for (const char* empty : {"train = \"\"", "train = [\"a.txt\", \"\"]"}) {
    std::string text = small;
    text.replace(text.find("train = \"a.txt\""), 15, empty);
    EXPECT_NE(Refusal(text).find("'data.train': found an empty text"), std::string::npos) << Refusal(text);
  }
}

TEST(TrainConfig, ShapeAndInitialExcludeOneAnother) {
  std::string text(kSmall);
  text.replace(text.find("shape"), 5, "initial");
  const Result<TrainConfig> config = Parse(text);
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->model.initial, "gpt2");
  text.insert(text.find("initial"), "shape = \"gpt2\"\n");
  EXPECT_NE(Refusal(text).find("either shape"), std::string::npos);
}

TEST(TrainConfig, OptionsReplaceValuesOfTheFile) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("t.toml", kSmall).string();
  const std::string options[] = {"run.steps=20", "data.train=['x y.txt', \"z\"]", "model.shape=nano-14l",
                                 "optimizer.learning_rate=1e-3", "run.recipe=w4a4:static"};
  const Result<TrainConfig> config = LoadTrainConfig(path, options);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->run.steps, 20);
  EXPECT_EQ(config->data.train, (std::vector<std::filesystem::path>{"x y.txt", "z"}));
  EXPECT_EQ(config->model.shape, "nano-14l");
  EXPECT_EQ(config->optimizer.learning_rate, 1e-3);
  EXPECT_EQ(config->run.recipe, "w4a4:static");
  for (const char* bad : {"run.steps", "=3", "kind.x=3", "run.=3", "run.step=3"}) {
    const std::string option[] = {bad};
    const Result<TrainConfig> refused = LoadTrainConfig(path, option);
    ASSERT_FALSE(refused.ok()) << bad;
    EXPECT_NE(refused.error().message.find("--set"), std::string::npos) << refused.error().message;
  }
}

TEST(TrainConfig, DirectoriesAreTheSameWithASlashAtTheirEnd) {
  const std::string tail = "[checkpoint]\ndirectory = \"a/c/\"\n[output]\ndirectory = \"a//m/./\"\n";
  const Result<TrainConfig> config = Parse(std::string(kSmall) + tail);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->checkpoint.directory.string(), "a/c");
  EXPECT_EQ(config->output.directory.string(), "a/m");
}

TEST(TrainConfig, TheCatalogueHasAnExample) {
  const Result<TrainConfig> config = LoadTrainConfig("train-tiny", {});
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->name, "train-tiny");
  const Result<TrainConfig> unknown = LoadTrainConfig("train-tinny", {});
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message.find("did you mean 'train-tiny'"), std::string::npos) << unknown.error().message;
}

// The example explains every key: with its comments taken away it is read too, and changes nothing else.
// The example writes to train-tiny/; the same command again must still find it.
TEST(TrainConfig, ADirectoryDoesNotHideTheCatalogue) {
  namespace fs = std::filesystem;
  const TemporaryFolder folder;
  fs::create_directory(folder.path() / "train-tiny");
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  const Result<TrainConfig> config = LoadTrainConfig("train-tiny", {});
  const Result<TrainConfig> directory = LoadTrainConfig(".", {});
  fs::current_path(before);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->name, "train-tiny");
  ASSERT_FALSE(directory.ok());
  EXPECT_NE(directory.error().message.find("no training file '.'"), std::string::npos) << directory.error().message;
}

TEST(TrainConfig, TheExamplesCommentedKeysAreTheDefaults) {
  std::string text, whole;
  for (const CatalogFile& file : CatalogFilesIn("experiments")) {
    if (file.stem() == "train-tiny") text = file.contents;
  }
  ASSERT_FALSE(text.empty());
  size_t keys = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    const bool key =
        line.starts_with("# ") && line.find(" = ") != std::string::npos && line[2] >= 'a' && line[2] <= 'z';
    const bool excluded =
        line.starts_with("# initial") || line.starts_with("# teacher") || line.starts_with("# distill");
    if ((key && !excluded) || line.starts_with("# [")) {
      line = line.substr(2);
      keys += key;
    }
    whole += line + "\n";
    begin = end + 1;
  }
  EXPECT_GE(keys, 20u);
  const Result<TrainConfig> plain = Parse(text), every = Parse(whole);
  ASSERT_TRUE(plain.ok()) << plain.error().message;
  ASSERT_TRUE(every.ok()) << every.error().message << "\n" << whole;
  EXPECT_EQ(every->optimizer.eps, plain->optimizer.eps);
  EXPECT_EQ(every->optimizer.clip_norm, plain->optimizer.clip_norm);
  EXPECT_EQ(every->optimizer.weight_decay, plain->optimizer.weight_decay);
  EXPECT_EQ(every->optimizer.final_fraction, plain->optimizer.final_fraction);
  EXPECT_EQ(every->optimizer.step_rate_factor, plain->optimizer.step_rate_factor);
  EXPECT_EQ(every->run.seed, plain->run.seed);
  EXPECT_EQ(every->run.evaluate_sequences, plain->run.evaluate_sequences);
  EXPECT_EQ(every->run.recipe, plain->run.recipe);
  EXPECT_EQ(every->checkpoint.keep, plain->checkpoint.keep);
  EXPECT_EQ(every->sparsity.block_rows, plain->sparsity.block_rows);
  EXPECT_EQ(every->model.seed, plain->model.seed);
}

void Replay(const char* target, int (*fuzz)(const uint8_t*, size_t), int at_least) {
  int files = 0;
  const auto folder = std::filesystem::path(LODESTONE_SOURCE_DIR) / "tests/fuzz/corpus" / target;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().string());
    const Result<std::string> text = ReadFile(entry.path(), 1 << 20);
    ASSERT_TRUE(text.ok()) << text.error().message;
    EXPECT_EQ(fuzz(reinterpret_cast<const uint8_t*>(text->data()), text->size()), 0);
    ++files;
  }
  EXPECT_GE(files, at_least);
}

TEST(TrainingFuzzCorpus, EveryFileIsReadOrRefused) {
  Replay("train_config", FuzzTrainConfig, 12);
  Replay("token_file", FuzzTokenFile, 10);
}

}  // namespace
}  // namespace lodestone::testing
