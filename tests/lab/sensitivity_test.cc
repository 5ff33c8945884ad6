#include "lab/sensitivity.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "small_simulation.h"

namespace lodestone::testing {
namespace {

TEST(Sensitivity, HasEveryConstantWithoutASourceOnce) {
  const SimulationOptions options = SmallSimulation();
  const Result<Sensitivity> sensitivity = SensitivityOf(options, 1);
  ASSERT_TRUE(sensitivity.ok()) << sensitivity.error().message;
  std::vector<std::string> expected, found;
  for (const NamedFigure& named : FiguresOf(options.spec)) {
    if (RestsOnNoSource(named.figure)) expected.push_back(named.name);
  }
  for (const SensitivityRow& row : sensitivity->rows) found.push_back(row.figure.name);
  std::sort(expected.begin(), expected.end());
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, expected);
  EXPECT_TRUE(std::is_sorted(sensitivity->rows.begin(), sensitivity->rows.end(),
                             [](const auto& a, const auto& b) { return a.effect > b.effect; }));
}

TEST(Sensitivity, AnEndIsTheRunWithThatFigure) {
  SimulationOptions options = SmallSimulation();
  const Result<Sensitivity> sensitivity = SensitivityOf(options, 2);
  ASSERT_TRUE(sensitivity.ok()) << sensitivity.error().message;
  const SensitivityRow& first = sensitivity->rows.front();
  EXPECT_GT(first.effect, 0);
  options.placement = *Place(options.config, options.recipe, options.spec, DemandOf(options));
  ASSERT_TRUE(SetFigure(options.spec, first.figure.name, *first.figure.figure.high).ok());
  const Result<SimulatedRun> run = SimulateBatch(options);
  ASSERT_TRUE(run.ok()) << run.error().message;
  ASSERT_TRUE(first.high.outcome.has_value()) << first.high.reason;
  EXPECT_EQ(first.high.value, *first.figure.figure.high);
  EXPECT_EQ(first.high.outcome->tokens_per_s, OutcomeOf(*run).tokens_per_s);
  EXPECT_EQ(first.high.outcome->joules_per_token, OutcomeOf(*run).joules_per_token);
}

TEST(SensitivityProperty, TheBetterEndIsNeverWorse) {
  const Result<Sensitivity> sensitivity = SensitivityOf(SmallSimulation(), 2);
  ASSERT_TRUE(sensitivity.ok()) << sensitivity.error().message;
  for (const SensitivityRow& row : sensitivity->rows) {
    if (row.figure.better == Better::kNeither || !row.low.outcome || !row.high.outcome) continue;
    const bool high = row.figure.better == Better::kHigh;
    const Outcome &better = high ? *row.high.outcome : *row.low.outcome,
                  &worse = high ? *row.low.outcome : *row.high.outcome;
    EXPECT_GE(better.tokens_per_s, worse.tokens_per_s) << row.figure.name;
    EXPECT_LE(better.latency_s, worse.latency_s) << row.figure.name;
  }
}

TEST(SensitivityProperty, ResultsDoNotDependOnTheThreads) {
  const SimulationOptions options = SmallSimulation();
  const std::string one = ToJson(*SensitivityOf(options, 1)).Dump();
  EXPECT_EQ(one, ToJson(*SensitivityOf(options, 2)).Dump());
  EXPECT_EQ(one, ToJson(*SensitivityOf(options, 5)).Dump());
}

TEST(Sensitivity, TheEnvelopeHoldsTheTypicalRun) {
  const SimulationOptions options = SmallSimulation();
  const Result<SimulatedRun> typical = SimulateBatch(options);
  const Result<Envelope> envelope = EnvelopeOf(options, 2);
  ASSERT_TRUE(typical.ok() && envelope.ok());
  EXPECT_LT(envelope->better.elapsed, typical->elapsed);
  EXPECT_GT(envelope->worse.elapsed, typical->elapsed);
  std::vector<Measure> measures = MeasuresOf(typical->run);
  AddRanges(*envelope, measures);
  int ranges = 0;
  for (const Measure& measure : measures) {
    if (!measure.low || !measure.high) continue;
    ++ranges;
    EXPECT_LE(*measure.low, *measure.value) << measure.name;
    EXPECT_GE(*measure.high, *measure.value) << measure.name;
  }
  EXPECT_GE(ranges, 6);
  EXPECT_FALSE(measures.front().low.has_value());  // the number of tokens has no range
}

TEST(Sensitivity, TextNamesEveryConstant) {
  const Result<Sensitivity> sensitivity = SensitivityOf(SmallSimulation(), 2);
  ASSERT_TRUE(sensitivity.ok());
  const std::string text = RenderSensitivity(*sensitivity);
  for (const SensitivityRow& row : sensitivity->rows) {
    const std::string& name = row.figure.name;
    EXPECT_NE(text.find(name.substr(name.rfind('.') + 1)), std::string::npos) << name;
  }
}

TEST(Sensitivity, PassesOnWhatIsRefused) {
  SimulationOptions options = SmallSimulation();
  options.users = 0;
  EXPECT_FALSE(SensitivityOf(options, 1).ok());
  EXPECT_FALSE(EnvelopeOf(options, 1).ok());
}

}  // namespace
}  // namespace lodestone::testing
