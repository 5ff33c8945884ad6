#include "learn/rotate.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "learn/rotation.h"

namespace lodestone {
namespace {

constexpr size_t kKeptMatrices = 8;
constexpr int kStrip = 32;  // columns that are rotated side by side: 32 × 4096 rows of f64 are 1 MB

// A matrix whose every row needs all rows of the original.
struct WholeMatrix {
  WeightId id;
  std::once_flag once;
  Status status;
  std::vector<float> values;
};

class Rotated final : public WeightSource {
 public:
  Rotated(const WeightSource& source, const ModelConfig& config, uint64_t seed, Rotation stream, Rotation head)
      : source_(source),
        config_(config),
        rotated_config_(RotatedConfig(config)),
        seed_(seed),
        stream_(std::move(stream)),
        head_(std::move(head)) {}

  Status ReadRow(const WeightId& id, int64_t row, std::span<float> out) const override {
    const WeightShape shape = ShapeOf(rotated_config_, id);
    if (shape.rows == 0 || IsStep(id.kind)) {
      return NotFound(fmt::format("{}: there is no {}", Describe(), ToString(id)));
    }
    if (row < 0 || row >= shape.rows || static_cast<int64_t>(out.size()) != shape.columns) {
      return Invalid(fmt::format("{}: {} is {} × {}: cannot read row {} into {} values", Describe(), ToString(id),
                                 shape.rows, shape.columns, row, out.size()));
    }
    switch (id.kind) {
      case WeightKind::kAttentionNorm:
      case WeightKind::kMlpNorm:
      case WeightKind::kFinalNorm:
        std::fill(out.begin(), out.end(), 1.0f);
        return {};
      case WeightKind::kV:
      case WeightKind::kO:
      case WeightKind::kDown:
        return ReadWholeRow(id, row, out);
      default:
        return ReadInputSide(id, row, out);
    }
  }

  std::string Describe() const override { return fmt::format("{}, rotated with seed {}", source_.Describe(), seed_); }

 private:
  // A row after what touches its inputs alone, which for a bias or an embedding is the stream or the heads.
  Status ReadInputSide(const WeightId& id, int64_t row, std::span<float> out) const {
    WeightId original = id;
    if (id.kind == WeightKind::kOutput && config_.tied_embeddings) original.kind = WeightKind::kEmbedding;
    LODESTONE_RETURN_IF_ERROR(source_.ReadRow(original, row, out));
    switch (id.kind) {
      case WeightKind::kQ:
      case WeightKind::kK:
      case WeightKind::kV:
        return FoldAndRotate({WeightKind::kAttentionNorm, id.layer}, out);
      case WeightKind::kGate:
      case WeightKind::kUp:
        return FoldAndRotate({WeightKind::kMlpNorm, id.layer}, out);
      case WeightKind::kOutput:
        return FoldAndRotate({WeightKind::kFinalNorm, -1}, out);
      case WeightKind::kEmbedding:
      case WeightKind::kPositions:
      case WeightKind::kOBias:
      case WeightKind::kDownBias:
        stream_.Apply(out);
        return {};
      case WeightKind::kO:
      case WeightKind::kVBias:
        for (size_t at = 0; at < out.size(); at += head_.size()) head_.Apply(out.subspan(at, head_.size()));
        return {};
      default:  // other biases, norms of Q and K
        return {};
    }
  }

  Status FoldAndRotate(const WeightId& norm, std::span<float> row) const {
    std::vector<float> gain(row.size());
    LODESTONE_RETURN_IF_ERROR(source_.ReadRow(norm, 0, gain));
    std::vector<double> wide(row.size());
    for (size_t i = 0; i < row.size(); ++i) wide[i] = double{row[i]} * double{gain[i]};
    stream_.Apply(wide, 1);
    for (size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>(wide[i]);
    return {};
  }

  Status ReadWholeRow(const WeightId& id, int64_t row, std::span<float> out) const {
    const std::shared_ptr<WholeMatrix> matrix = Kept(id);
    std::call_once(matrix->once, [&] { matrix->status = Build(*matrix); });
    LODESTONE_RETURN_IF_ERROR(matrix->status);
    std::copy_n(matrix->values.begin() + row * static_cast<int64_t>(out.size()), out.size(), out.begin());
    return {};
  }

  std::shared_ptr<WholeMatrix> Kept(const WeightId& id) const {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const auto& matrix) { return matrix->id == id; });
    if (found != kept_.end()) {
      kept_.splice(kept_.begin(), kept_, found);
    } else {
      kept_.push_front(std::make_shared<WholeMatrix>());
      kept_.front()->id = id;
      if (kept_.size() > kKeptMatrices) kept_.pop_back();
    }
    return kept_.front();
  }

  Status Build(WholeMatrix& matrix) const {
    const WeightShape shape = ShapeOf(rotated_config_, matrix.id);
    matrix.values.resize(static_cast<size_t>(shape.rows * shape.columns));
    const std::span<float> values(matrix.values);
    for (int64_t row = 0; row < shape.rows; ++row) {
      LODESTONE_RETURN_IF_ERROR(ReadInputSide(matrix.id, row, values.subspan(row * shape.columns, shape.columns)));
    }
    const Rotation& rotation = matrix.id.kind == WeightKind::kV ? head_ : stream_;
    for (int64_t row = 0; row < shape.rows; row += rotation.size()) {
      RotateColumns(rotation, values.subspan(row * shape.columns, rotation.size() * shape.columns), shape.columns);
    }
    return {};
  }

  // Rᵀ M of M[n][columns]: each column, seen as a row vector, times R.
  static void RotateColumns(const Rotation& rotation, std::span<float> m, int64_t columns) {
    const int64_t n = rotation.size();
    std::vector<double> strip;
    for (int64_t first = 0; first < columns; first += kStrip) {
      const int64_t width = std::min<int64_t>(kStrip, columns - first);
      strip.resize(static_cast<size_t>(n * width));
      for (int64_t i = 0; i < n; ++i) std::copy_n(m.begin() + i * columns + first, width, strip.begin() + i * width);
      rotation.Apply(strip, static_cast<int>(width));
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t c = 0; c < width; ++c) m[i * columns + first + c] = static_cast<float>(strip[i * width + c]);
      }
    }
  }

  const WeightSource& source_;
  ModelConfig config_, rotated_config_;
  uint64_t seed_;
  Rotation stream_, head_;  // R₁ and R₂
  mutable std::mutex mutex_;
  mutable std::list<std::shared_ptr<WholeMatrix>> kept_;  // last read first
};

}  // namespace

ModelConfig RotatedConfig(const ModelConfig& config) {
  ModelConfig rotated = config;
  rotated.tied_embeddings = false;
  return rotated;
}

Result<std::unique_ptr<WeightSource>> RotatedWeights(const WeightSource& source, const ModelConfig& config,
                                                     uint64_t seed) {
  if (config.norm != NormKind::kRms) {
    return Unsupported(
        fmt::format("model '{}': rotation needs RMSNorm; LayerNorm subtracts a mean that a rotation changes. Methods "
                    "without rotation are rtn and gptq",
                    config.name));
  }
  LODESTONE_ASSIGN_OR_RETURN(Rotation stream, Rotation::Make(config.hidden, seed));
  LODESTONE_ASSIGN_OR_RETURN(Rotation head, Rotation::Make(config.head_dim, ~seed));
  return std::unique_ptr<WeightSource>(
      std::make_unique<Rotated>(source, config, seed, std::move(stream), std::move(head)));
}

}  // namespace lodestone
