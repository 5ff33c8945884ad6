#include <gtest/gtest.h>

#include <cmath>

#include "hardware/machine.h"
#include "lab/validate/fit.h"
#include "lab/validate/validation.h"

namespace lodestone::testing {
namespace {

Comparison Of(double published, double low, double typical, double high, bool is_rate = true) {
  return {published, {low, typical, high}, is_rate};
}

TEST(Accuracy, ErrorsAreSharesOfThePublishedRate) {
  const std::vector<Comparison> comparisons = {Of(100, 80, 110, 140), Of(200, 90, 100, 110), Of(50, 40, 60, 80)};
  const Accuracy accuracy = AccuracyOf(comparisons);
  EXPECT_EQ(accuracy.count, 3);
  EXPECT_NEAR(accuracy.mape, (0.1 + 0.5 + 0.2) / 3, 1e-12);
  EXPECT_NEAR(accuracy.bias, (0.1 - 0.5 + 0.2) / 3, 1e-12);
  EXPECT_NEAR(accuracy.worst, -0.5, 1e-12);
  EXPECT_NEAR(accuracy.inside, 2.0 / 3, 1e-12);
  EXPECT_NEAR(accuracy.within_2, 1, 1e-12);
}

TEST(Accuracy, ATimeIsComparedAsARate) {
  const Comparison twice_the_time = Of(1, 1.5, 2, 3, false);
  EXPECT_DOUBLE_EQ(twice_the_time.Ratio(), 0.5);
  EXPECT_NEAR(AccuracyOf(std::vector{twice_the_time}).mape, 0.5, 1e-12);
}

TEST(Accuracy, OfNothingIsNothing) { EXPECT_EQ(AccuracyOf({}).count, 0); }

TEST(RankCorrelation, FollowsOrderAlone) {
  EXPECT_NEAR(RankCorrelation(std::vector<double>{1, 2, 3, 4}, std::vector<double>{10, 200, 201, 1e6}), 1, 1e-12);
  EXPECT_NEAR(RankCorrelation(std::vector<double>{1, 2, 3, 4}, std::vector<double>{4, 3, 2, 1}), -1, 1e-12);
  EXPECT_EQ(RankCorrelation(std::vector<double>{1, 2, 3}, std::vector<double>{5, 5, 5}), 0);
  // Ranks 0, 1.5, 1.5, 3 against 0, 1, 2, 3: 4.5 / √(4.5 × 5).
  EXPECT_NEAR(RankCorrelation(std::vector<double>{1, 2, 2, 3}, std::vector<double>{1, 2, 3, 4}),
              4.5 / std::sqrt(4.5 * 5), 1e-12);
}

PublishedRow RowOf(const char* shape, int batch, int64_t tokens, int devices) {
  PublishedRow row;
  row.source = "llm-inference-bench";
  row.place = "All_results";
  row.machine = "a100-80gb";
  row.stack = "vllm";
  row.shape = shape;
  row.recipe = "bf16";
  row.batch = batch;
  row.prompt_tokens = row.output_tokens = tokens;
  row.devices = devices;
  row.metric = "total_throughput";
  row.value = 1;
  return row;
}

std::vector<PublishedRow> Grid() {
  std::vector<PublishedRow> rows;
  for (const char* shape : {"llama-2-7b", "llama-3-8b"}) {
    for (const int batch : {1, 16, 64}) {
      for (const int64_t tokens : {128, 1024, 2048}) {
        for (const int devices : {1, 2, 4}) rows.push_back(RowOf(shape, batch, tokens, devices));
      }
    }
  }
  for (const char* shape : {"llama-2-7b", "llama-3-8b"}) {
    rows.push_back(RowOf(shape, 16, 1024, 1));
    rows.back().metric = "ttft";
  }
  return rows;
}

// Rows that the estimator itself wrote at known factors: a fit that begins elsewhere explains them again.
TEST(FitProperty, ExplainsRowsThatKnownFactorsMade) {
  std::vector<PublishedRow> rows = Grid();
  Result<CaseList> list = CasesOf(rows);
  ASSERT_TRUE(list.ok()) << list.error().message;
  ASSERT_EQ(list->cases.size(), rows.size());
  Efficiency base = *EfficiencyOf(list->cases[0].deployment.machine, "");
  base.reserved_bytes.value = 1e9;
  Factors truth = FactorsOf(base);
  truth.matrix = truth.attention = 0.55;
  truth.memory = 0.83;
  truth.kv = 0.6;
  truth.heads_per_read = 2.4;
  truth.launch_s = 6e-6;
  truth.step_s = 8e-4;
  truth.sequence_s = 4e-5;
  truth.collective_s = 1.5e-5;
  truth.link = 0.5;
  std::vector<const ValidationCase*> cases;
  for (ValidationCase& question : list->cases) {
    question.deployment.efficiency = base;
    const auto plan = InferencePlan::Of(question.config, question.recipe, question.deployment, question.load);
    ASSERT_TRUE(plan.ok());
    rows[cases.size()].value = question.ValueAt(plan->TimesAt(truth));
    cases.push_back(&question);
  }
  const Result<Fit> fit = FitFactors(cases, base);
  ASSERT_TRUE(fit.ok()) << fit.error().message;
  for (const ValidationCase* question : cases) {
    const auto plan = InferencePlan::Of(question->config, question->recipe, question->deployment, question->load);
    EXPECT_NEAR(question->ValueAt(plan->TimesAt(fit->factors)) / question->row->value, 1, 0.03);
  }
  EXPECT_NEAR(fit->factors.memory, truth.memory, 0.04);
  EXPECT_NEAR(fit->factors.matrix, truth.matrix, 0.04);
  for (const FitField& field : FitFields()) {
    EXPECT_GE(fit->factors.*field.value, field.low * (1 - 1e-12));
    EXPECT_LE(fit->factors.*field.value, field.high * (1 + 1e-12));
  }
}

TEST(Fit, NeedsRows) { EXPECT_FALSE(FitFactors({}, IdealEfficiency()).ok()); }

CalibratedEntry EntryOf(const char* machine, const char* stack, double memory, double low, double high) {
  CalibratedEntry entry;
  entry.machine = machine;
  entry.efficiency_class = "gpu-nvidia";
  entry.stack = stack;
  entry.efficiency = IdealEfficiency();
  entry.efficiency.memory = {.value = memory, .source = FieldSource::kDerived, .note = "", .low = low, .high = high};
  return entry;
}

TEST(ClassEntry, IsTheGeometricMeanOfTheOthersWithTheEndsOfAll) {
  const std::vector<CalibratedEntry> entries = {EntryOf("a", "s", 0.4, 0.3, 0.5), EntryOf("b", "s", 0.9, 0.8, 1),
                                                EntryOf("c", "s", 0.1, 0.1, 0.2), EntryOf("d", "t", 0.7, 0.6, 0.8)};
  const auto entry = ClassEntry(entries, "gpu-nvidia", "s", "c");
  ASSERT_TRUE(entry);
  EXPECT_NEAR(entry->efficiency.memory.value, 0.6, 1e-9);
  EXPECT_EQ(entry->efficiency.memory.low, 0.3);
  EXPECT_EQ(entry->efficiency.memory.high, 1);
  EXPECT_EQ(entry->machines, (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(ClassEntry(entries, "gpu-nvidia", "t", "d"));
  EXPECT_FALSE(ClassEntry(entries, "cpu", "s"));
}

TEST(CalibrationToml, IsReadBackAsWritten) {
  const std::vector<CalibratedEntry> entries = {EntryOf("a100-40gb", "s", 0.4321, 0.3, 0.5)};
  const Result<Json> toml = ParseToml(CalibrationToml(entries), "calibration.toml");
  ASSERT_TRUE(toml.ok()) << toml.error().message;
  const Json* factors = toml->Find("factors");
  ASSERT_NE(factors, nullptr);
  const Json& entry = factors->as_array()->at(0);
  EXPECT_EQ(*entry.Find("machine")->as_string(), "a100-40gb");
  EXPECT_EQ(*entry.Find("memory")->Find("value")->as_number(), 0.4321);
}

TEST(Cases, RowsThatCannotBeAskedAreCountedByReason) {
  std::vector<PublishedRow> rows(6, RowOf("llama-2-7b", 1, 128, 1));
  rows[1].machine = "";
  rows[2].shape = "";
  rows[3].recipe = "";
  rows[4].devices = 0;
  rows[5].metric = "power";  // no time gives it: not a question
  const Result<CaseList> list = CasesOf(rows);
  ASSERT_TRUE(list.ok());
  EXPECT_EQ(list->cases.size(), 1U);
  ASSERT_EQ(list->unmodelled.size(), 4U);
  EXPECT_EQ(list->unmodelled[2].reason, "formats not said");
}

TEST(Cases, ParallelismIsAsTheRowSays) {
  std::vector<PublishedRow> rows(4, RowOf("llama-2-7b", 1, 128, 4));
  rows[1].parallelism = "tp2 pp2";
  rows[2].parallelism = "tp2";  // of four devices
  rows[3].parallelism = "xp4";
  const Result<CaseList> list = CasesOf(rows);
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->cases.size(), 2U);
  EXPECT_EQ(list->cases[0].deployment.parallelism, (Parallelism{.tensor = 4}));
  EXPECT_EQ(list->cases[1].deployment.parallelism, (Parallelism{.tensor = 2, .pipeline = 2}));
  for (const UnmodelledRow& row : list->unmodelled) EXPECT_EQ(row.reason, "parallelism not said in full");
}

TEST(Cases, TheMetricIsTheRowsOwn) {
  PublishedRow row = RowOf("llama-2-7b", 8, 100, 1);
  ValidationCase question{.row = &row, .config = {}, .recipe = {}, .deployment = {}, .load = {8, 100, 100}};
  const InferenceTimes times{.ttft_s = 0.5, .decode_s = 2, .total_s = 2.5};
  EXPECT_DOUBLE_EQ(question.ValueAt(times), 8 * 200 / 2.5);
  row.metric = "output_throughput";
  EXPECT_DOUBLE_EQ(question.ValueAt(times), 8 * 100 / 2.5);
  row.metric = "prefill_throughput";
  EXPECT_DOUBLE_EQ(question.ValueAt(times), 8 * 100 / 0.5);
  EXPECT_TRUE(question.is_rate());
  row.metric = "tpot";
  EXPECT_DOUBLE_EQ(question.ValueAt(times), 2.0 / 99);
  EXPECT_FALSE(question.is_rate());
}

class Validated : public ::testing::Test {
 protected:
  static const Validation& Get() {
    static const Result<Validation> kValidation = Validate();
    EXPECT_TRUE(kValidation.ok()) << kValidation.error().message;
    return *kValidation;
  }
  static const Accuracy& OfMachine(const std::string& name) {
    for (const NamedAccuracy& machine : Get().machines) {
      if (machine.name == name) return machine.accuracy;
    }
    static const Accuracy kNone;
    ADD_FAILURE() << name << " has no rows";
    return kNone;
  }
};

TEST_F(Validated, NvidiaMachinesLieWithinTwelvePercent) {
  EXPECT_GT(OfMachine("a100-40gb").count, 500);
  EXPECT_LE(OfMachine("a100-40gb").mape, 0.12);
  EXPECT_LE(OfMachine("h100-sxm").mape, 0.12);
  EXPECT_LE(Get().class_mape.at("gpu-nvidia"), 0.12);
}

TEST_F(Validated, NvidiaMachinesLeftOutLieWithinTwentyPercent) {
  int checked = 0;
  for (const LeftOutMachine& left : Get().left_out) {
    if (left.machine != "a100-40gb" && left.machine != "h100-sxm") continue;
    ++checked;
    EXPECT_LE(left.known.mape, 0.2) << left.machine;
    EXPECT_LE(left.all.mape, 0.2) << left.machine;
    EXPECT_EQ(left.refused, 0) << left.machine;
    for (const std::string& teacher : left.teachers) EXPECT_NE(teacher, left.machine);
  }
  EXPECT_EQ(checked, 2);
}

TEST_F(Validated, RangesHoldTheRowsOfAmdAndIntel) {
  for (const char* machine : {"mi250", "mi300x", "max-1550"}) {
    EXPECT_GE(OfMachine(machine).inside, 0.8) << machine;
    EXPECT_GE(OfMachine(machine).spearman, 0.9) << machine;
  }
}

TEST_F(Validated, TheSurveyLiesWithinAFactorOfTwo) {
  int rows = 0, within = 0;
  for (const CheckedRow& one : Get().survey) {
    if (!one.row->caution.empty()) continue;
    ++rows;
    const bool inside = std::abs(std::log2(one.comparison.Ratio())) <= 1;
    within += inside ? 1 : 0;
    EXPECT_TRUE(inside || !one.reason.empty());
  }
  EXPECT_GT(rows, 0);
  EXPECT_GE(within, 0.8 * rows);
}

TEST_F(Validated, GpusOfTheNorthPolePaperLieWithinAQuarter) {
  EXPECT_EQ(Get().northpole.size(), 4U);
  for (const CheckedRow& one : Get().northpole) EXPECT_NEAR(one.comparison.Ratio(), 1, 0.25) << one.row->machine;
}

TEST_F(Validated, TrainingLiesWithinAFactorOfOneAndAHalfOrSaysWhyNot) {
  EXPECT_GE(Get().training.size(), 10U);
  for (const TrainingCheck& check : Get().training) {
    if (check.row->machine != "cs-2" && check.row->machine != "sn30") continue;
    const double ratio = check.comparison.Ratio();
    EXPECT_TRUE((ratio <= 1.5 && ratio >= 1 / 1.5) || !check.reason.empty()) << check.row->shape << " " << ratio;
  }
}

TEST_F(Validated, NoRowIsLost) {
  int rows = 0;
  for (const NamedAccuracy& machine : Get().machines) rows += machine.accuracy.count;
  for (const NamedAccuracy& group : Get().beside) rows += group.accuracy.count;
  for (const auto& [reason, count] : Get().unmodelled) rows += count;
  EXPECT_EQ(rows, Get().rows);
}

}  // namespace
}  // namespace lodestone::testing
