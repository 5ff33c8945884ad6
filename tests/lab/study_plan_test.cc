#include <gtest/gtest.h>

#include "base/catalog.h"
#include "lab/study/plan.h"
#include "lab/study/ranks.h"

namespace lodestone::testing {
namespace {

Result<StudyPlan> Parse(const std::string& text, StudyKind kind = StudyKind::kGpt2) {
  const Result<Json> toml = ParseToml(text, "case.toml");
  EXPECT_TRUE(toml.ok());
  return ParseStudyPlan(*toml, "case.toml", kind);
}

std::string Refused(const std::string& lines, StudyKind kind = StudyKind::kGpt2) {
  const std::string head = "kind = 'study'\nstudy = '" + std::string(ToString(kind)) + "'\n";
  const Result<StudyPlan> plan = Parse(head + "name = 'n'\ndescription = 'd'\n" + lines, kind);
  return plan.ok() ? "" : plan.error().message;
}

TEST(StudyPlan, EveryCaseOfTheCatalogueRunsSomething) {
  int cases = 0;
  for (const CatalogFile& file : CatalogFilesIn("experiments")) {
    for (const StudyKind kind : {StudyKind::kBlock, StudyKind::kGpt2, StudyKind::kGenslm}) {
      if (!file.stem().starts_with(std::string(ToString(kind)) + "-")) continue;
      const Result<StudyPlan> plan = LoadStudyPlan(std::string(file.stem()), kind);
      ASSERT_TRUE(plan.ok()) << plan.error().message;
      EXPECT_EQ(plan->name, file.stem());
      const Result<std::vector<StudyCase>> runs = CasesOf(*plan);
      ASSERT_TRUE(runs.ok()) << runs.error().message;
      EXPECT_FALSE(runs->empty());
      ++cases;
    }
  }
  EXPECT_GE(cases, 8);
  const Result<StudyPlan> unknown = LoadStudyPlan("gpt2-stdy", StudyKind::kGpt2);
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message.find("did you mean 'gpt2-study'"), std::string::npos) << unknown.error().message;
}

TEST(StudyPlan, SequenceSweepsHoldTheTokensOfAStep) {
  for (const StudyKind kind : {StudyKind::kBlock, StudyKind::kGpt2, StudyKind::kGenslm}) {
    const std::vector<StudyCase> cases = *CasesOf(*DefaultStudyPlan(kind, StudySweep::kSequence));
    ASSERT_EQ(cases.size(), 4u);
    EXPECT_EQ(cases.front().sequence, 1024);
    EXPECT_EQ(cases.back().sequence, 10240);
    for (const StudyCase& one : cases) {
      EXPECT_EQ(one.tokens_per_step(), 10240);
      EXPECT_GE(one.config.max_positions, one.sequence);
    }
  }
  StudyPlan plan = *DefaultStudyPlan(StudyKind::kGpt2, StudySweep::kSequence);
  plan.sequences = {4096};
  EXPECT_NE(CasesOf(plan).error().message.find("10240 is not a multiple of sequence 4096"), std::string::npos);
}

TEST(StudyPlan, PositionsAreWidenedAndSaid) {
  const std::vector<StudyCase> cases = *CasesOf(*DefaultStudyPlan(StudyKind::kGenslm, StudySweep::kNone));
  ASSERT_EQ(cases.size(), 4u);  // two recipes, two lengths
  EXPECT_EQ(cases[0].note, "");
  EXPECT_EQ(cases[1].config.max_positions, 10240);
  EXPECT_EQ(cases[1].note, "genslm-25m widened from 2048 to 10240 positions");
  // Rotary positions bring no parameters, learned ones do.
  EXPECT_EQ(ParameterCount(cases[0].config), ParameterCount(cases[1].config));
}

TEST(StudyPlan, SparsitySweepIsDenseOnceAndTwoOfFourOnce) {
  const std::vector<StudyCase> cases = *CasesOf(*DefaultStudyPlan(StudyKind::kBlock, StudySweep::kSparsity));
  std::vector<std::string> seen;
  for (const StudyCase& one : cases) {
    seen.push_back(std::string(ToString(one.sparsity.pattern)) + " " + std::to_string(one.sparsity.level).substr(0, 4));
  }
  const std::vector<std::string> expected{"none 0.00", "unstructured 0.50", "unstructured 0.75", "unstructured 0.90",
                                          "2:4 0.50",  "tiles 0.50",        "tiles 0.75",        "tiles 0.90"};
  EXPECT_EQ(seen, expected);
}

TEST(StudyPlan, GasSweepHoldsTheMicroBatch) {
  const std::vector<StudyCase> cases = *CasesOf(*DefaultStudyPlan(StudyKind::kGpt2, StudySweep::kGas));
  ASSERT_EQ(cases.size(), 4u);
  for (size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ(cases[i].batch, 4);
    EXPECT_EQ(cases[i].tokens_per_step(), 4 * 256 * (1 << i));
  }
}

TEST(StudyPlan, TheBlockIsOneLayerOfGpt2) {
  const ModelConfig block = *BlockConfig(1600, 1024);
  const ModelConfig xl = *LoadModelConfig("gpt2-xl");
  EXPECT_EQ(block.heads, xl.heads);
  EXPECT_EQ(block.head_dim, xl.head_dim);
  EXPECT_EQ(block.ffn, xl.ffn);
  EXPECT_EQ(block.activation, xl.activation);
  EXPECT_EQ(block.attention_scale, xl.attention_scale);
  EXPECT_NE(BlockConfig(100, 8).error().message.find("multiple of a head's 64"), std::string::npos);
}

TEST(StudyPlan, FilesAreRefusedWithKeyAndLine) {
  EXPECT_EQ(Refused("model = 'gpt2'\nsequence = [128, 256]\n"), "");
  EXPECT_NE(Refused("colour = 'red'\n").find("colour"), std::string::npos);
  EXPECT_NE(Refused("sequence = [128, 0]\n").find("case.toml:5: key 'sequence': found '0', expected a whole number"),
            std::string::npos)
      << Refused("sequence = [128, 0]\n");
  EXPECT_NE(Refused("batch = 'four'\n").find("found 'four', expected a whole number"), std::string::npos);
  EXPECT_NE(Refused("recipe = 'f64'\n").find("case.toml:5: key 'recipe'"), std::string::npos);
  EXPECT_NE(Refused("pattern = 'diagonal'\n").find("unstructured"), std::string::npos);
  EXPECT_NE(Refused("repetitions = [1, 2]\n").find("expected one"), std::string::npos);
  EXPECT_NE(Refused("sequence = []\n").find("expected 1 to"), std::string::npos);
  EXPECT_NE(Refused("sweep = 'users'\n").find("there are sequence"), std::string::npos);
  EXPECT_NE(Refused("sweep = 'gas'\n", StudyKind::kBlock).find("a block has no gas sweep"), std::string::npos);
  EXPECT_NE(Refused("model = 'gpt2'\n", StudyKind::kBlock).find("model"), std::string::npos);
  EXPECT_NE(Refused("hidden = 768\n").find("hidden"), std::string::npos);
  const Result<StudyPlan> other = Parse("kind = 'study'\nstudy = 'block'\nname = 'n'\ndescription = 'd'\n");
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().message.find("expected 'gpt2', which this command runs"), std::string::npos);
}

TEST(StudyPlan, SettingsThatWouldDoNothingAreRefused) {
  const auto refused = [](auto change) {
    StudyPlan plan = *DefaultStudyPlan(StudyKind::kGpt2, StudySweep::kNone);
    change(plan);
    const Result<std::vector<StudyCase>> cases = CasesOf(plan);
    return cases.ok() ? "" : cases.error().message;
  };
  EXPECT_EQ(refused([](StudyPlan& plan) { plan.levels = {0}; }), "");
  EXPECT_EQ(refused([](StudyPlan& plan) { plan.patterns = {"none"}; }), "");
  EXPECT_NE(refused([](StudyPlan& plan) { plan.levels = {0, 0.5}; }).find("no pattern is set"), std::string::npos);
  EXPECT_NE(refused([](StudyPlan& plan) { plan.patterns = {"tiles"}; }).find("no sparsity"), std::string::npos);
  EXPECT_NE(refused([](StudyPlan& plan) { plan.ranks = {2}; }).find("settings of the ranks sweep"), std::string::npos);
}

TEST(StudyPlan, TooManyRunsAreRefused) {
  StudyPlan plan = *DefaultStudyPlan(StudyKind::kGpt2, StudySweep::kNone);
  plan.sequences.assign(1000, 8);
  plan.batches.assign(1000, 1);
  EXPECT_NE(CasesOf(plan).error().message.find("more than 10000 runs"), std::string::npos);
}

TEST(StudyRanks, WeakKeepsTheBatchAndStrongSharesIt) {
  StudyPlan plan = *DefaultStudyPlan(StudyKind::kGpt2, StudySweep::kRanks);
  plan.ranks = {1, 2, 3, 8};
  const Result<std::vector<RanksRun>> runs = RanksRuns(plan, "/opt/my programs/lodestone", 4, true);
  ASSERT_TRUE(runs.ok()) << runs.error().message;
  ASSERT_EQ(runs->size(), 8u);
  const auto& weak = (*runs)[1];
  EXPECT_EQ(weak.test.batch, 4);
  EXPECT_EQ(ShellLine(weak.words),
            "mpirun --allow-run-as-root -n 2 --bind-to core '/opt/my programs/lodestone' bench gpt2 --model gpt2 "
            "--recipe bf16 --sequence 256 --batch 4 --gas 1 --recompute 0 --warmup 1 --repetitions 3 --seed 1 --json");
  EXPECT_EQ((*runs)[5].test.batch, 2);
  EXPECT_NE((*runs)[6].reason.find("a batch of 4 cannot be shared among 3 ranks"), std::string::npos);
  EXPECT_NE((*runs)[7].reason.find("8 ranks need as many cores, and this process has 4"), std::string::npos);
  plan.patterns = {"tiles"};
  plan.levels = {0.75};
  EXPECT_NE(ShellLine(RanksRuns(plan, "p", 4, false)->front().words).find("--pattern tiles --sparsity 0.75 --tile 32"),
            std::string::npos);
  plan.recipes = {"f32", "bf16"};
  EXPECT_NE(RanksRuns(plan, "p", 4, false).error().message.find("recipe has 2 values"), std::string::npos);
}

TEST(StudyRanks, ShellLinesQuoteWhatAShellWouldRead) {
  EXPECT_EQ(ShellLine({"a", "b c", "it's", "", "$HOME"}), "a 'b c' 'it'\\''s' '' '$HOME'");
}

}  // namespace
}  // namespace lodestone::testing
