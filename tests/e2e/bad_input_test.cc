// Input that must be refused: each ends with exit code 1 and one line on standard error that names what is wrong.
#include <gtest/gtest.h>

#include <algorithm>

#include "e2e/checkpoint.h"
#include "e2e/program.h"

namespace lodestone::testing {
namespace {

void ExpectRefused(const std::vector<std::string>& words, const std::vector<std::string>& named, int exit_code = 1) {
  const Outcome outcome = RunProgram(words);
  EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(outcome.err.starts_with("lodestone: error: ")) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  for (const std::string& text : named)
    EXPECT_NE(outcome.err.find(text), std::string::npos) << text << " in " << outcome.err;
}

// generate on a checkpoint as `change` leaves it.
void ExpectCheckpointRefused(const std::function<void(Checkpoint&)>& change, const std::vector<std::string>& named,
                             const std::string& prompt = "abc") {
  const TemporaryFolder folder;
  Checkpoint checkpoint;
  change(checkpoint);
  checkpoint.WriteTo(folder);
  ExpectRefused({"generate", "--model", folder.path(), "--prompt", prompt, "--tokens", "4"}, named);
}

TEST(BadInput, TheUnchangedCheckpointIsAccepted) {
  const TemporaryFolder folder;
  Checkpoint().WriteTo(folder);
  const Outcome outcome = RunProgram({"generate", "--model", folder.path(), "--prompt", "abc", "--tokens", "4"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST(BadInput, TruncatedSafetensors) {
  ExpectCheckpointRefused([](Checkpoint& c) { c.missing_bytes = 8; }, {"model.safetensors"});
}

TEST(BadInput, OverlappingSafetensors) {
  ExpectCheckpointRefused(
      [](Checkpoint& c) {
        TensorEntry& tensor = c.Tensor("model.norm.weight");
        tensor.begin -= 4;
        tensor.end -= 4;
      },
      {"model.safetensors", "model.norm.weight"});
}

TEST(BadInput, WrongShape) {
  ExpectCheckpointRefused(
      [](Checkpoint& c) {
        c.Tensor("model.layers.0.mlp.down_proj.weight").shape = {16, 8};
      },
      {"model.layers.0.mlp.down_proj.weight", "8", "16"});
}

TEST(BadInput, WrongDtype) {
  ExpectCheckpointRefused([](Checkpoint& c) { c.Tensor("model.norm.weight").dtype = "I32"; },
                          {"model.norm.weight", "I32"});
}

TEST(BadInput, MissingTensor) {
  ExpectCheckpointRefused([](Checkpoint& c) { c.Erase("model.layers.0.self_attn.k_proj.weight"); },
                          {"model.layers.0.self_attn.k_proj.weight"});
}

TEST(BadInput, BadJsonNamesItsLine) {
  ExpectCheckpointRefused([](Checkpoint& c) { c.config_text = "{\n \"hidden_size\": 8,\n !\n}"; }, {"config.json:3:"});
}

TEST(BadInput, SettingThatChangesTheArithmetic) {
  ExpectCheckpointRefused([](Checkpoint& c) { c.config.Set("attn_logit_softcapping", 50.0); },
                          {"config.json", "attn_logit_softcapping"});
}

TEST(BadInput, UnknownActivation) {
  ExpectCheckpointRefused([](Checkpoint& c) { c.config.Set("hidden_act", "mish"); }, {"hidden_act", "mish"});
}

TEST(BadInput, UnknownArchitecture) {
  ExpectCheckpointRefused(
      [](Checkpoint& c) { c.config.Set("architectures", Json::Array{"MambaForCausalLM"}).Set("model_type", "mamba"); },
      {"config.json", "amba"});
}

TEST(BadInput, UnknownTokenizerPart) {
  ExpectCheckpointRefused(
      [](Checkpoint& c) {
        Json part;
        part.Set("type", "BertPreTokenizer");
        c.tokenizer.Set("pre_tokenizer", std::move(part));
      },
      {"tokenizer.json", "BertPreTokenizer"});
}

TEST(BadInput, TooLongPrompt) {
  ExpectCheckpointRefused([](Checkpoint&) {}, {"70 tokens", "74 positions", "64"}, std::string(70, 'a'));
}

TEST(BadInput, PromptBeyondTheContext) {
  ExpectRefused(
      {"generate", "--model", "random:nano-14l", "--prompt", "hello there", "--tokens", "8", "--context", "16"},
      {"--context is 16"});
}

TEST(BadInput, EmptyPromptWithoutBeginOfText) {
  ExpectCheckpointRefused([](Checkpoint&) {}, {"prompt is empty", "begin-of-text"}, "");
}

TEST(BadInput, NoPrompt) { ExpectRefused({"generate", "--model", "random:nano-14l"}, {"--prompt"}); }

TEST(BadInput, ApplianceTooSmall) {
  ExpectRefused(
      {"plan", "--model", "llama-3-70b", "--appliance", "northpole-16", "--recipe", "w4a4", "--context", "2048"},
      {"does not fit northpole-16"});
  ExpectRefused({"plan", "--model", "granite-3b-14l", "--appliance", "northpole-16", "--recipe", "w4a8", "--users",
                 "28", "--context", "2048"},
                {"does not fit", "What fits"});
}

TEST(BadInput, MorePromptsThanUsers) {
  ExpectRefused({"generate", "--model", "random:nano-14l", "--prompt", "a", "--prompt", "b", "--users", "1"},
                {"2 prompts, but --users is 1"});
}

TEST(BadInput, ZeroUsers) {
  for (const char* command : {"plan", "generate"}) {
    ExpectRefused({command, "--model", "random:nano-14l", "--users", "0"}, {"--users is '0'", "between 1 and"});
  }
}

TEST(BadInput, DirectoryWithoutAModel) {
  const TemporaryFolder folder;
  ExpectRefused({"generate", "--model", folder.path(), "--prompt", "a"}, {folder.path(), "config.json"});
}

TEST(BadInput, UnknownModelListsTheKnown) {
  ExpectRefused({"plan", "--model", "granite-3b-14", "--context", "64"}, {"granite-3b-14l"});
}

TEST(BadInput, UnknownApplianceListsTheKnown) {
  ExpectRefused({"plan", "--model", "gpt2", "--appliance", "northpole-15"}, {"northpole-16", "cpu"});
}

TEST(BadInput, UnknownRecipeListsTheKnown) {
  ExpectRefused({"plan", "--model", "gpt2", "--recipe", "w3a3"}, {"w3a3", "w4a4"});
}

TEST(BadInput, BadTomlNamesItsLine) {
  const TemporaryFolder folder;
  const std::string file = folder.Write("mine.toml", "kind = \"appliance\"\nname = \n");
  ExpectRefused({"plan", "--model", "gpt2", "--appliance", file}, {"mine.toml:2"});
}

TEST(BadInput, UnknownKeyOfOurOwnFilesNamesItsLine) {
  const TemporaryFolder folder;
  const std::string file =
      folder.Write("mine.toml",
                   "kind = \"appliance\"\nname = \"mine\"\ndescription = \"two cards\"\ncards = 2\n"
                   "cards_per_server = 2\ncard = \"northpole-card\"\ncolour = \"red\"\ncards_per_switch = 2\n"
                   "uplink_bytes_per_s = {value = 63e9, source = \"data sheet\"}\n"
                   "host_transfer_s = {value = 1e-5, source = \"data sheet\"}\n"
                   "host_turnaround_s = {value = 1e-5, source = \"data sheet\"}\n");
  ExpectRefused({"plan", "--model", "gpt2", "--appliance", file}, {"mine.toml:7", "colour"});
}

TEST(BadInput, SimulateNeedsSimulatedCards) {
  ExpectRefused({"simulate", "--model", "gpt2", "--appliance", "cpu", "--prompt-tokens", "8", "--tokens", "8"},
                {"simulated cards"});
}

TEST(BadInput, FormatWithoutAUnitOnTheChip) {
  ExpectRefused({"simulate", "--model", "gpt2", "--appliance", "northpole-16", "--recipe", "f32", "--prompt-tokens",
                 "8", "--tokens", "8"},
                {"f32"});
}

TEST(BadInput, CommandLinesThatCannotBeUnderstoodEndWithTwo) {
  ExpectRefused({"generat"}, {"did you mean 'generate'?"}, 2);
  ExpectRefused({"plan", "--model", "gpt2", "--user", "3"}, {"did you mean --users?"}, 2);
  ExpectRefused({"plan"}, {"needs --model"}, 2);
}

}  // namespace
}  // namespace lodestone::testing
