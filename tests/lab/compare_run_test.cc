#include <gtest/gtest.h>

#include <cmath>

#include "lab/compare/compare.h"

namespace lodestone::testing {
namespace {

Result<ComparisonResult> Compared(const std::string& targets, int threads = 1, const char* model = "tiny-4l",
                                  const char* recipe = "w8a8") {
  const std::string text = std::string("kind = \"compare\"\nname = \"c\"\n[workload]\nmodel = \"") + model +
                           "\"\nrecipe = \"" + recipe + "\"\nbatch = [1, 4]\nprompt_tokens = 16\noutput_tokens = 8\n" +
                           targets;
  LODESTONE_ASSIGN_OR_RETURN(const Json toml, ParseToml(text, "c.toml"));
  LODESTONE_ASSIGN_OR_RETURN(const Comparison comparison, ParseComparison(toml, "c.toml"));
  return RunComparison(comparison, threads);
}

constexpr const char* kMixed =
    "[[simulated]]\nappliance = \"northpole-16\"\nrecipe = \"w4a4\"\n"
    "[[estimated]]\nhardware = [\"a100-40gb\", \"h100-sxm\"]\n";

TEST(CompareRun, FiguresOfARowAgreeWithEachOther) {
  const Result<ComparisonResult> result = Compared(kMixed);
  ASSERT_TRUE(result.ok()) << result.error().message;
  ASSERT_EQ(result->rows.size(), 3u * 2);
  for (const ComparedRow& row : result->rows) {
    SCOPED_TRACE(row.label);
    ASSERT_TRUE(row.ok()) << row.reason;
    ASSERT_TRUE(row.system && row.device && row.user && row.latency && row.ttft && row.tpot && row.memory);
    EXPECT_NEAR(row.device->value * row.devices, row.system->value, row.system->value * 1e-9);
    EXPECT_NEAR(row.latency->value * row.system->value, row.batch, row.batch * 1e-9);
    if (row.watts && row.energy) {
      EXPECT_NEAR(row.energy->value * row.watts->value, row.system->value, row.system->value * 1e-6);
    }
    for (const CompareMetric& metric : CompareMetrics()) {
      const std::optional<ComparedFigure>& figure = row.*metric.figure;
      if (!figure) continue;
      EXPECT_TRUE(std::isfinite(figure->value) && figure->value > 0) << metric.name;
      if (figure->low) EXPECT_LE(*figure->low, figure->value) << metric.name;
      if (figure->high) EXPECT_GE(*figure->high, figure->value) << metric.name;
    }
    EXPECT_FALSE(row.source.empty());
    EXPECT_FALSE(row.decode.empty());
  }
  EXPECT_EQ(result->rows[0].provenance, Provenance::kSimulated);
  EXPECT_EQ(result->rows[0].recipe, "w4a4");
  EXPECT_EQ(result->rows[0].label, "northpole-16 w4a4");
  EXPECT_EQ(result->rows[5].label, "h100-sxm");
  EXPECT_EQ(result->rows[5].batch, 4);
}

TEST(CompareRun, IsTheSameForAnyNumberOfThreads) {
  const Result<ComparisonResult> one = Compared(kMixed, 1), two = Compared(kMixed, 3);
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(ComparePage(*one), ComparePage(*two));
  EXPECT_EQ(CompareTable(*one), CompareTable(*two));
}

TEST(CompareRun, WhatCannotBeDoneIsARowWithItsReason) {
  const Result<ComparisonResult> result = Compared(
      "[[simulated]]\nappliance = \"northpole-16\"\n"
      "[[estimated]]\nhardware = [\"kv260\", \"h100-sxm\"]\nrecipe = \"bf16\"\n",
      1, "llama-2-70b", "f32");
  ASSERT_TRUE(result.ok()) << result.error().message;
  ASSERT_EQ(result->rows.size(), 3u * 2);
  for (const ComparedRow& row : result->rows) {
    EXPECT_FALSE(row.ok()) << row.label;
    EXPECT_GT(row.reason.size(), 20u) << row.reason;
    EXPECT_FALSE(row.system);
  }
}

TEST(CompareRun, AModelThatIsNotKnownIsRefusedWithItsLine) {
  const Result<ComparisonResult> result = Compared("[[estimated]]\nhardware = \"h100-sxm\"\n", 1, "no-such-model");
  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(result.error().message.starts_with("c.toml:4: key 'workload.model': ")) << result.error().message;
}

TEST(CompareRun, MeasuresThisHost) {
  const Result<ComparisonResult> result = Compared("[[measured]]\nthreads = 1\nbatch = 2\n");
  ASSERT_TRUE(result.ok()) << result.error().message;
  ASSERT_EQ(result->rows.size(), 1u);
  const ComparedRow& row = result->rows[0];
  ASSERT_TRUE(row.ok()) << row.reason;
  EXPECT_EQ(row.provenance, Provenance::kMeasured);
  ASSERT_TRUE(row.system && row.ttft && row.tpot);
  EXPECT_GT(row.system->value, 0);
  EXPECT_FALSE(row.power_basis.empty());
}

TEST(CompareRun, PublishedRowsAreGroupedByRun) {
  const Result<ComparisonResult> result =
      Compared("[[published]]\nsource = \"northpole-hpec2024\"\nshape = \"any\"\nbatch = \"any\"\ntokens = \"any\"\n");
  ASSERT_TRUE(result.ok()) << result.error().message;
  ASSERT_EQ(result->rows.size(), 5u);  // NorthPole and P1 to P4
  const ComparedRow& northpole = result->rows[0];
  EXPECT_EQ(northpole.provenance, Provenance::kPublished);
  EXPECT_EQ(northpole.batch, 28);
  ASSERT_TRUE(northpole.system && northpole.watts && northpole.energy && northpole.latency);
  EXPECT_DOUBLE_EQ(northpole.system->value, 28356);
  EXPECT_DOUBLE_EQ(northpole.watts->value, 672);
  EXPECT_NEAR(northpole.energy->value, 42.2, 0.1);
  EXPECT_NEAR(northpole.latency->value, 28 / 28356.0, 1e-9);
}

TEST(CompareRun, PublishedTotalsAreTurnedIntoGeneratedTokens) {
  const Result<ComparisonResult> result = Compared(
      "[[published]]\nsource = \"llm-inference-bench\"\nshape = \"llama-2-7b\"\nmachine = \"a100-40gb\"\n"
      "stack = \"deepspeed-mii\"\ntokens = \"any\"\n");
  ASSERT_TRUE(result.ok()) << result.error().message;
  ASSERT_FALSE(result->rows.empty());
  for (const ComparedRow& row : result->rows) {
    EXPECT_EQ(row.batch, 1);
    ASSERT_TRUE(row.system);
    EXPECT_NE(row.note.find("published total"), std::string::npos) << row.note;
    EXPECT_EQ(row.platform, "gpu");
  }
}

TEST(CompareRun, AFilterThatFitsNothingGivesNoRows) {
  const Result<ComparisonResult> result = Compared("[[published]]\nsource = \"nobody\"\n");
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->rows.empty());
}

}  // namespace
}  // namespace lodestone::testing
