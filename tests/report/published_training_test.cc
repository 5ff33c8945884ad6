#include "report/published_training.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace lodestone {
namespace {

const PublishedTraining* FindSeries(const PublishedTrainingFile& all, const std::string& system,
                                    const std::string& model, int64_t sequence) {
  for (const PublishedTraining& series : all.series) {
    if (series.system == system && series.model == model && series.sequence == sequence) return &series;
  }
  return nullptr;
}

PublishedTrainingFile Catalog() {
  Result<PublishedTrainingFile> all = CatalogPublishedTraining();
  EXPECT_TRUE(all.ok()) << all.error().message;
  return all.ok() ? *all : PublishedTrainingFile{};
}

TEST(PublishedTraining, EfficienciesAreThoseOfTheStudy) {
  const PublishedTrainingFile all = Catalog();
  const PublishedTraining* polaris = FindSeries(all, "Polaris", "genslm-25m", 2048);
  ASSERT_NE(polaris, nullptr);
  EXPECT_EQ(polaris->Efficiency(0), 1);
  EXPECT_NEAR(polaris->Efficiency(polaris->points.size() - 1), 0.47, 0.005);
  const PublishedTraining* cs2 = FindSeries(all, "Cerebras CS-2", "genslm-25m", 10240);
  ASSERT_NE(cs2, nullptr);
  EXPECT_NEAR(cs2->Efficiency(2), 0.89, 0.005);
  const PublishedTraining* linear = FindSeries(all, "Cerebras CS-2", "genslm-250m", 10240);
  ASSERT_NE(linear, nullptr);
  EXPECT_DOUBLE_EQ(linear->Efficiency(2), 1);
}

TEST(PublishedTraining, RatesConvertOnlyWhereTheSequenceIsPrinted) {
  const PublishedTrainingFile all = Catalog();
  const PublishedTraining* bow = FindSeries(all, "Graphcore Bow-Pod64", "gpt2", 1024);
  ASSERT_NE(bow, nullptr);
  EXPECT_DOUBLE_EQ(*bow->SamplesPerSecond(0), 1059.7);
  EXPECT_NEAR(*bow->TokensPerSecond(0), 1.085e6, 500);
  const PublishedTraining* unknown = FindSeries(all, "Cerebras, FP16", "gpt2", 0);
  ASSERT_NE(unknown, nullptr);
  EXPECT_TRUE(unknown->SamplesPerSecond(0).has_value());
  EXPECT_FALSE(unknown->TokensPerSecond(0).has_value());
}

TEST(PublishedTraining, EverySeriesHasASourceAndWhatIsUnknownIsSaid) {
  const PublishedTrainingFile all = Catalog();
  EXPECT_GE(all.series.size(), 20u);
  for (const PublishedTraining& series : all.series) {
    EXPECT_FALSE(series.source.empty()) << series.system;
    EXPECT_FALSE(series.points.empty()) << series.system;
  }
  EXPECT_TRUE(std::any_of(all.unavailable.begin(), all.unavailable.end(),
                          [](const PublishedUnknown& unknown) { return unknown.model == "gpt2-xl"; }));
}

TEST(PublishedTraining, ASeriesIsTheRowsOfOneRunByAscendingDevices) {
  const std::string head = "source,system,device,shape,prompt_tokens,devices,metric,value,unit,caution,note\n";
  const auto read = [&](const std::string& lines) {
    const auto rows = ParsePublishedRows(head + lines, "p.csv");
    EXPECT_TRUE(rows.ok()) << rows.error().message;
    return TrainingSeriesOf(*rows);
  };
  const auto series = read(
      "s,x,d,m,8,2,training_throughput,10,,,first\n"
      "s,x,d,m,8,2,power,300,,,\n"
      "s,x,d,m,8,4,training_throughput,19,,slow,\n"
      "s,x,d,m,16,1,training_throughput,70,tokens/s,,\n");
  ASSERT_TRUE(series.ok()) << series.error().message;
  ASSERT_EQ(series->size(), 2u);
  EXPECT_EQ((*series)[0].points.size(), 2u);
  EXPECT_EQ((*series)[0].note, "first; 4 devices: slow");
  EXPECT_DOUBLE_EQ((*series)[0].Efficiency(1), 0.95);
  EXPECT_TRUE((*series)[1].tokens);
  EXPECT_EQ(*(*series)[1].SamplesPerSecond(0), 70.0 / 16);

  const auto descending = read("s,x,d,m,8,2,training_throughput,10,,,\ns,x,d,m,8,2,training_throughput,11,,,\n");
  ASSERT_FALSE(descending.ok());
  EXPECT_NE(descending.error().message.find("p.csv:3: column 'devices': found 2"), std::string::npos);
  EXPECT_FALSE(read("s,x,d,m,8,0,training_throughput,10,,,\n").ok());
}

TEST(PublishedSources, RefusesWithFileAndLine) {
  const std::string head = "kind = 'sources'\n";
  const auto refused = [&](const std::string& lines) {
    const Result<Json> toml = ParseToml(lines, "p.toml");
    EXPECT_TRUE(toml.ok());
    const auto file = ParsePublishedSources(*toml, "p.toml");
    return file.ok() ? std::string() : file.error().message;
  };
  const std::string one = "[[source]]\nkey = 'a'\ntitle = 't'\naddress = 'x'\nlicence = 'l'\n";
  EXPECT_EQ(refused(head), "");
  EXPECT_EQ(refused(head + one + "[[unavailable]]\nmodel = 'm'\nwhat = 'w'\n"), "");
  EXPECT_NE(refused("kind = 'hardware'\n").find("p.toml:1"), std::string::npos);
  EXPECT_NE(refused(head + one + one).find("'a' is given twice"), std::string::npos);
  EXPECT_NE(refused(head + one + "colour = 'red'\n").find("colour"), std::string::npos);
  EXPECT_NE(refused(head + "[[source]]\nkey = 'a'\n").find("title"), std::string::npos);
  EXPECT_NE(refused(head + "source = 3\n").find("expected tables [[source]]"), std::string::npos);
}

}  // namespace
}  // namespace lodestone
