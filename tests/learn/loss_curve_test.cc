// Whole runs: the curve of the loss against PyTorch's from the same weights, batches and schedule (torch_training.py),
// against other orders of the data, and in bf16.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/temporary_folder.h"
#include "learn/torch_models.h"
#include "learn/trainer.h"
#include "learn/training_model.h"
#include "numerics/rounding.h"

namespace lodestone::testing {
namespace {

constexpr int64_t kSteps = 200;
constexpr int kLength = 16, kMicroBatch = 2, kAccumulation = 2, kSequencesAStep = kMicroBatch * kAccumulation;
constexpr int64_t kSequences = kSteps * kSequencesAStep;
constexpr size_t kWindow = 20;  // steps over which curves are averaged

using Curve = std::vector<double>;  // nats a token, by step

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  int Below(int bound) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<int>((state_ >> 33) % static_cast<uint64_t>(bound));
  }

 private:
  uint64_t state_;
};

// A row to learn from, read once by a run: each id has four successors, and one in eight is any id.
std::unique_ptr<TokenData> LearnableRow(int vocab) {
  Random random(1);
  std::vector<int32_t> ids = {0};
  while (static_cast<int64_t>(ids.size()) <= kSequences * kLength) {
    const int successor = (7 * ids.back() + 1 + 3 * random.Below(4)) % vocab;
    ids.push_back(random.Below(8) == 0 ? random.Below(vocab) : successor);
  }
  return HeldTokens(std::move(ids), 0, "a made-up row of ids");
}

std::vector<ModelConfig> Families() {
  std::vector<ModelConfig> configs = {TinyGpt2(), TinyLlama()};
  for (ModelConfig& config : configs) config.layers = 1;
  return configs;
}

struct Setting {
  ModelConfig config;
  std::string recipe = "f32";
  uint64_t order = 1;         // seed of the sequences' order
  uint64_t perturbation = 0;  // seed of what is done to the initial weights; 0: nothing
  bool f32_masters = true;    // otherwise weights are rounded to bf16 after each update
  // The norm that gradients are cut to lies within the range of their norms.
  OptimizerSettings optimizer = {.learning_rate = 3e-3, .clip_norm = 2, .warmup_steps = 20};
};

// 16 units in the last place of a weight. About sqrt(K) of them is what a sum of K products (K ≤ 80 here) in another
// order differs by.
constexpr float kPerturbation = 0x1p-20F;

Curve Train(const Setting& setting) {
  TrainingModel model(setting.config, setting.recipe);
  const std::span<float> values = model.parameters.all_values();
  if (setting.perturbation != 0) {
    Random random(setting.perturbation);
    for (float& value : values) value *= random.Below(2) == 0 ? 1 - kPerturbation : 1 + kPerturbation;
  }
  const std::unique_ptr<TokenData> row = LearnableRow(setting.config.vocab);
  const BatchOrder order = *BatchOrder::Make(*row, kLength, setting.order);
  const std::unique_ptr<Reducer> alone = SingleRank();
  const auto trainer = *Trainer::Make({.differentiator = model.differentiator.get(),
                                       .parameters = &model.parameters,
                                       .order = &order,
                                       .reducer = alone.get(),
                                       .threads = &model.threads},
                                      {.steps = kSteps,
                                       .sequences_a_step = kSequencesAStep,
                                       .micro_batch = kMicroBatch,
                                       .optimizer = setting.optimizer});
  Curve losses;
  for (int64_t step = 0; step < kSteps; ++step) {
    const auto report = trainer->Step(false);
    EXPECT_TRUE(report.ok()) << report.error().message;
    if (!report.ok()) break;
    losses.push_back(report->loss);
    if (setting.f32_masters) continue;
    for (float& value : values) value = Bf16ToFloat(FloatToBf16(value));
  }
  return losses;
}

Curve Smoothed(const Curve& curve) {
  Curve means;
  for (size_t end = kWindow; end <= curve.size(); ++end) {
    double sum = 0;
    for (size_t i = end - kWindow; i < end; ++i) sum += curve[i];
    means.push_back(sum / kWindow);
  }
  return means;
}

double LargestDifference(const Curve& a, const Curve& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

double LargestRelativeDifference(const Curve& a, const Curve& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]) / b[i]);
  return largest;
}

// How far rounding may take two runs apart by each step: as far as runs have gone whose initial weights were perturbed,
// and the rounding of the loss itself, which PyTorch sums in f32.
Curve RoundingBound(const Setting& setting, const Curve& curve) {
  constexpr double kLossRounding = 8 * 0x1p-24;  // exp, sum, log, mean; two micro-batches
  Curve bound(curve.size());
  for (const uint64_t seed : {1, 2}) {
    Setting perturbed = setting;
    perturbed.perturbation = seed;
    const Curve other = Train(perturbed);
    double furthest = 0;
    for (size_t i = 0; i < curve.size(); ++i) {
      furthest = std::max(furthest, std::abs(other[i] - curve[i]));
      bound[i] = std::max(bound[i], furthest + kLossRounding * curve[i]);
    }
  }
  return bound;
}

std::optional<size_t> FirstBeyond(const Curve& bound, const Curve& a, const Curve& b) {
  for (size_t i = 0; i < bound.size(); ++i) {
    if (!(std::abs(a[i] - b[i]) <= bound[i])) return i;
  }
  return std::nullopt;
}

std::filesystem::path WriteForTorch(const Setting& setting, const std::filesystem::path& parent) {
  const TrainingModel model(setting.config, setting.recipe);
  const std::unique_ptr<TokenData> row = LearnableRow(setting.config.vocab);
  const BatchOrder order = *BatchOrder::Make(*row, kLength, setting.order);
  std::vector<int32_t> tokens(kSequences * kLength), targets(tokens.size());
  for (int64_t i = 0; i < kSequences; ++i) {
    const auto at = static_cast<size_t>(i * kLength);
    order.Read(i, std::span(tokens).subspan(at, kLength), std::span(targets).subspan(at, kLength));
  }
  const Batch batch{.sequences = kSequences, .length = kLength, .tokens = tokens, .targets = targets};
  const OptimizerSettings& o = setting.optimizer;
  Json training;
  training.Set("steps", kSteps).Set("micro_batch", kMicroBatch).Set("accumulation", kAccumulation);
  training.Set("learning_rate", o.learning_rate).Set("beta1", o.beta1).Set("beta2", o.beta2).Set("eps", o.eps);
  training.Set("weight_decay", o.weight_decay).Set("clip_norm", o.clip_norm);
  training.Set("warmup_steps", o.warmup_steps).Set("final_fraction", o.final_fraction);
  Json json = TorchModel(setting.config, model.parameters, batch);
  json.Set("training", std::move(training));
  const std::filesystem::path path = parent / setting.config.name;
  WriteTorchFolder(path, json, model.parameters.all_values());
  return path;
}

TEST(LossCurve, IsPyTorchsToRounding) {
  const TemporaryFolder folder;
  std::vector<std::filesystem::path> folders;
  for (const ModelConfig& config : Families()) folders.push_back(WriteForTorch({.config = config}, folder.path()));
  if (!RunTorch("torch_training.py", folders)) GTEST_SKIP() << kNoTorch;

  struct Mistake {
    const char* name;
    double OptimizerSettings::*member;
    double value;
  };
  const Mistake mistakes[] = {{"eps", &OptimizerSettings::eps, 1e-7},
                              {"beta2", &OptimizerSettings::beta2, 0.951},
                              {"weight decay", &OptimizerSettings::weight_decay, 0.101},
                              {"norm of clipping", &OptimizerSettings::clip_norm, 2.02}};
  for (const ModelConfig& config : Families()) {
    SCOPED_TRACE(config.name);
    const Setting setting{.config = config};
    const Curve ours = Train(setting), torch = ReadReals<double>(folder.path() / config.name / "losses.f64");
    ASSERT_EQ(ours.size(), torch.size());
    EXPECT_LT(Smoothed(ours).back(), 0.75 * ours.front()) << "nothing is learnt, so nothing is compared";

    const Curve bound = RoundingBound(setting, ours);
    if (const std::optional<size_t> i = FirstBeyond(bound, ours, torch)) {
      ADD_FAILURE() << "step " << *i + 1 << ": " << ours[*i] << ", PyTorch's " << torch[*i] << ", bound " << bound[*i];
    }
    // The least of what another order of the data makes of the curve, which is what a change of a seed does.
    double noise = INFINITY;
    for (const uint64_t order : {2, 3, 4}) {
      Setting other = setting;
      other.order = order;
      noise = std::min(noise, LargestDifference(Smoothed(Train(other)), Smoothed(ours)));
    }
    EXPECT_LE(LargestDifference(Smoothed(torch), Smoothed(ours)), noise);

    // That the bound is narrow enough to tell small mistakes in the update.
    for (const auto& [what, member, value] : mistakes) {
      Setting wrong = setting;
      wrong.optimizer.*member = value;
      const Curve curve = Train(wrong);
      EXPECT_TRUE(FirstBeyond(bound, curve, torch)) << what;
    }
  }
}

TEST(LossCurve, OfBf16IsWithinOneHundredthOfF32s) {
  for (const ModelConfig& config : Families()) {
    SCOPED_TRACE(config.name);
    const Curve f32 = Train({.config = config}), bf16 = Train({.config = config, .recipe = "bf16"});
    EXPECT_NE(f32.front(), bf16.front());
    EXPECT_LE(LargestRelativeDifference(Smoothed(bf16), Smoothed(f32)), 0.01);
    // What the width is for: without f32 masters, the small updates of the schedule's end are lost.
    const Curve lost = Train({.config = config, .recipe = "bf16", .f32_masters = false});
    EXPECT_GT(LargestRelativeDifference(Smoothed(lost), Smoothed(f32)), 0.01);
  }
}

}  // namespace
}  // namespace lodestone::testing
