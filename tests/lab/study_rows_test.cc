#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "base/catalog.h"
#include "lab/study/rows.h"
#include "learn/training_cost.h"

namespace lodestone::testing {
namespace {

HostLimits Limits() {
  const auto rate = [](double one, double all) {
    HostRate host;
    host.one.value = one;
    host.all.value = all;
    return host;
  };
  HostLimits limits;
  limits.threads = 2;
  limits.f32_ops_per_s = rate(1e11, 2e11);
  limits.int8_avx2_ops_per_s = rate(3e11, 6e11);
  return limits;
}

StudyCase Case(StudyKind kind, const std::string& recipe) {
  const std::vector<StudyCase> cases = *CasesOf(*DefaultStudyPlan(kind, StudySweep::kNone));
  StudyCase one = cases.front();
  one.recipe = recipe;
  return one;
}

StudyResult Measured(StudyCase test, std::vector<double> step, std::vector<double> forward) {
  StudyResult result{.test = std::move(test), .reason = {}, .isa = "avx2", .threads = 2};
  result.step_s = std::move(step);
  result.forward_s = std::move(forward);
  return result;
}

TEST(StudyRows, BlockRatesAreTheFormulasOverTheMedian) {
  const HostLimits limits = Limits();
  const StudyFigures row =
      FiguresOf(StudyKind::kBlock, Measured(Case(StudyKind::kBlock, "f32"), {2, 9, 1}, {0.5, 0.5, 4}), &limits);
  const double forward = BlockForwardFlops(1600, 1024, 1);
  EXPECT_DOUBLE_EQ(row.forward->dense_flops, forward / 0.5);
  EXPECT_DOUBLE_EQ(row.step->dense_flops, 3 * forward / 2);
  EXPECT_DOUBLE_EQ(*row.step->share_of_limit, 3 * forward / 2 / 2e11);
  // Integers against the integer unit, bf16 against f32 where there is no other, nothing against nothing.
  const auto share = [&](const char* recipe, const HostLimits* of) {
    return FiguresOf(StudyKind::kBlock, Measured(Case(StudyKind::kBlock, recipe), {}, {1}), of).forward->share_of_limit;
  };
  EXPECT_DOUBLE_EQ(*share("w8a8", &limits), forward / 6e11);
  EXPECT_DOUBLE_EQ(*share("bf16", &limits), forward / 2e11);
  EXPECT_FALSE(share("f32", nullptr).has_value());
  EXPECT_FALSE(FiguresOf(StudyKind::kBlock, Measured(Case(StudyKind::kBlock, "w8a8"), {}, {1}), &limits).step);
}

TEST(StudyRows, SamplesAndTokensCountEveryRankAndMicroBatch) {
  StudyCase test = Case(StudyKind::kGpt2, "bf16");
  test.accumulation = 3;
  StudyResult result = Measured(test, {2, 2, 8}, {1});
  result.ranks = 2;
  const StudyFigures row = FiguresOf(StudyKind::kGpt2, result, nullptr);
  EXPECT_DOUBLE_EQ(row.samples_per_s(), 4 * 3 * 2 / 2.0);
  EXPECT_DOUBLE_EQ(row.tokens_per_s(), 256 * 4 * 3 * 2 / 2.0);
  EXPECT_DOUBLE_EQ(row.step->dense_flops, row.tokens_per_s() * TrainingFlopsPerToken(test.config, 256));
}

// ThroughputMonitor divides by the mean.
TEST(StudyRows, GenslmDividesByTheMean) {
  const StudyFigures row =
      FiguresOf(StudyKind::kGenslm, Measured(Case(StudyKind::kGenslm, "f32"), {2, 2, 8}, {1}), nullptr);
  EXPECT_DOUBLE_EQ(row.samples_per_s(), 1 / 4.0);
}

TEST(StudyRows, SparseRunsStandAgainstTheDenseOne) {
  const StudyCase dense = Case(StudyKind::kBlock, "f32");
  StudyCase tiles = dense;
  tiles.sparsity = {.pattern = SparsityPattern::kTileBlocks, .level = 0.75};
  StudyResult sparse = Measured(tiles, {1}, {0.25});
  sparse.sparsity = 0.75;
  sparse.mlp = MlpTimes{
      .dense_forward_s = {3, 6}, .sparse_forward_s = {1, 2}, .dense_training_s = {4}, .sparse_training_s = {2}};
  StudyCase other = tiles;
  other.recipe = "bf16";
  std::vector<StudyFigures> rows{FiguresOf(StudyKind::kBlock, Measured(dense, {3}, {1}), nullptr),
                                 FiguresOf(StudyKind::kBlock, sparse, nullptr),
                                 FiguresOf(StudyKind::kBlock, Measured(other, {1}, {1}), nullptr)};
  CompareRows(rows);
  EXPECT_FALSE(rows[0].step_speedup.has_value());
  EXPECT_DOUBLE_EQ(*rows[1].step_speedup, 3);
  EXPECT_DOUBLE_EQ(*rows[1].forward_speedup, 4);
  EXPECT_DOUBLE_EQ(rows[1].ideal_speedup(), 4);
  EXPECT_DOUBLE_EQ(*rows[1].mlp_forward_speedup, 3);
  EXPECT_DOUBLE_EQ(*rows[1].mlp_training_speedup, 2);
  EXPECT_FALSE(rows[2].step_speedup.has_value());  // its dense run is not there
  const double masked = 1024 * MaskedFlopsPerToken(dense.config);
  EXPECT_DOUBLE_EQ(rows[1].step->true_flops, rows[1].step->dense_flops - 0.75 * masked);
}

TEST(StudyRows, EfficiencyIsAgainstTheFewestRanksOfItsScaling) {
  std::vector<StudyFigures> rows;
  for (const auto& [scaling, ranks, seconds] :
       {std::tuple{"weak", 1, 1.0}, {"weak", 2, 1.25}, {"strong", 1, 1.0}, {"strong", 2, 0.625}}) {
    StudyCase test = Case(StudyKind::kGpt2, "bf16");
    if (std::string(scaling) == "strong") test.batch /= ranks;
    StudyResult result = Measured(test, {seconds}, {});
    result.ranks = ranks;
    rows.push_back(FiguresOf(StudyKind::kGpt2, result, nullptr));
    rows.back().scaling = scaling;
  }
  CompareRows(rows);
  EXPECT_DOUBLE_EQ(*rows[0].efficiency, 1);
  EXPECT_DOUBLE_EQ(*rows[1].efficiency, 0.8);
  EXPECT_DOUBLE_EQ(*rows[2].efficiency, 1);
  EXPECT_DOUBLE_EQ(*rows[3].efficiency, 0.8);
}

TEST(StudyRows, ARowIsReadBackAsItWasMeasured) {
  StudyResult result = Measured(Case(StudyKind::kGpt2, "bf16"), {2, 3}, {1, 1.5});
  result.optimizer_s = {0.25, 0.5};
  result.reduce_s = {0.125, 0.125};
  result.ranks = 2;
  result.steps = 3;
  result.sparsity = 0.75;
  result.first_loss = 11;
  result.last_loss = 10.5;
  result.peak_resident_bytes = 12345;
  result.wall_s = 8;
  result.cpu_s = 12;
  const StudyFigures row = FiguresOf(StudyKind::kGpt2, result, nullptr);
  const Result<Json> json = ParseJson(ToJson(StudyKind::kGpt2, row).Dump(), "row");
  ASSERT_TRUE(json.ok()) << json.error().message;
  const Result<StudyResult> back = ReadStudyRow(*json, result.test);
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(back->step_s, result.step_s);
  EXPECT_EQ(back->forward_s, result.forward_s);
  EXPECT_EQ(back->optimizer_s, result.optimizer_s);
  EXPECT_EQ(back->reduce_s, result.reduce_s);
  EXPECT_EQ(back->ranks, 2);
  EXPECT_EQ(back->sparsity, 0.75);
  EXPECT_EQ(back->last_loss, 10.5);
  EXPECT_EQ(*back->peak_resident_bytes, 12345);
  EXPECT_DOUBLE_EQ(back->processor_share(), 0.75);  // of two threads
  EXPECT_FALSE(ReadStudyRow(*ParseJson("{}", "row"), result.test).ok());
}

TEST(StudyRows, FlopsOfPublishedRatesAreThoseOfTheStudy) {
  const PublishedTrainingFile all = *CatalogPublishedTraining();
  const auto tera = [&](const char* system, const char* model, int64_t sequence, bool last) {
    for (const PublishedTraining& series : all.series) {
      if (series.system != system || series.model != model || series.sequence != sequence) continue;
      return FlopsPerDevice(series, last ? series.points.size() - 1 : 0).value_or(-1) * 1e-12;
    }
    return -1.0;
  };
  EXPECT_NEAR(tera("Polaris", "genslm-25m", 2048, false), 12.9, 0.05);
  EXPECT_NEAR(tera("Polaris", "genslm-25m", 2048, true), 6.1, 0.05);
  EXPECT_NEAR(tera("Selene, ZeRO-3", "genslm-2.5b", 2048, false), 54.0, 0.2);
  // By the stored shape of 253 million parameters; its name has 244, by which it would be 217.
  EXPECT_NEAR(tera("Cerebras CS-2", "genslm-250m", 10240, false), 219.4, 0.1);
  EXPECT_NEAR(tera("Graphcore Bow-Pod64", "gpt2", 1024, false), 58, 0.5);
  EXPECT_EQ(tera("Cerebras, FP16", "gpt2", 0, false), -1e-12);
}

TEST(StudyRows, ADisturbedHostIsSaid) {
  StudyResult result = Measured(Case(StudyKind::kBlock, "f32"), {2}, {1});
  EXPECT_EQ(DisturbanceOf({FiguresOf(StudyKind::kBlock, result, nullptr)}), "");
  result.wall_s = 3;
  result.cpu_s = 3;
  const std::string text = DisturbanceOf({FiguresOf(StudyKind::kBlock, result, nullptr)});
  EXPECT_NE(text.find("had 50 %"), std::string::npos) << text;
}

// Figures as wide as a run's are; those of a ranks sweep stand once for each number of ranks.
StudyReport Report(const StudyPlan& plan) {
  StudyReport report{.plan = plan, .environment = {{"cpu", "a <processor>"}}};
  const std::vector<StudyCase> cases = *CasesOf(report.plan);
  for (const StudyCase& test : cases) {
    for (const int64_t ranks : plan.ranks.empty() ? std::vector<int64_t>{1} : plan.ranks) {
      StudyResult result = Measured(test, {0.1234}, {0.02345});
      if (plan.sweep != StudySweep::kNone) result.sparsity = test.sparsity.level;
      result.ranks = static_cast<int>(ranks);
      result.optimizer_s = {0.01234};
      if (ranks > 1) result.reduce_s = {0.01234};
      result.peak_resident_bytes = int64_t{1023} << 30;
      result.steps = 4;
      result.last_loss = 10.1234;
      report.rows.push_back(FiguresOf(plan.kind, result, nullptr));
      if (!plan.ranks.empty()) report.rows.back().scaling = "strong";
    }
  }
  StudyResult refused{.test = report.rows.front().result.test, .reason = "it needs more memory", .isa = "avx2"};
  report.rows.push_back(FiguresOf(plan.kind, refused, nullptr));
  report.limits_reason = "the limits of this host are not measured";
  CompareRows(report.rows);
  EXPECT_TRUE(AddPublished(report).ok());
  return report;
}

TEST(StudyRows, PublishedRowsStandBesideTheSameModelAndSequence) {
  const StudyReport genslm = Report(*DefaultStudyPlan(StudyKind::kGenslm, StudySweep::kNone));
  for (const PublishedTraining& series : genslm.published) EXPECT_EQ(series.model, "genslm-25m");
  EXPECT_GE(genslm.published.size(), 6u);
  EXPECT_GE(genslm.neighbours.size(), 8u);
  const std::string text = RenderStudy(genslm);
  for (const char* part : {"Cerebras CS-2", "Polaris", "ThroughputMonitor", "unavailable, genslm-25m",
                           "not run: it needs", "no shares: the limits", "source: ramanathanlab/genslm"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  // GPT-2 small at 256: the rows whose sequence is unknown, not those at 1024.
  const StudyReport gpt2 = Report(*DefaultStudyPlan(StudyKind::kGpt2, StudySweep::kNone));
  for (const PublishedTraining& series : gpt2.published) {
    EXPECT_EQ(series.sequence, 0) << series.system;
  }
}

void ExpectAHundredColumns(const std::string& text) {
  for (size_t begin = 0; begin < text.size(); begin = text.find('\n', begin) + 1) {
    const std::string line = text.substr(begin, text.find('\n', begin) - begin);
    const auto columns = std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; });
    EXPECT_LE(columns, 100) << line;
  }
}

TEST(StudyRows, EveryReportFitsAHundredColumnsAndIsOnePage) {
  for (const StudyKind kind : {StudyKind::kBlock, StudyKind::kGpt2, StudyKind::kGenslm}) {
    for (const StudySweep sweep :
         {StudySweep::kNone, StudySweep::kSequence, StudySweep::kRanks, StudySweep::kSparsity, StudySweep::kGas}) {
      if (!DefaultStudyPlan(kind, sweep).ok()) continue;
      const StudyReport report = Report(*DefaultStudyPlan(kind, sweep));
      ExpectAHundredColumns(RenderStudy(report));
      const std::string page = StudyPage(report);
      EXPECT_NE(page.find("a &lt;processor&gt;"), std::string::npos);
      EXPECT_EQ(page.find("<svg") != std::string::npos, sweep != StudySweep::kNone);
      const std::string csv = StudyCsv(report);
      const auto lines = static_cast<size_t>(std::count(csv.begin(), csv.end(), '\n'));
      EXPECT_GE(lines, 1 + report.rows.size());
    }
  }
}

TEST(StudyRows, CasesOfTheCatalogueFitAHundredColumns) {
  for (const CatalogFile& file : CatalogFilesIn("experiments")) {
    for (const StudyKind kind : {StudyKind::kBlock, StudyKind::kGpt2, StudyKind::kGenslm}) {
      const Result<StudyPlan> plan = LoadStudyPlan(std::string(file.stem()), kind);
      if (plan.ok()) ExpectAHundredColumns(RenderStudy(Report(*plan)));
    }
  }
}

TEST(StudyRows, ARemarkIsMadeOnce) {
  StudyReport report = Report(*DefaultStudyPlan(StudyKind::kGenslm, StudySweep::kNone));
  report.rows.push_back(report.rows.back());
  for (const std::string& text : {RenderStudy(report), StudyPage(report)}) {
    for (const char* remark : {"not run: it needs more memory", "genslm-25m widened", "no shares: the limits"}) {
      EXPECT_NE(text.find(remark), std::string::npos) << remark;
      EXPECT_EQ(text.find(remark), text.rfind(remark)) << remark;
    }
  }
}

}  // namespace
}  // namespace lodestone::testing
