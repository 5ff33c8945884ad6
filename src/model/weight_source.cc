#include "model/weight_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace lodestone {
namespace {

constexpr auto kBeforeLayers = std::to_array<WeightKind>({WeightKind::kEmbedding, WeightKind::kPositions});
constexpr auto kOfLayer = std::to_array<WeightKind>({
    WeightKind::kAttentionNorm,
    WeightKind::kAttentionNormBias,
    WeightKind::kQ,
    WeightKind::kK,
    WeightKind::kV,
    WeightKind::kQBias,
    WeightKind::kKBias,
    WeightKind::kVBias,
    WeightKind::kQNorm,
    WeightKind::kKNorm,
    WeightKind::kO,
    WeightKind::kOBias,
    WeightKind::kMlpNorm,
    WeightKind::kMlpNormBias,
    WeightKind::kRouter,
    WeightKind::kGate,
    WeightKind::kUp,
    WeightKind::kGateBias,
    WeightKind::kUpBias,
    WeightKind::kDown,
    WeightKind::kDownBias,
});
constexpr auto kAfterLayers =
    std::to_array<WeightKind>({WeightKind::kFinalNorm, WeightKind::kFinalNormBias, WeightKind::kOutput});

constexpr auto kStepsOfLayer = std::to_array<WeightKind>({
    WeightKind::kAttentionInputStep,
    WeightKind::kQueryStep,
    WeightKind::kKeyStep,
    WeightKind::kValueStep,
    WeightKind::kProbabilityStep,
    WeightKind::kAttendedStep,
    WeightKind::kMlpInputStep,
    WeightKind::kDownInputStep,
});

bool IsInLayer(WeightKind kind) {
  return (kind >= WeightKind::kAttentionNorm && kind <= WeightKind::kDownBias) || kind == WeightKind::kRouter ||
         (kind >= WeightKind::kAttentionInputStep && kind <= WeightKind::kDownInputStep);
}

const char* NameOf(WeightKind kind) {
  switch (kind) {
    case WeightKind::kEmbedding:
      return "embedding";
    case WeightKind::kPositions:
      return "position embedding";
    case WeightKind::kAttentionNorm:
      return "attention norm";
    case WeightKind::kAttentionNormBias:
      return "attention norm bias";
    case WeightKind::kQ:
      return "q_proj";
    case WeightKind::kK:
      return "k_proj";
    case WeightKind::kV:
      return "v_proj";
    case WeightKind::kQBias:
      return "q_proj bias";
    case WeightKind::kKBias:
      return "k_proj bias";
    case WeightKind::kVBias:
      return "v_proj bias";
    case WeightKind::kQNorm:
      return "q norm";
    case WeightKind::kKNorm:
      return "k norm";
    case WeightKind::kO:
      return "o_proj";
    case WeightKind::kOBias:
      return "o_proj bias";
    case WeightKind::kMlpNorm:
      return "mlp norm";
    case WeightKind::kMlpNormBias:
      return "mlp norm bias";
    case WeightKind::kGate:
      return "gate_proj";
    case WeightKind::kUp:
      return "up_proj";
    case WeightKind::kGateBias:
      return "gate_proj bias";
    case WeightKind::kUpBias:
      return "up_proj bias";
    case WeightKind::kDown:
      return "down_proj";
    case WeightKind::kDownBias:
      return "down_proj bias";
    case WeightKind::kFinalNorm:
      return "final norm";
    case WeightKind::kFinalNormBias:
      return "final norm bias";
    case WeightKind::kOutput:
      return "output layer";
    case WeightKind::kRouter:
      return "router";
    case WeightKind::kAttentionInputStep:
      return "attention input step";
    case WeightKind::kQueryStep:
      return "query step";
    case WeightKind::kKeyStep:
      return "key step";
    case WeightKind::kValueStep:
      return "value step";
    case WeightKind::kProbabilityStep:
      return "probability step";
    case WeightKind::kAttendedStep:
      return "attended step";
    case WeightKind::kMlpInputStep:
      return "mlp input step";
    case WeightKind::kDownInputStep:
      return "down input step";
    case WeightKind::kOutputInputStep:
      return "output input step";
  }
  return "unknown tensor";
}

WeightShape Matrix(int64_t rows, int64_t columns) { return {rows, columns}; }

WeightShape VectorIf(bool present, int64_t size) { return present ? WeightShape{1, size} : WeightShape{}; }

}  // namespace

Status WeightSource::ReadPanels(const WeightId& id, int64_t first_row, int begin, int end, PackedMatrix& matrix) const {
  constexpr int kPanelsAtOnce = 32;  // whose rows are resident at a time: a few MB
  for (int from = begin; from < end;) {
    const int to = std::min(end, from + kPanelsAtOnce);
    LODESTONE_RETURN_IF_ERROR(PackPanels(
        from, to, [&](int o, std::span<float> row) { return ReadRow(id, first_row + o, row); }, matrix));
    Release(id, first_row + int64_t{from} * kPanel, first_row + std::min(to * kPanel, matrix.n));
    from = to;
  }
  return {};
}

std::string ToString(const WeightId& id) {
  return id.layer < 0 ? NameOf(id.kind) : fmt::format("layer {} {}", id.layer, NameOf(id.kind));
}

WeightShape ShapeOf(const ModelConfig& config, const WeightId& id) {
  if (IsInLayer(id.kind) ? id.layer < 0 || id.layer >= config.layers : id.layer != -1) return {};
  const bool biased_norm = config.norm == NormKind::kLayer;
  const int64_t mlps = std::max(config.experts, 1);
  switch (id.kind) {
    case WeightKind::kEmbedding:
    case WeightKind::kOutput:
      return Matrix(config.vocab, config.hidden);
    case WeightKind::kPositions:
      return config.position == PositionKind::kLearned ? Matrix(config.max_positions, config.hidden) : WeightShape{};
    case WeightKind::kAttentionNorm:
    case WeightKind::kMlpNorm:
    case WeightKind::kFinalNorm:
      return VectorIf(true, config.hidden);
    case WeightKind::kAttentionNormBias:
    case WeightKind::kMlpNormBias:
    case WeightKind::kFinalNormBias:
      return VectorIf(biased_norm, config.hidden);
    case WeightKind::kQ:
      return Matrix(config.q_width(), config.hidden);
    case WeightKind::kK:
    case WeightKind::kV:
      return Matrix(config.kv_width(), config.hidden);
    case WeightKind::kQBias:
      return VectorIf(config.qkv_bias, config.q_width());
    case WeightKind::kKBias:
    case WeightKind::kVBias:
      return VectorIf(config.qkv_bias, config.kv_width());
    case WeightKind::kQNorm:
    case WeightKind::kKNorm:
      return VectorIf(config.qk_norm, config.head_dim);
    case WeightKind::kO:
      return Matrix(config.hidden, config.q_width());
    case WeightKind::kOBias:
      return VectorIf(config.attention_output_bias, config.hidden);
    case WeightKind::kGate:
      return config.gated_mlp ? Matrix(mlps * config.ffn, config.hidden) : WeightShape{};
    case WeightKind::kUp:
      return Matrix(mlps * config.ffn, config.hidden);
    case WeightKind::kGateBias:
      return VectorIf(config.gated_mlp && config.mlp_bias, config.ffn);
    case WeightKind::kUpBias:
      return VectorIf(config.mlp_bias, config.ffn);
    case WeightKind::kDown:
      return Matrix(mlps * config.hidden, config.ffn);
    case WeightKind::kRouter:
      return config.experts > 0 ? Matrix(config.experts, config.hidden) : WeightShape{};
    case WeightKind::kDownBias:
      return VectorIf(config.mlp_bias, config.hidden);
    case WeightKind::kAttentionInputStep:
    case WeightKind::kQueryStep:
    case WeightKind::kKeyStep:
    case WeightKind::kValueStep:
    case WeightKind::kProbabilityStep:
    case WeightKind::kAttendedStep:
    case WeightKind::kMlpInputStep:
    case WeightKind::kDownInputStep:
    case WeightKind::kOutputInputStep:
      return VectorIf(true, 1);
  }
  return {};
}

std::vector<WeightId> AllWeights(const ModelConfig& config) {
  std::vector<WeightId> ids;
  const auto add = [&](WeightKind kind, int layer) {
    if (kind == WeightKind::kOutput && config.tied_embeddings) return;
    if (ShapeOf(config, {kind, layer}).rows > 0) ids.push_back({kind, layer});
  };
  for (const WeightKind kind : kBeforeLayers) add(kind, -1);
  for (int layer = 0; layer < config.layers; ++layer) {
    for (const WeightKind kind : kOfLayer) add(kind, layer);
  }
  for (const WeightKind kind : kAfterLayers) add(kind, -1);
  return ids;
}

bool IsStep(WeightKind kind) { return kind >= WeightKind::kAttentionInputStep; }

std::vector<WeightId> AllSteps(const ModelConfig& config) {
  std::vector<WeightId> ids;
  for (int layer = 0; layer < config.layers; ++layer) {
    for (const WeightKind kind : kStepsOfLayer) ids.push_back({kind, layer});
  }
  ids.push_back({WeightKind::kOutputInputStep, -1});
  return ids;
}

}  // namespace lodestone
