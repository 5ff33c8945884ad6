#include "report/published_table.h"

#include <gtest/gtest.h>

#include <cmath>

#include "report/markup_check.h"
#include "report/published_figures.h"
#include "report/text_width.h"

namespace lodestone {
namespace {

using testing::CountOf;

PublishedRun Paper() {
  const auto runs = CatalogPublishedRuns();
  EXPECT_TRUE(runs.ok()) << (runs.ok() ? "" : runs.error().message);
  for (const PublishedRun& run : *runs) {
    if (run.name == "northpole-hpec2024") return run;
  }
  return {};
}

std::vector<Measure> Simulated() {
  const auto measure = [](const char* name, double value) {
    return Measure::Of(name, value, "", Provenance::kSimulated);
  };
  return {measure("system_throughput_tokens_per_s", 32000), measure("throughput_tokens_per_s_per_card", 2000),
          measure("latency_s_per_token", 28 / 32000.0), measure("energy_metric_tokens_per_j", 50),
          measure("space_metric_tokens_per_s_per_transistor", 2000 / 22e9)};
}

double ValueOf(const std::vector<PublishedCell>& cells, const char* name) {
  const PublishedCell* cell = Find(cells, name);
  EXPECT_TRUE(cell) << name;
  return cell ? cell->value : 0;
}

// More ratios are printed than there are unknown cells, so this can fail: every ratio, recomputed from the cells,
// rounds to what the paper prints.
TEST(PublishedTable, RebuiltRatiosRoundToThePrintedOnes) {
  const std::vector<ComparedRatio> ratios = CompareRatios(Paper(), Simulated());
  EXPECT_EQ(ratios.size(), 12u);
  for (const ComparedRatio& ratio : ratios) {
    EXPECT_NEAR(std::round(ratio.rebuilt * 10) / 10, ratio.printed, 1e-9) << ratio.point << ' ' << ratio.measure;
  }
}

// Equations 1 to 6 tie the cells of every row.
TEST(PublishedTable, CellsCloseOverTheEquations) {
  const PublishedRun paper = Paper();
  ASSERT_EQ(paper.points.size(), 4u);
  for (const PublishedPoint& point : paper.points) {
    const auto value = [&](const char* name) { return ValueOf(point.cells, name); };
    const auto near = [](double a, double b) { return std::abs(a / b - 1) < 1e-5; };  // written to six digits
    const double system = value("system_throughput_tokens_per_s"), card = value("throughput_tokens_per_s_per_card");
    EXPECT_PRED2(near, value("tokens_generated"), value("users") * 1024) << point.name;
    EXPECT_PRED2(near, card, system / value("cards")) << point.name;
    EXPECT_PRED2(near, value("latency_s_per_token"), value("users") / system) << point.name;
    EXPECT_PRED2(near, value("energy_metric_tokens_per_j"), card / value("power_w_per_card")) << point.name;
    EXPECT_PRED2(near, value("space_metric_tokens_per_s_per_transistor"), card / value("transistors_per_card"))
        << point.name;
  }
}

TEST(PublishedTable, EveryDerivedCellSpellsItsArithmetic) {
  for (const PublishedPoint& point : Paper().points) {
    for (const PublishedCell& cell : point.cells) EXPECT_FALSE(cell.note.empty()) << point.name << ' ' << cell.name;
  }
}

TEST(PublishedTable, SimulatedRowStandsBesideWithItsOwnRatios) {
  const PublishedRun paper = Paper();
  const std::string text = RenderPublishedTable(paper, Simulated());
  EXPECT_NE(text.find("simulated"), std::string::npos) << text;
  EXPECT_NE(text.find("32,000"), std::string::npos) << text;
  EXPECT_NE(text.find("1,382 d"), std::string::npos) << text;
  EXPECT_NE(text.find("P4  4 × L4"), std::string::npos) << text;
  EXPECT_NE(text.find("72.7×"), std::string::npos) << text;
  EXPECT_EQ(text.find("  simulated", text.find("P1")), text.rfind("  simulated")) << text;  // the ratio table's header
  const std::vector<ComparedRatio> ratios = CompareRatios(paper, Simulated());
  EXPECT_EQ(ratios[1].measure, "space_metric_tokens_per_s_per_transistor");
  EXPECT_NEAR(*ratios[2].simulated, 46.3112 / (28 / 32.0), 1e-3);  // latency of P1 over the simulated one
  for (size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    EXPECT_LE(TextWidth(std::string_view(text).substr(begin, end - begin)), 100u) << text;
  }
  PublishedRun alone = paper;
  alone.points.clear();
  EXPECT_EQ(RenderPublishedTable(alone, Simulated()), "");
}

TEST(PublishedTable, AbsentMeasuresAreADash) {
  const std::string text = RenderPublishedTable(Paper(), {});
  EXPECT_EQ(text.find("  simulated "), std::string::npos) << text;
  EXPECT_NE(text.find("–"), std::string::npos);
}

TEST(PublishedFigures, ShowPublishedAndSimulatedPoints) {
  std::vector<SimulatedPoint> points;
  for (int users = 1; users <= 28; ++users) points.push_back({.users = users, .measures = Simulated()});
  const std::vector<RedrawnFigure> figures = RedrawFigures(Paper(), points);
  ASSERT_EQ(figures.size(), 3u);
  for (const RedrawnFigure& figure : figures) EXPECT_EQ(testing::MarkupFault(figure.svg.text), "");
  EXPECT_EQ(CountOf(figures[0].svg.text, "28 users: 0.875 ms a token"), 1u);
  EXPECT_EQ(CountOf(figures[0].svg.text, "P2 H100, published"), 1u);
  EXPECT_EQ(CountOf(figures[2].svg.text, "P2 H100, published"), 0u);  // L4 alone
  EXPECT_EQ(CountOf(figures[2].svg.text, "P4 4 × L4, published"), 1u);
  EXPECT_TRUE(RedrawFigures({}, points).empty());
}

TEST(Published, RefusesWrongPointsWithTheirLine) {
  const std::string head =
      "name = 'x'\ntitle = 'x'\nsource = 'x'\nevidence = 'x'\n[workload]\nmodel = 'm'\nrecipe = 'r'\nappliance = "
      "'a'\nusers = 1\n"
      "micro_batches = 1\nprompt_tokens = 1\noutput_tokens = 1\n[[figures]]\nname = 'f'\nvalue = 1\nunit = 's'\n"
      "kind = 'quoted'\n";
  const std::string point =
      "[[points]]\nname = 'P'\nsystem = 'S'\nmeaning = 'M'\nratios = [{measure = 'f', value = 2}]\n";
  const std::string figures = "figures = [{name = 'f', value = 1, unit = 's', kind = 'derived'}]\n";
  const std::string note = "[rebuilt]\nnote = 'n'\n";
  const auto parse = [](const std::string& text) -> std::string {
    const auto toml = ParseToml(text, "p.toml");
    if (!toml.ok()) return toml.error().message;
    const auto run = ParsePublishedRun(*toml, "p.toml");
    return run.ok() ? "" : run.error().message;
  };
  const auto has = [](const std::string& text, const char* what) { return text.find(what) != std::string::npos; };
  EXPECT_EQ(parse(head + note + point + figures), "");
  EXPECT_PRED2(has, parse(head + point + figures), "rebuilt");
  EXPECT_PRED2(has, parse(head + note + point), "points[0].figures");
  EXPECT_PRED2(has, parse(head + note + point + figures + "colour = 'red'\n"), "points[0].colour");
  EXPECT_PRED2(has, parse(head + note + point + "figures = []\n"), "p.toml:25");
  EXPECT_PRED2(has, parse(head + "[[figures]]\nname = 'f'\nvalue = 2\nunit = 's'\nkind = 'quoted'\n"), "given twice");
  EXPECT_PRED2(has, parse(head + "points = 3\n" + note), "expected");
}

}  // namespace
}  // namespace lodestone
