// Logits and gradients of the three families against PyTorch's autograd on the same weights (torch_models.py).
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "base/temporary_folder.h"
#include "learn/torch_models.h"
#include "learn/training_model.h"

namespace lodestone {
namespace {

using testing::RandomBatch;
using testing::ReadReals;
using testing::TemporaryFolder;
using testing::TrainingModel;

// Both sides round in f32, each in an order of its own: errors of some tens of units in the last place of the largest
// values, which the norm of the whole measures.
void ExpectClose(std::span<const float> actual, std::span<const float> expected, double scale,
                 const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  size_t worst = 0;
  double difference = 0, norm = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double d = std::abs(double{actual[i]} - double{expected[i]});
    if (!(d <= std::abs(double{actual[worst]} - double{expected[worst]}))) worst = i;
    difference += d * d;
    norm += double{expected[i]} * double{expected[i]};
  }
  ASSERT_GT(norm, 0) << what;
  EXPECT_LE(std::sqrt(difference), 64 * 0x1p-24 * std::max(std::sqrt(norm), scale))
      << what << ": worst at " << worst << ", " << actual[worst] << " instead of " << expected[worst];
}

TEST(TorchTest, LogitsAndGradientsAreThoseOfPyTorch) {
  const std::vector<ModelConfig> configs = testing::TrainingConfigs();
  const TemporaryFolder folder;
  std::vector<std::filesystem::path> folders;
  for (const ModelConfig& config : configs) {
    const TrainingModel model(config, "f32");
    const RandomBatch random(2, 11, config.vocab);
    folders.push_back(folder.path() / config.name);
    testing::WriteTorchFolder(folders.back(), testing::TorchModel(config, model.parameters, random.All()),
                              model.parameters.all_values());
  }
  if (!testing::RunTorch("torch_models.py", folders)) GTEST_SKIP() << testing::kNoTorch;

  for (const ModelConfig& config : configs) {
    TrainingModel model(config, "f32", 2);
    const RandomBatch random(2, 11, config.vocab);
    ExpectClose(*model.differentiator->Logits(random.All()),
                ReadReals<float>(folder.path() / config.name / "logits.f32"), 0, config.name + " logits");
    const std::vector<float> actual = model.Gradients(random.All());
    const std::vector<float> expected = ReadReals<float>(folder.path() / config.name / "gradients.f32");
    ASSERT_EQ(actual.size(), expected.size());
    double squares = 0;
    for (const float gradient : expected) squares += double{gradient} * double{gradient};
    for (const Parameter& p : model.parameters.list()) {
      // What cancels to (nearly) nothing, as gradients of key biases do, has the errors of its terms.
      ExpectClose(std::span(actual).subspan(p.offset, p.count()), std::span(expected).subspan(p.offset, p.count()),
                  std::sqrt(squares) / 256, config.name + " " + ToString(p.id));
    }
  }
}

}  // namespace
}  // namespace lodestone
