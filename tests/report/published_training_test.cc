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

TEST(PublishedTraining, RefusesWithFileAndLine) {
  const std::string head = "kind = 'training'\ntitle = 't'\nsource = 's'\n[[series]]\nsystem = 'x'\ndevice = 'd'\n";
  const std::string rest = "model = 'm'\nsequence = 8\nunit = 'samples/s'\nevidence = 'quoted'\n";
  const auto refused = [&](const std::string& lines) {
    const Result<Json> toml = ParseToml(head + rest + lines, "p.toml");
    EXPECT_TRUE(toml.ok());
    const Result<PublishedTrainingFile> file = ParsePublishedTraining(*toml, "p.toml");
    return file.ok() ? std::string() : file.error().message;
  };
  EXPECT_EQ(refused("devices = [1, 2]\nrates = [1.0, 2]\n"), "");
  EXPECT_NE(refused("devices = [1]\nrates = [1.0, 2]\n").find("p.toml:12: key 'series[0].rates'"), std::string::npos)
      << refused("devices = [1]\nrates = [1.0, 2]\n");
  EXPECT_NE(refused("devices = [2, 1]\nrates = [1.0, 2]\n").find("ascending"), std::string::npos);
  EXPECT_NE(refused("devices = [1]\nrates = [-1]\n").find("positive"), std::string::npos);
  EXPECT_NE(refused("devices = [1]\nrates = [1]\ncolour = 'red'\n").find("colour"), std::string::npos);
  EXPECT_NE(refused("").find("devices"), std::string::npos);
}

}  // namespace
}  // namespace lodestone
