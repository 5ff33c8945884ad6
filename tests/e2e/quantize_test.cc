// `lodestone quantize`: the directory that it makes is the model that it was made from.
#include <gtest/gtest.h>

#include <filesystem>

#include "e2e/checkpoint.h"
#include "e2e/program.h"
#include "fixtures.h"

namespace lodestone::testing {
namespace {

namespace fs = std::filesystem;

std::vector<std::vector<int64_t>> Generated(const std::string& model, std::vector<std::string> more = {}) {
  // Sampled at a temperature at which a small change of the logits changes tokens.
  std::vector<std::string> words = {"generate", "--model", model,          "--prompt",      "abc", "--tokens", "24",
                                    "--users",  "2",       "--ignore-eos", "--temperature", "2",   "--seed",   "5"};
  words.insert(words.end(), more.begin(), more.end());
  return TokensOf(RunJson(words));
}

Json Quantize(const std::string& model, const std::string& recipe, const std::string& out,
              std::vector<std::string> more = {}) {
  std::vector<std::string> words = {"quantize", "--model", model, "--recipe", recipe, "--out", out};
  words.insert(words.end(), more.begin(), more.end());
  return RunJson(words);
}

void ExpectRefused(const std::vector<std::string>& words, const std::vector<std::string>& named) {
  const Outcome outcome = RunProgram(words);
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  for (const std::string& text : named) EXPECT_NE(outcome.err.find(text), std::string::npos) << outcome.err;
}

TEST(Quantize, APackedModelMakesTheTokensOfTheOriginalInItsRecipe) {
  const TemporaryFolder folder;
  const std::string model = "random:nano-14l@7";
  for (const std::string recipe : {"w4a8", "w4a8:g32", "w4a4", "w8a8", "w4a16", "w4a8c8", "bf16"}) {
    const std::string out = folder.path() + "/" + recipe;
    Quantize(model, recipe, out);
    const auto expected = Generated(model, {"--recipe", recipe});
    EXPECT_EQ(Generated(out), expected) << recipe;  // its own recipe is the default
    EXPECT_EQ(Generated(out, {"--threads", "3", "--recipe", recipe}), expected) << recipe;
    if (recipe == "bf16" || recipe == "w4a16") continue;  // those cards multiply integers only
    EXPECT_EQ(Generated(out, {"--appliance", "northpole-16", "--recipe", recipe}), expected) << recipe;
  }
}

TEST(Quantize, AnExistingCheckpointKeepsItsTokenizerAndTokens) {
  LODESTONE_REQUIRE_FIXTURE("fixtures/stories260k");
  const std::string stories = (SharedDir() / "fixtures/stories260k").string();
  const TemporaryFolder folder;
  const std::string out = folder.path() + "/packed";
  const Json record = Quantize(stories, "w8a8", out);
  EXPECT_GT(*record.Find("bits_per_weight")->as_number(), 8);
  EXPECT_LT(*record.Find("bits_per_weight")->as_number(), 9);
  EXPECT_TRUE(fs::exists(out + "/tokenizer.json"));
  EXPECT_EQ(Generated(out), Generated(stories, {"--recipe", "w8a8"}));
  // Without codes for activations, what remains is the loss of the weights: the model still tells its story.
  const auto f32 = Generated(out, {"--recipe", "f32"});
  ASSERT_EQ(f32.size(), 2u);
  EXPECT_EQ(f32[0].size(), 24u);
}

TEST(Quantize, TheExportIsAHuggingFaceDirectory) {
  const TemporaryFolder folder;
  const std::string out = folder.path() + "/export";
  const Json record = Quantize("random:nano-14l", "w4a16:g32", out, {"--export", "compressed-tensors"});
  EXPECT_EQ(*record.Find("format")->as_string(), "compressed-tensors");
  EXPECT_TRUE(fs::exists(out + "/model.safetensors"));
  ExpectRefused({"generate", "--model", out, "--prompt", ""}, {"quantization_config", "compressed-tensors"});
}

TEST(Quantize, WhatCannotBeDoneIsRefusedAndLeavesNothing) {
  const TemporaryFolder folder;
  const std::string out = folder.path() + "/out";
  const auto words = [&](std::vector<std::string> more) {
    std::vector<std::string> all = {"quantize", "--model", "random:nano-14l", "--recipe", "w4a8", "--out", out};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  ExpectRefused(words({"--method", "magic"}), {"magic", "rtn", "gptq"});
  ExpectRefused(words({"--export", "onnx"}), {"onnx", "compressed-tensors"});
  ExpectRefused(words({"--calibration", "text"}), {"--calibration", "rtn"});
  ExpectRefused(
      {"quantize", "--model", "random:nano-14l", "--recipe", "f32", "--out", out, "--export", "compressed-tensors"},
      {"f32"});
  ExpectRefused({"quantize", "--model", "random:nano-14l", "--recipe", "w4a8", "--out", folder.path() + "/no/where"},
                {"no/where"});
  EXPECT_TRUE(fs::is_empty(folder.path()));

  folder.Write("kept", "x");
  ExpectRefused({"quantize", "--model", "random:nano-14l", "--recipe", "w4a8", "--out", folder.path()},
                {folder.path(), "exists"});
  Quantize("random:nano-14l", "w4a8", out);
  ExpectRefused({"quantize", "--model", out, "--recipe", "w4a8", "--out", out + "2"}, {out, "already"});
  ExpectRefused(words({}), {out, "exists"});
}

TEST(Quantize, ATruncatedFileIsRefused) {
  const TemporaryFolder folder;
  const std::string out = folder.path() + "/out", file = out + "/lodestone-packed.safetensors";
  Quantize("random:nano-14l", "w4a8", out);
  fs::resize_file(file, fs::file_size(file) - 100);
  ExpectRefused({"generate", "--model", out, "--prompt", ""}, {file, "truncated"});
  fs::remove(file);
  ExpectRefused({"generate", "--model", out, "--prompt", ""}, {file});
}

}  // namespace
}  // namespace lodestone::testing
