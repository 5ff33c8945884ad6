#include "lab/simulation_page.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "lab/page_data.h"
#include "report/markup_check.h"
#include "small_simulation.h"

namespace lodestone::testing {
namespace {

std::string PageOf(const SimulationOptions& options, int threads = 2) {
  const auto page = SimulationPage(options, threads, {{"version", "test & <1>"}});
  EXPECT_TRUE(page.ok()) << (page.ok() ? "" : page.error().message);
  return page.ok() ? *page : "";
}

TEST(SimulationPage, HasEveryPartAndIsWellFormed) {
  const std::string page = PageOf(SmallSimulation());
  EXPECT_EQ(MarkupFault(page), "");
  for (const char* part : {"Results", "Placement", "Mapping to the cores", "The pipeline over time", "Operators",
                           "Roofline", "Energy", "Framebuffers", "Sensitivity", "Links", "What the figures rest on"}) {
    EXPECT_EQ(CountOf(page, std::string(">") + part + "</h2>"), 1u) << part;
  }
  EXPECT_GE(CountOf(page, "<svg"), 10u);
  EXPECT_EQ(CountOf(page, "test &amp; &lt;1&gt;"), 1u);
  EXPECT_EQ(CountOf(page, "Published beside simulated"), 0u) << "nobody published this workload";
  EXPECT_EQ(CountOf(page, ">nan<"), 0u);
  EXPECT_EQ(CountOf(page, ">inf<"), 0u);
}

TEST(SimulationPage, IsTheSameForAnyNumberOfThreads) {
  EXPECT_EQ(PageOf(SmallSimulation(), 1), PageOf(SmallSimulation(), 3));
}

TEST(SimulationPage, OfTheSmallestRunIsWellFormed) {
  SimulationOptions options = SmallSimulation();
  options.users = options.micro_batches = 1;
  options.prompt_tokens = options.output_tokens = 1;  // no time between tokens
  EXPECT_EQ(MarkupFault(PageOf(options)), "");
}

TEST(SimulationPage, ByRatesAloneSaysThatItIsABound) {
  SimulationOptions options = SmallSimulation();
  options.fidelity = Fidelity::kIdeal;
  const std::string page = PageOf(options);
  EXPECT_EQ(MarkupFault(page), "");
  EXPECT_EQ(CountOf(page, "a bound, not a forecast"), 2u);
  EXPECT_EQ(CountOf(page, ">Sensitivity</h2>"), 0u);
  EXPECT_EQ(CountOf(page, "operator_start_cycles"), 0u);
}

// The paper's own run takes seconds; its section needs the published figures and any measures.
TEST(SimulationPage, ShowsTableOneAndTheFiguresOfAPublishedRun) {
  const auto runs = CatalogPublishedRuns();
  ASSERT_TRUE(runs.ok());
  const auto paper =
      std::find_if(runs->begin(), runs->end(), [](const PublishedRun& run) { return !run.points.empty(); });
  ASSERT_NE(paper, runs->end());
  PageData data{.options = SmallSimulation()};
  data.published = *paper;
  data.measures = {Measure::Of("latency_s_per_token", 0.001, "s/token", Provenance::kSimulated),
                   Measure::Of("energy_metric_tokens_per_j", 40, "tokens/J", Provenance::kSimulated)};
  for (int users = 1; users <= 28; ++users) data.points.push_back({.users = users, .measures = data.measures});
  HtmlPage page("t", "l");
  AddPublished(page, data);
  const std::string html = std::move(page).Finish();
  EXPECT_EQ(MarkupFault(html), "");
  EXPECT_EQ(CountOf(html, "46.3 d"), 1u) << "rebuilt cells are marked";
  EXPECT_EQ(CountOf(html, "46.9 × 0.987445 ms"), 2u)
      << "their arithmetic is at hand, for the pointer and for readers aloud";
  EXPECT_EQ(CountOf(html, "<svg"), 3u);
  EXPECT_EQ(CountOf(html, "1 to 28 users"), 1u);
}

TEST(SimulationPage, ShowsAPublishedRunWithoutPointsAndWhatItIsWorth) {
  const auto runs = CatalogPublishedRuns();
  ASSERT_TRUE(runs.ok());
  const auto rack =
      std::find_if(runs->begin(), runs->end(), [](const PublishedRun& run) { return run.points.empty(); });
  ASSERT_NE(rack, runs->end());
  PageData data{.options = SmallSimulation()};
  data.published = *rack;
  HtmlPage page("t", "l");
  AddPublished(page, data);
  const std::string html = std::move(page).Finish();
  EXPECT_EQ(MarkupFault(html), "");
  EXPECT_EQ(CountOf(html, "No constant is fitted on this run"), 1u);
  EXPECT_EQ(CountOf(html, "is no evidence"), 0u);
  EXPECT_EQ(CountOf(html, "Table I"), 0u);
}

// The published machine sends from card to card.
TEST(SimulationPage, PublishedRunsStandBesideDirectTransfersOnly) {
  SimulationOptions options = SmallSimulation();
  options.config = *LoadModelConfig("granite-3b-14l");
  options.users = 28;
  options.micro_batches = 14;
  options.prompt_tokens = options.output_tokens = 1024;
  EXPECT_TRUE((*PublishedBeside(options)).has_value());
  options.transfers = Transfers::kHost;
  EXPECT_FALSE((*PublishedBeside(options)).has_value());
}

TEST(SimulationPage, SaysWhenTheHostSetsThePace) {
  SimulationOptions options = SmallSimulation();
  options.users = options.micro_batches = 14;
  EXPECT_EQ(CountOf(PageOf(options), "The pace is the host"), 0u);
  options.transfers = Transfers::kHost;
  EXPECT_EQ(CountOf(PageOf(options), "The pace is the host"), 1u);
}

TEST(SimulationPage, RefusesWhatCannotRun) {
  SimulationOptions options = SmallSimulation();
  options.users = 0;
  EXPECT_FALSE(SimulationPage(options, 1).ok());
}

}  // namespace
}  // namespace lodestone::testing
