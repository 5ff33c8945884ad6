// The accelerator study's benches as a user runs them, on shapes that take a moment.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "e2e/program.h"

namespace lodestone::testing {
namespace {

constexpr const char* kTinyShape = R"(name = "tiny"
description = "a shape for tests"
source = "none"
architecture = "gpt2"
layers = 2
hidden = 64
ffn = 256
heads = 4
kv_heads = 4
head_dim = 16
vocab = 300
max_positions = 64
norm = "layer"
norm_eps = 1e-5
activation = "gelu-tanh"
gated_mlp = false
position = "learned"
qkv_bias = true
attention_output_bias = true
mlp_bias = true
tied_embeddings = true
bos_id = 0
eos_ids = [0]
)";

const Json& RowsOf(const Json& json) {
  const Json* rows = json.Find("rows");
  EXPECT_NE(rows, nullptr);
  return *rows;
}

std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Study, BlockRunsInTrainedAndInIntegerFormats) {
  const Json json = RunJson(
      {"bench", "block", "--hidden", "64", "--sequence", "16", "--recipe", "f32,bf16,w8a8,w4a4", "--repetitions", "2"});
  const Json::Array& rows = *RowsOf(json).as_array();
  ASSERT_EQ(rows.size(), 4u);
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_GT(rows[i].Find("forward_flops_per_s")->as_number().value_or(0), 0);
    EXPECT_EQ(rows[i].Find("step_flops_per_s")->is_null(), i >= 2) << i;
    EXPECT_EQ(*rows[i].Find("provenance")->as_string(), "measured");
  }
}

TEST(Study, Gpt2StepsAreWrittenAsTableCsvAndPage) {
  const TemporaryFolder folder;
  const std::string shape = folder.Write("tiny.toml", kTinyShape);
  const std::string csv = folder.path() + "/rows.csv", page = folder.path() + "/page.html";
  const Outcome outcome = RunProgram({"bench", "gpt2", "--model", shape, "--sequence", "32", "--batch", "2", "--gas",
                                      "1,2", "--recipe", "f32", "--repetitions", "2", "--csv", csv, "--report", page});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("tokens/s"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("6 P + 12 L h s"), std::string::npos) << outcome.out;
  EXPECT_NE(TextOf(csv).find("step_flops_per_s"), std::string::npos);
  EXPECT_NE(TextOf(page).find("</html>"), std::string::npos);
}

TEST(Study, SparsitySweepKeepsToItsLevels) {
  const Json json = RunJson({"bench", "block", "--sweep", "sparsity", "--hidden", "128", "--sequence", "32",
                             "--sparsity", "0,0.5", "--repetitions", "1"});
  const Json::Array& rows = *RowsOf(json).as_array();
  ASSERT_EQ(rows.size(), 4u);  // dense, unstructured, 2:4, tiles
  EXPECT_EQ(rows[0].Find("sparsity")->as_number().value_or(-1), 0);
  for (size_t i = 1; i < rows.size(); ++i) {
    EXPECT_DOUBLE_EQ(rows[i].Find("sparsity")->as_number().value_or(-1), 0.5);
    EXPECT_GT(rows[i].Find("step_speedup")->as_number().value_or(0), 0);
  }
  EXPECT_FALSE(rows[3].Find("mlp_forward_speedup")->is_null());
}

TEST(Study, WhatDoesNotFitIsRefusedWithTheArithmetic) {
  const Outcome outcome =
      RunProgram({"bench", "genslm", "--model", "genslm-25b", "--sequence", "10240", "--recipe", "bf16"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("25,574,854,656 parameters × (4 value + 4 gradient + 4 + 4 moments) bytes"),
            std::string::npos)
      << outcome.err;
}

TEST(Study, BadInputIsRefusedByName) {
  const auto error = [](const std::vector<std::string>& words) {
    const Outcome outcome = RunProgram(words);
    EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
    return outcome.err;
  };
  EXPECT_NE(error({"bench", "gpt2", "--sweep", "users"}).find("there are sequence, ranks, sparsity, gas"),
            std::string::npos);
  EXPECT_NE(error({"bench", "block", "--hidden", "100"}).find("multiple of a head's 64"), std::string::npos);
  EXPECT_NE(error({"bench", "gpt2", "--sequence", "0"}).find("--sequence: found"), std::string::npos);
  EXPECT_NE(error({"bench", "gpt2", "--model", "gpt3"}).find("gpt3"), std::string::npos);
  EXPECT_NE(error({"bench", "gpt2", "gpt2-stdy"}).find("did you mean 'gpt2-study'"), std::string::npos);
  EXPECT_NE(error({"bench", "block", "--recipe", "w4a4", "--sparsity", "0.5", "--pattern", "tiles", "--hidden", "64",
                   "--sequence", "16"})
                .find("skip no blocks"),
            std::string::npos);
}

TEST(Study, RanksArePrintedAsCommandsWhereThereIsNoMpirun) {
  const Outcome outcome = RunProgram({"bench", "gpt2", "--sweep", "ranks", "--ranks", "1"}, {{"PATH", "/nowhere"}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("There is no mpirun in PATH"), std::string::npos);
  EXPECT_NE(outcome.out.find("-n 1 --bind-to core"), std::string::npos) << outcome.out;
}

}  // namespace
}  // namespace lodestone::testing
