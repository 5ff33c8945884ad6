#include "report/published.h"

#include <gtest/gtest.h>

#include <cmath>

#include "report/comparison.h"

namespace lodestone {
namespace {

Workload Paper() {
  Workload workload;
  workload.model = "granite-3b-14l";
  workload.recipe = "w4a4:static";
  workload.users = 28;
  workload.micro_batches = 14;
  workload.prompt_tokens = workload.output_tokens = 1024;
  return workload;
}

std::optional<double> Figure(const PublishedRun& run, const std::string& name) {
  for (const PublishedFigure& figure : run.figures) {
    if (figure.name == name) return figure.value;
  }
  return std::nullopt;
}

// Equations 2 to 6 of the paper tie the derived figures to the quoted ones.
TEST(Published, FiguresOfThePaperCloseOverItsEquations) {
  const auto found = PublishedRunOf(Paper(), "northpole-16");
  ASSERT_TRUE(found.ok()) << found.error().message;
  ASSERT_TRUE(found->has_value());
  const PublishedRun& run = **found;
  const double system = *Figure(run, "system_throughput_tokens_per_s");
  const double watts = *Figure(run, "power_w");
  EXPECT_EQ(system, 28356);
  EXPECT_EQ(watts, 672);
  const auto near = [](double a, double b) { return std::abs(a / b - 1) < 1e-5; };  // printed to six digits
  EXPECT_PRED2(near, *Figure(run, "throughput_tokens_per_s_per_card"), system / 16);
  EXPECT_PRED2(near, *Figure(run, "latency_s_per_token"), 28 / system);
  EXPECT_PRED2(near, *Figure(run, "energy_metric_tokens_per_j"), system / watts);
  EXPECT_PRED2(near, *Figure(run, "space_metric_tokens_per_s_per_transistor"), system / 16 / 22e9);
}

TEST(Published, StandsBesideItsOwnWorkloadOnly) {
  Workload other = Paper();
  other.users = 27;
  EXPECT_FALSE((*PublishedRunOf(other, "northpole-16")).has_value());
  EXPECT_FALSE((*PublishedRunOf(Paper(), "northpole-288")).has_value());
  other = Paper();
  other.recipe = "w4a8";
  EXPECT_FALSE((*PublishedRunOf(other, "northpole-16")).has_value());
}

// Every file says what agreement with it is worth; nothing is fitted on the rack.
TEST(Published, SaysWhatAgreementIsWorth) {
  const auto runs = CatalogPublishedRuns();
  ASSERT_TRUE(runs.ok()) << runs.error().message;
  ASSERT_EQ(runs->size(), 2u);
  for (const PublishedRun& run : *runs) {
    const bool fitted = run.evidence.find("is no evidence") != std::string::npos;
    const bool predicted = run.evidence.find("No constant is fitted on this run") != std::string::npos;
    EXPECT_EQ(fitted, run.appliance == "northpole-16") << run.evidence;
    EXPECT_EQ(predicted, run.appliance == "northpole-288") << run.evidence;
  }
}

TEST(Published, RefusesUnknownKeysAndKindsWithTheirLine) {
  const std::string head =
      "name = 'x'\ntitle = 'x'\nsource = 'x'\nevidence = 'x'\n[workload]\nmodel = 'm'\nrecipe = 'r'\nappliance = "
      "'a'\nusers = 1\n"
      "micro_batches = 1\nprompt_tokens = 1\noutput_tokens = 1\n[[figures]]\nname = 'f'\nvalue = 1\nunit = 's'\n";
  const auto parse = [&](const std::string& text) {
    const auto toml = ParseToml(text, "p.toml");
    EXPECT_TRUE(toml.ok());
    return ParsePublishedRun(*toml, "p.toml");
  };
  EXPECT_TRUE(parse(head + "kind = 'quoted'\n").ok());
  const auto kind = parse(head + "kind = 'guessed'\n");
  ASSERT_FALSE(kind.ok());
  EXPECT_NE(kind.error().message.find("p.toml:17"), std::string::npos) << kind.error().message;
  const auto key = parse(head + "kind = 'quoted'\ncolour = 'red'\n");
  ASSERT_FALSE(key.ok());
  EXPECT_NE(key.error().message.find("colour"), std::string::npos) << key.error().message;
}

TEST(Comparison, ShowsFiguresSideBySide) {
  const std::vector<Measure> calibrated{
      Measure::Of("system_throughput_tokens_per_s", 26938.2, "tokens/s", Provenance::kSimulated)};
  const std::vector<Measure> ideal{
      Measure::Of("system_throughput_tokens_per_s", 60000, "tokens/s", Provenance::kSimulated)};
  const auto published = PublishedRunOf(Paper(), "northpole-16");
  ASSERT_TRUE(published.ok());
  const std::string table = RenderComparison(calibrated, ideal, *published);
  EXPECT_NE(table.find("26,938"), std::string::npos) << table;
  EXPECT_NE(table.find("60,000"), std::string::npos) << table;
  EXPECT_NE(table.find("28,356"), std::string::npos) << table;
  EXPECT_NE(table.find("-5.0 %"), std::string::npos) << table;
  const std::string alone = RenderComparison(std::nullopt, ideal, std::nullopt);
  EXPECT_EQ(alone.find("published"), std::string::npos) << alone;
}

}  // namespace
}  // namespace lodestone
