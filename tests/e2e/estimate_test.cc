// `lodestone estimate` and `bench predict`, as their users run them.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "program.h"

namespace lodestone::testing {
namespace {

const std::vector<std::string> kQuestion{"estimate", "--model", "llama-3-8b", "--hardware", "a100-40gb,h100-sxm",
                                         "--batch",  "1,16",    "--stack",    "vllm"};

std::vector<std::string> With(std::vector<std::string> words, std::initializer_list<const char*> more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(Estimate, ATableOfMachinesAndBatchesBesidePublishedFigures) {
  const Outcome outcome = RunProgram(kQuestion);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* part :
       {"a100-40gb", "h100-sxm", "low–high", "ideal", "tokens/J", "llm-inference-bench", "calibrated"}) {
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << "\n" << outcome.out;
  }
}

TEST(Estimate, JsonIsARunRecordACase) {
  const Json json = RunJson(kQuestion);
  const Json* list = json.Find("estimates");
  ASSERT_NE(list, nullptr);
  ASSERT_EQ(list->as_array()->size(), 4u);
  for (const Json& record : *list->as_array()) {
    const double calibrated = MeasureOf(record, "system_throughput_tokens_per_s");
    EXPECT_GT(calibrated, 0);
    const Json* measure = record.Find("measures")->Find("system_throughput_tokens_per_s");
    EXPECT_EQ(*measure->Find("provenance")->as_string(), "estimated");
    EXPECT_LT(*measure->Find("low")->as_number(), calibrated);
    const Json* ideal = record.Find("ideal")->Find("system_throughput_tokens_per_s");
    EXPECT_GT(*ideal->Find("value")->as_number(), calibrated);
    EXPECT_FALSE(record.Find("decode_kernels")->as_array()->empty());
  }
}

TEST(Estimate, CsvGoesToAFile) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/estimate.csv";
  const Outcome outcome = RunProgram(With(kQuestion, {"--format", "csv", "--output", path.c_str()}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.empty());
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_TRUE(text.str().starts_with("hardware,batch,level,measure,value,low,high,unit,provenance,reason\n"));
  EXPECT_NE(text.str().find("h100-sxm,16,ideal,system_throughput_tokens_per_s,"), std::string::npos);
}

TEST(Estimate, ExplainsKernelsChangesAndAssumptions) {
  const Outcome outcome =
      RunProgram({"estimate", "--model", "llama-3-70b", "--hardware", "h100-sxm", "--devices", "4", "--explain"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* part : {"gate-up", "all-reduce", "bound by", "memory bandwidth × 2", "links × 2", "factor.memory"}) {
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << "\n" << outcome.out;
  }
}

TEST(Estimate, AMethodChangesTheAnswer) {
  const std::vector<std::string> words{"estimate", "--model", "llama-2-7b", "--hardware", "a100-80gb", "--batch", "32"};
  const auto rate = [](const Json& json) {
    return MeasureOf(json.Find("estimates")->as_array()->at(0), "system_throughput_tokens_per_s");
  };
  EXPECT_GT(rate(RunJson(With(words, {"--with", "kv-budget=256"}))), 1.1 * rate(RunJson(words)));
  EXPECT_GT(rate(RunJson(With(words, {"--recipe", "w4a16"}))), 1.1 * rate(RunJson(words)));
}

TEST(Estimate, TrainingHasATableOfItsOwn) {
  const Json json = RunJson({"estimate", "--training", "--model", "gpt2-xl", "--hardware", "h100-sxm", "--sequence",
                             "1024", "--micro-batch", "4", "--data-parallel", "2", "--zero", "1", "--recompute"});
  const Json& row = json.Find("estimates")->as_array()->at(0);
  EXPECT_GT(*row.Find("measures")->Find("tokens_per_s")->Find("value")->as_number(), 0);
  EXPECT_GT(*row.Find("memory")->Find("optimizer_bytes")->as_int(), 0);
}

TEST(Estimate, WhatCannotBeIsSaidWithItsReason) {
  const Outcome alone = RunProgram({"estimate", "--model", "llama-2-70b", "--hardware", "l4"});
  EXPECT_EQ(alone.exit_code, 1);
  EXPECT_NE(alone.err.find("weight codes"), std::string::npos) << alone.err;
  const Outcome among = RunProgram({"estimate", "--model", "llama-2-70b", "--hardware", "l4,mi300x"});
  EXPECT_EQ(among.exit_code, 0) << among.err;
  EXPECT_NE(among.out.find("weight codes"), std::string::npos) << among.out;
  for (const auto& [words, expected] : std::vector<std::pair<std::vector<std::string>, const char*>>{
           {{"--devices", "3"}, "do not divide"},
           {{"--devices", "4", "--tensor-parallel", "3"}, "--devices 4"},
           {{"--level", "best"}, "--level"},
           {{"--stack", "nonesuch"}, "nonesuch"},
           {{"--with", "magic=1"}, "magic"},
           {{"--format", "xml"}, "--format"}}) {
    std::vector<std::string> all{"estimate", "--model", "llama-2-7b", "--hardware", "h100-sxm"};
    all.insert(all.end(), words.begin(), words.end());
    const Outcome outcome = RunProgram(all);
    EXPECT_EQ(outcome.exit_code, 1) << words[0];
    EXPECT_NE(outcome.err.find(expected), std::string::npos) << outcome.err;
  }
}

TEST(Estimate, ThisHostIsCalibratedOnItsOwnRows) {
  const TemporaryFolder folder;
  const std::string limits = folder.Write("host.toml", R"(kind = "host"
name = "this-host"
cpu_name = "test"
threads = 2
measured_at = "2026-01-01"
)");
  const std::string rows = folder.Write("rows.json", "[]");
  const Outcome none = RunProgram({"bench", "predict", "--calibrate-on", rows, "--limits", limits});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_FALSE(none.err.empty());
}

}  // namespace
}  // namespace lodestone::testing
