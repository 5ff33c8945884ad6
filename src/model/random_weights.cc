#include <fmt/format.h>

#include "base/split_mix.h"
#include "model/weight_source.h"

namespace lodestone {
namespace {

// Mean of the sum of four 16-bit words, and the factor that makes its standard deviation 0.02. A word's variance is
// (2^32 − 1) / 12, the sum's four times that, so its standard deviation is 2^16 / √3 = 37837.2 to six digits.
constexpr int32_t kMean = 2 * 65535;
constexpr double kWordSumDeviation = 37837.22697;
constexpr auto kScale = static_cast<float>(0.02 / kWordSumDeviation);

// One multiply-and-shift hash a value, no division, no table, no branch: some 5 cycles.
float Gaussian(uint64_t counter) {
  constexpr uint64_t kEvenWords = 0x0000ffff0000ffff;
  const uint64_t hash = SplitMixFinal(counter);
  const uint64_t pairs = (hash & kEvenWords) + ((hash >> 16) & kEvenWords);
  const auto sum = static_cast<int32_t>((pairs & 0xffffffff) + (pairs >> 32));
  return static_cast<float>(sum - kMean) * kScale;  // the difference is exact: below 2^24
}

bool IsNorm(WeightKind kind) {
  return kind == WeightKind::kAttentionNorm || kind == WeightKind::kMlpNorm || kind == WeightKind::kFinalNorm ||
         kind == WeightKind::kQNorm || kind == WeightKind::kKNorm;
}

class Random final : public WeightSource {
 public:
  Random(const ModelConfig& config, uint64_t seed) : config_(config), seed_(seed) {}

  Status ReadRow(const WeightId& asked, int64_t row, std::span<float> out) const override {
    WeightId id = asked;
    if (id.kind == WeightKind::kOutput && config_.tied_embeddings) id.kind = WeightKind::kEmbedding;
    const WeightShape shape = ShapeOf(config_, id);
    if (shape.rows == 0 || IsStep(id.kind)) {
      return NotFound(fmt::format("{}: there is no {}", Describe(), ToString(asked)));
    }
    if (row < 0 || row >= shape.rows || static_cast<int64_t>(out.size()) != shape.columns) {
      return Invalid(fmt::format("{}: {} is {} × {}: cannot read row {} into {} values", Describe(), ToString(asked),
                                 shape.rows, shape.columns, row, out.size()));
    }
    if (shape.rows == 1) {
      for (float& value : out) value = IsNorm(id.kind) ? 1.0f : 0.0f;
      return {};
    }
    // A stream a tensor: its start is a hash of seed, kind and layer, so that streams do not overlap in practice.
    const uint64_t tensor =
        SplitMixFinal(Mix(seed_) + (static_cast<uint64_t>(id.layer + 1) << 8 | static_cast<uint64_t>(id.kind)));
    uint64_t counter = tensor + static_cast<uint64_t>(row * shape.columns) * kSplitMixGamma;
    for (float& value : out) {
      value = Gaussian(counter);
      counter += kSplitMixGamma;
    }
    return {};
  }

  std::string Describe() const override { return fmt::format("random weights, seed {}", seed_); }

 private:
  ModelConfig config_;
  uint64_t seed_;
};

}  // namespace

std::unique_ptr<WeightSource> RandomWeights(const ModelConfig& config, uint64_t seed) {
  return std::make_unique<Random>(config, seed);
}

}  // namespace lodestone
