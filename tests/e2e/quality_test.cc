// `perplexity` and `compare-logits`: the same figures however the weights arrive, and what recipes cost on a trained
// model.
#include <gtest/gtest.h>

#include <cmath>

#include "e2e/program.h"
#include "fixtures.h"

namespace lodestone::testing {
namespace {

double Number(const Json& row, const char* key) { return *row.Find(key)->as_number(); }

TEST(Quality, EightBitsKeepThePerplexityOfATrainedModelWithinOnePercent) {
  LODESTONE_REQUIRE_FIXTURE("fixtures/stories260k");
  const std::string model = (SharedDir() / "fixtures/stories260k").string();
  const Json record = RunJson({"perplexity", "--model", model, "--recipe", "f32,w8a8,w4a8:g32,w4a4"});
  const Json::Array& rows = *record.Find("rows")->as_array();
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_NEAR(Number(rows[1], "perplexity") / Number(rows[0], "perplexity"), 1, 0.01);
  // Fewer bits, more nats.
  EXPECT_LT(Number(rows[1], "nats_per_token"), Number(rows[2], "nats_per_token"));
  EXPECT_LT(Number(rows[2], "nats_per_token"), Number(rows[3], "nats_per_token"));
}

TEST(Quality, APackedModelHasTheFiguresOfItsRecipe) {
  const TemporaryFolder folder;
  const std::string packed = folder.path() + "/packed", original = "random:nano-14l@3";
  RunJson({"quantize", "--model", original, "--recipe", "w4a8", "--out", packed});
  const Json record = RunJson({"perplexity", "--model", original, "--model", packed, "--recipe", "w4a8"});
  const Json::Array& rows = *record.Find("rows")->as_array();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(Number(rows[0], "nats_per_token"), Number(rows[1], "nats_per_token"));
  EXPECT_EQ(Number(rows[1], "difference_nats"), 0);
}

TEST(Quality, CompareLogitsTellsHowFarRecipesLieApart) {
  const auto compare = [](const std::string& recipe) {
    return RunJson({"compare-logits", "--model", "random:nano-14l", "--recipe", recipe, "--max-tokens", "100"});
  };
  const Json same = compare("f32"), eight = compare("w8a8"), four = compare("w4a4");
  EXPECT_EQ(Number(same, "top1_agreement"), 1);
  EXPECT_EQ(Number(same, "largest_logit_difference"), 0);
  EXPECT_GT(Number(eight, "kl_mean_nats"), 0);
  EXPECT_LT(Number(eight, "kl_mean_nats"), Number(four, "kl_mean_nats"));
  EXPECT_EQ(Number(eight, "tokens"), 100);
}

TEST(Quality, WhatCannotBeComparedIsRefused) {
  const TemporaryFolder folder;
  const std::string empty = folder.Write("empty.txt", ""), binary = folder.Write("binary", "\xff\xfe");
  const auto refused = [](const std::vector<std::string>& words, const std::string& named) {
    const Outcome outcome = RunProgram(words);
    EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
    EXPECT_NE(outcome.err.find(named), std::string::npos) << outcome.err;
  };
  refused({"perplexity", "--model", "random:nano-14l", "--text", empty}, "empty.txt");
  refused({"perplexity", "--model", "random:nano-14l", "--text", binary}, "UTF-8");
  refused({"perplexity", "--model", "random:nano-14l", "--recipe", "f32,,w4a8"}, "--recipe");
  refused({"perplexity", "--model", "random:nano-14l", "--recipe", "w3a3"}, "w3a3");
  refused({"perplexity", "--model", "random:nano-14l", "--context", "1000000"}, "positions");
}

// The rows that scripts read.
TEST(BenchInference, RowsHaveTheNamesOfLlamaBenchAndThePeersRatio) {
  const TemporaryFolder folder;
  const std::string peer =
      folder.Write("peer.sh", R"(echo '[{"n_prompt": 32, "n_gen": 0, "n_depth": 0, "avg_ts": 10.0}]')");
  const Json rows =
      RunJson({"bench", "inference", "--model", "random:nano-14l", "--recipe", "w4a8,w8a8", "--prompt-tokens", "32",
               "--tokens", "4", "--context", "0,70", "--batch", "1,2", "--repetitions", "2", "--peer", "sh " + peer});
  const Json::Array& array = *rows.as_array();
  ASSERT_EQ(array.size(), 12u);  // 2 recipes × 2 batches × (1 prompt + 2 contexts)
  for (const Json& row : array) {
    for (const char* key : {"build_commit",    "cpu_info",
                            "backends",        "model_type",
                            "model_size",      "model_n_params",
                            "n_batch",         "n_threads",
                            "type_k",          "type_v",
                            "n_prompt",        "n_gen",
                            "n_depth",         "test_time",
                            "avg_ns",          "stddev_ns",
                            "avg_ts",          "stddev_ts",
                            "batch",           "kernels",
                            "bytes_per_token", "operations_per_token",
                            "share_of_limit",  "joules_per_token"}) {
      EXPECT_NE(row.Find(key), nullptr) << key;
    }
    EXPECT_GT(Number(row, "avg_ts"), 0);
    const bool compared = Number(row, "n_prompt") == 32 && Number(row, "batch") == 1;
    EXPECT_EQ(row.Find("ratio") != nullptr, compared);
  }
}

TEST(BenchInference, RefusesWhatItCannotRun) {
  const auto refused = [](std::vector<std::string> more, const std::string& named) {
    std::vector<std::string> words = {"bench", "inference", "--model", "random:nano-14l"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = RunProgram(words);
    EXPECT_NE(outcome.exit_code, 0);
    EXPECT_NE(outcome.err.find(named), std::string::npos) << outcome.err;
  };
  refused({"--prompt-tokens", "0", "--tokens", "0"}, "nothing to run");
  refused({"--batch", "0"}, "--batch");
  refused({"--format", "xml"}, "xml");
  refused({"--context", "100000"}, "positions");
  refused({"--prompt-tokens", "8", "--tokens", "1", "--peer", "exit 7"}, "status 7");
}

}  // namespace
}  // namespace lodestone::testing
