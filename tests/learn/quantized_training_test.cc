// Training in integer formats: what it computes is what the engine computes, and it wins back what rounding loses.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "base/temporary_folder.h"
#include "hash_weights.h"
#include "learn/differentiator.h"
#include "learn/export.h"
#include "learn/optimizer.h"
#include "learn/run_model.h"
#include "learn/step_sizes.h"
#include "learn/training_model.h"
#include "test_models.h"

namespace lodestone::testing {
namespace {

constexpr const char* kRecipes[] = {"w4a4:static", "w8a8:static", "w4a8:static", "w4a8c8"};

// The model's tensors alone: step sizes are for training to find.
class WithoutSteps final : public WeightSource {
 public:
  explicit WithoutSteps(const WeightSource& base) : base_(base) {}
  Status ReadRow(const WeightId& id, int64_t row, std::span<float> out) const override {
    return IsStep(id.kind) ? NotFound("no steps here") : base_.ReadRow(id, row, out);
  }
  std::string Describe() const override { return base_.Describe(); }

 private:
  const WeightSource& base_;
};

struct Model {
  Model(const ModelConfig& model, const std::string& recipe, const WeightSource& weights, int thread_count = 1,
        DifferentiatorOptions options = {})
      : config(model),
        recipe_name(recipe),
        threads(thread_count),
        parameters(*Parameters::Make(config, *ParseRecipe(recipe))) {
    const Status loaded = parameters.Load(WithoutSteps(weights));
    EXPECT_TRUE(loaded.ok()) << loaded.error().message;
    auto made = Differentiator::Make(config, *ParseRecipe(recipe), parameters, threads, std::move(options));
    EXPECT_TRUE(made.ok()) << made.error().message;
    differentiator = *std::move(made);
  }

  void Train(const Batch& batch, int steps, const OptimizerSettings& settings, bool steps_only = false) {
    auto optimizer = AdamW::Make(parameters, settings);
    ASSERT_TRUE(optimizer.ok());
    for (int step = 0; step < steps; ++step) {
      parameters.ZeroGradients();
      const auto loss = differentiator->Accumulate(batch, 1.0F / static_cast<float>(batch.tokens.size()), {});
      ASSERT_TRUE(loss.ok()) << loss.error().message;
      for (const Parameter& p : parameters.list()) {
        if (!steps_only || p.role == ParameterRole::kActivationStep) continue;
        const std::span<float> gradients = parameters.gradients(p);
        std::fill(gradients.begin(), gradients.end(), 0.0F);
      }
      const auto report = optimizer->Step(parameters, step, steps, 1, threads);
      ASSERT_TRUE(report.ok()) << report.error().message;
    }
  }
  double Evaluate(const Batch& batch) {
    const auto loss = differentiator->Evaluate(batch);
    EXPECT_TRUE(loss.ok()) << loss.error().message;
    return loss->mean();
  }

  ModelConfig config;
  std::string recipe_name;
  ThreadPool threads;
  Parameters parameters;
  std::unique_ptr<Differentiator> differentiator;
};

OptimizerSettings Rate(double rate) {
  OptimizerSettings settings;
  settings.learning_rate = rate;
  settings.weight_decay = 0;
  return settings;
}

std::vector<ModelConfig> Configs() {
  std::vector<ModelConfig> configs = TrainingConfigs();
  configs[4].sliding_window = 40;  // within 100 positions, beyond a block of K and V
  return configs;
}

// What a config.json can say: heads that divide the width, no norms of heads beside Granite's multipliers.
ModelConfig Sayable(ModelConfig config) {
  config.layers = 2;
  config.hidden = config.heads * config.head_dim;
  config.qk_norm = false;
  config.attention_output_bias = config.qkv_bias;
  return config;
}

Batch OneSequence(std::span<const int32_t> tokens) {
  return {.sequences = 1, .length = static_cast<int>(tokens.size()), .tokens = tokens, .targets = tokens};
}

int32_t Greedy(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

TEST(QuantizedTraining, ForwardHasTheBitsOfTheEngine) {
  const HashWeights weights(5);
  for (const ModelConfig& config : Configs()) {
    const bool all = config.name == "tiny-llama";
    for (const char* recipe : std::span(kRecipes).first(all ? 4 : 2)) {
      Model model(config, recipe, weights, 2);
      model.Train(RandomBatch(1, 70, config.vocab).All(), 2, Rate(1e-3));
      ASSERT_TRUE(CheckStepSizes(model.parameters).ok());
      const std::vector<int32_t> tokens = RandomTokens(100, config.vocab, 9);
      const auto logits = model.differentiator->Logits(OneSequence(tokens));
      ASSERT_TRUE(logits.ok()) << logits.error().message;
      RunningModel engine(config, recipe, *SourceOf(model.parameters, config));
      EXPECT_EQ(*logits, engine.Logits(tokens)) << config.name << " " << recipe;
    }
  }
}

TEST(QuantizedTraining, ExportedCheckpointGeneratesTheTrainersTokens) {
  const HashWeights weights(5);
  for (const ModelConfig& config : {Sayable(TinyGranite()), Sayable(TinyNeoX())}) {  // tied and not
    const TemporaryFolder folder;
    Model model(config, "w4a4:static", weights, 2);
    model.Train(RandomBatch(1, 70, config.vocab).All(), 2, Rate(1e-3));
    const auto directory = folder.path() / "out";
    const Status exported =
        ExportQuantized(model.parameters, config, *ParseRecipe("w4a4:static"), {}, directory, model.threads);
    ASSERT_TRUE(exported.ok()) << exported.error().message;

    auto read = LoadModelConfig(directory.string());
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read->stored->recipe, "w4a4:static");
    EXPECT_EQ(read->stored->method, "lsq");
    const auto source = OpenCheckpoint(directory.string(), *read);
    ASSERT_TRUE(source.ok()) << source.error().message;
    RunningModel engine(*read, read->stored->recipe, **source);
    std::vector<int32_t> tokens = RandomTokens(60, config.vocab, 3);
    std::vector<float> decoded = engine.Logits(tokens);
    for (int i = 0; i < 10; ++i) {
      const auto trained = model.differentiator->Logits(OneSequence(tokens));
      ASSERT_TRUE(trained.ok());
      const auto vocab = static_cast<size_t>(config.vocab);
      const auto last = std::span(*trained).last(vocab);
      ASSERT_TRUE(std::equal(last.begin(), last.end(), decoded.end() - config.vocab)) << config.name << " " << i;
      tokens.push_back(Greedy(last));
      decoded = engine.Logits(std::span(tokens).last(1), static_cast<int>(tokens.size()) - 1);
    }
  }
}

TEST(QuantizedTraining, ExportRefusesWhatWasNeverTrained) {
  const HashWeights weights(5);
  const TemporaryFolder folder;
  Model model(TinyLlama(), "w4a4:static", weights);
  const auto directory = folder.path() / "out";
  const Status untrained =
      ExportQuantized(model.parameters, model.config, *ParseRecipe("w4a4:static"), {}, directory, model.threads);
  ASSERT_FALSE(untrained.ok());
  EXPECT_NE(untrained.error().message.find("never trained"), std::string::npos) << untrained.error().message;
  const Status plain =
      ExportQuantized(model.parameters, model.config, *ParseRecipe("bf16"), {}, directory, model.threads);
  ASSERT_FALSE(plain.ok());
  EXPECT_NE(plain.error().message.find("bf16"), std::string::npos);
  EXPECT_EQ(folder.FileCount(), 0U);
}

TEST(QuantizedTraining, FloatExportOpensAsTheModel) {
  const HashWeights weights(5);
  const TemporaryFolder folder;
  Model model(Sayable(TinyGpt2()), "f32", weights);
  const auto directory = folder.path() / "out";
  const Status exported = ExportHuggingFace(model.parameters, model.config, Code::kF32, {}, directory);
  ASSERT_TRUE(exported.ok()) << exported.error().message;
  const auto read = LoadModelConfig(directory.string());
  ASSERT_TRUE(read.ok()) << read.error().message;
  const auto source = OpenCheckpoint(directory.string(), *read);
  ASSERT_TRUE(source.ok()) << source.error().message;
  const std::vector<int32_t> tokens = RandomTokens(20, model.config.vocab, 3);
  EXPECT_EQ(RunningModel(*read, "f32", **source).Logits(tokens),
            RunningModel(model.config, "f32", *SourceOf(model.parameters, model.config)).Logits(tokens));
  EXPECT_FALSE(ExportHuggingFace(model.parameters, model.config, Code::kF32, {}, directory).ok());  // exists
}

TEST(QuantizedTraining, GradientsDoNotDependOnThreadsNorOnRecomputing) {
  const HashWeights weights(5);
  const RandomBatch random(3, 70, 50);
  for (const ModelConfig& config : Configs()) {
    std::vector<float> expected;
    for (const auto& [threads, recompute] : {std::pair(1, false), {2, false}, {3, false}, {2, true}}) {
      Model model(config, "w4a4:static", weights, threads, {.recompute = recompute});
      const auto loss = model.differentiator->Accumulate(random.All(), 0.5F, {});
      ASSERT_TRUE(loss.ok()) << loss.error().message;
      const std::span<const float> all = model.parameters.all_gradients();
      const std::vector<float> gradients(all.begin(), all.end());
      if (expected.empty()) expected = gradients;
      EXPECT_EQ(gradients, expected) << config.name << " " << threads << " threads" << (recompute ? ", again" : "");
    }
  }
}

// At eight bits rounding is small, so its gradients must lie near those of the model without rounding: each tensor's.
TEST(QuantizedTraining, GradientsAtEightBitsAreNearThoseOfFullPrecision) {
  const HashWeights weights(5);
  for (const ModelConfig& config : Configs()) {
    const RandomBatch random(4, 70, config.vocab);
    Model rounded(config, "w8a8:static", weights), exact(config, "f32", weights);
    ASSERT_TRUE(rounded.differentiator->Accumulate(random.All(), 1, {}).ok());
    ASSERT_TRUE(exact.differentiator->Accumulate(random.All(), 1, {}).ok());
    for (const Parameter& p : exact.parameters.list()) {
      const std::span<const float> a = exact.parameters.gradients(p);
      const std::span<const float> b =
          rounded.parameters.gradients(*rounded.parameters.Find(p.id, ParameterRole::kTensor));
      double aa = 0, bb = 0, ab = 0;
      for (size_t i = 0; i < a.size(); ++i) {
        aa += double{a[i]} * double{a[i]};
        bb += double{b[i]} * double{b[i]};
        ab += double{a[i]} * double{b[i]};
      }
      // The bias of K has no gradient but through rounding errors: it adds the same to every score of a query.
      if (p.id.kind == WeightKind::kKBias) continue;
      EXPECT_GT(ab / std::sqrt(aa * bb), 0.9) << config.name << " " << ToString(p.id);
      EXPECT_NEAR(std::sqrt(bb / aa), 1, 0.2) << config.name << " " << ToString(p.id);
    }
  }
}

// Sequences that a small model learns: the next token is a fixed function of the last two.
RandomBatch Lessons(int sequences, int length, int vocab, uint64_t seed) {
  RandomBatch batch(sequences, length, vocab, seed);
  std::vector<int32_t>&tokens = batch.tokens(), &targets = batch.targets();
  const auto next = [&](int32_t a, int32_t b) { return (3 * a + b + 1) % vocab; };
  for (int s = 0; s < sequences; ++s) {
    for (int i = s * length; i < (s + 1) * length; ++i) {
      const bool second = i - s * length >= 2;
      if (second) tokens[i] = next(tokens[i - 1], tokens[i - 2]);
      targets[i] = i - s * length >= 1 ? next(tokens[i], tokens[i - 1]) : -1;
    }
  }
  return batch;
}

// Full-precision training of a small model, once for all tests of the suite.
class Taught : public ::testing::Test {
 protected:
  static ModelConfig Config() {
    ModelConfig config = TinyLlama();
    config.layers = 2;
    config.hidden = 32;
    config.ffn = 48;
    config.heads = 2;
    config.kv_heads = 1;
    config.vocab = 12;
    return config;
  }
  static void SetUpTestSuite() {
    teacher_ = std::make_unique<Model>(Config(), "f32", HashWeights(5));
    teacher_->Train(lessons_->All(), 150, Rate(5e-3));
  }
  static void TearDownTestSuite() { teacher_.reset(); }

  // The same model in integers, its step sizes found by its first loss.
  static std::unique_ptr<Model> Pupil(const std::string& recipe) {
    return std::make_unique<Model>(Config(), recipe, *SourceOf(teacher_->parameters, Config()));
  }

  static inline const std::unique_ptr<RandomBatch> lessons_ =
      std::make_unique<RandomBatch>(Lessons(12, 12, Config().vocab, 1));
  static inline std::unique_ptr<Model> teacher_;
};

TEST_F(Taught, WinsBackMostOfWhatRoundingLoses) {
  const double exact = teacher_->Evaluate(lessons_->All());
  const auto pupil = Pupil("w4a4:static");
  const double rounded = pupil->Evaluate(lessons_->All());
  pupil->Train(lessons_->All(), 100, Rate(1e-3));
  const double trained = pupil->Evaluate(lessons_->All());
  ASSERT_GT(rounded, exact + 0.02);
  EXPECT_LT(trained, exact + 0.4 * (rounded - exact)) << exact << " → " << rounded << " → " << trained;
  EXPECT_TRUE(CheckStepSizes(pupil->parameters).ok());
}

TEST_F(Taught, StepSizesAloneFindTheirWayBack) {
  const auto pupil = Pupil("w8a8:static");
  const double rounded = pupil->Evaluate(lessons_->All());
  for (const Parameter& p : pupil->parameters.list()) {
    if (p.role == ParameterRole::kActivationStep) pupil->parameters.values(p)[0] /= 4;  // clips most of what it meets
  }
  const double spoilt = pupil->Evaluate(lessons_->All());
  ASSERT_GT(spoilt, rounded + 0.2);
  OptimizerSettings settings = Rate(2e-3);
  settings.step_rate_factor = 20;
  settings.step_rate_steps = 60;
  pupil->Train(lessons_->All(), 60, settings, true);
  const double trained = pupil->Evaluate(lessons_->All());
  EXPECT_LT(trained, rounded + 0.5 * (spoilt - rounded)) << rounded << " → " << spoilt << " → " << trained;
  EXPECT_TRUE(CheckStepSizes(pupil->parameters).ok());
}

// The NorthPole paper's warm-up of activation steps.
TEST_F(Taught, StepSizesMayLearnTwoHundredTimesAsFast) {
  const double exact = teacher_->Evaluate(lessons_->All());
  const auto pupil = Pupil("w4a4:static");
  const double rounded = pupil->Evaluate(lessons_->All());
  OptimizerSettings settings = Rate(1e-3);
  settings.step_rate_factor = 200;
  settings.step_rate_steps = 250;
  pupil->Train(lessons_->All(), 100, settings);
  const double trained = pupil->Evaluate(lessons_->All());
  EXPECT_LT(trained, exact + 0.4 * (rounded - exact)) << exact << " → " << rounded << " → " << trained;
}

TEST_F(Taught, DistillationPullsTowardsTheTeacher) {
  const auto pupil = Pupil("w4a4:static");
  const auto distance = [&] {
    const auto exact = teacher_->differentiator->Logits(lessons_->All());
    const auto rounded = pupil->differentiator->Logits(lessons_->All());
    return Divergence(*exact, *rounded, static_cast<size_t>(Config().vocab));
  };
  const double before = distance();
  const Status distils = pupil->differentiator->DistillFrom(*teacher_->differentiator, 1, 2);
  ASSERT_TRUE(distils.ok()) << distils.error().message;
  pupil->Train(lessons_->All(), 50, Rate(1e-3));
  EXPECT_LT(distance(), 0.5 * before) << before << " → " << distance();
}

TEST(QuantizedTraining, RefusesRecipesWithoutTrainableSteps) {
  const ModelConfig config = TinyLlama();
  ThreadPool threads(1);
  const auto message = [&](const std::string& recipe) {
    auto parameters = Parameters::Make(config, *ParseRecipe(recipe));
    if (!parameters.ok()) return parameters.error().message;
    auto made = Differentiator::Make(config, *ParseRecipe(recipe), *parameters, threads);
    return made.ok() ? "accepted" : made.error().message;
  };
  EXPECT_NE(message("w4a4").find("w4a4:static"), std::string::npos) << message("w4a4");
  EXPECT_NE(message("w4a8c8:dynamic").find("w4a8c8:static"), std::string::npos);
  EXPECT_NE(message("w4a16").find("lodestone quantize"), std::string::npos) << message("w4a16");
  EXPECT_NE(message("w4a8:g64:static").find("g64"), std::string::npos) << message("w4a8:g64:static");
  EXPECT_NE(message("w2a8:static").find("2-bit"), std::string::npos) << message("w2a8:static");
  EXPECT_NE(message("w4a8:static:kv4").find("estimated, not computed"), std::string::npos)
      << message("w4a8:static:kv4");
  EXPECT_EQ(message("w8a8:static"), "accepted");
}

TEST(QuantizedTraining, RefusesExperts) {
  ThreadPool threads(1);
  auto parameters = Parameters::Make(TinyMixtral(), *ParseRecipe("f32"));
  ASSERT_TRUE(parameters.ok());
  const auto made = Differentiator::Make(TinyMixtral(), *ParseRecipe("f32"), *parameters, threads);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(made.error().message.find("mixture of experts cannot be trained"), std::string::npos);
}

}  // namespace
}  // namespace lodestone::testing
