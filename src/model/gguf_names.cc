#include <fmt/format.h>

#include "model/gguf_internal.h"

namespace lodestone {
namespace {

bool StacksQkv(Architecture architecture) {
  return architecture == Architecture::kGpt2 || architecture == Architecture::kGptNeoX;
}

bool PairsRotation(Architecture architecture) {
  return architecture == Architecture::kLlama || architecture == Architecture::kGranite;
}

// The name in a layer, without "blk.N."; all architectures share them.
const char* NameInLayer(WeightKind kind) {
  switch (kind) {
    case WeightKind::kAttentionNorm:
      return "attn_norm.weight";
    case WeightKind::kAttentionNormBias:
      return "attn_norm.bias";
    case WeightKind::kQ:
      return "attn_q.weight";
    case WeightKind::kK:
      return "attn_k.weight";
    case WeightKind::kV:
      return "attn_v.weight";
    case WeightKind::kQBias:
      return "attn_q.bias";
    case WeightKind::kKBias:
      return "attn_k.bias";
    case WeightKind::kVBias:
      return "attn_v.bias";
    case WeightKind::kQNorm:
      return "attn_q_norm.weight";
    case WeightKind::kKNorm:
      return "attn_k_norm.weight";
    case WeightKind::kO:
      return "attn_output.weight";
    case WeightKind::kOBias:
      return "attn_output.bias";
    case WeightKind::kMlpNorm:
      return "ffn_norm.weight";
    case WeightKind::kMlpNormBias:
      return "ffn_norm.bias";
    case WeightKind::kGate:
      return "ffn_gate.weight";
    case WeightKind::kUp:
      return "ffn_up.weight";
    case WeightKind::kGateBias:
      return "ffn_gate.bias";
    case WeightKind::kUpBias:
      return "ffn_up.bias";
    case WeightKind::kDown:
      return "ffn_down.weight";
    case WeightKind::kDownBias:
      return "ffn_down.bias";
    default:
      return nullptr;
  }
}

const char* NameOutsideLayers(WeightKind kind) {
  switch (kind) {
    case WeightKind::kEmbedding:
      return "token_embd.weight";
    case WeightKind::kPositions:
      return "position_embd.weight";
    case WeightKind::kFinalNorm:
      return "output_norm.weight";
    case WeightKind::kFinalNormBias:
      return "output_norm.bias";
    case WeightKind::kOutput:
      return "output.weight";
    default:
      return nullptr;
  }
}

// 0, 1, 2 for Q, K, V and their biases; −1 for anything else.
int PartOfQkv(WeightKind kind) {
  switch (kind) {
    case WeightKind::kQ:
    case WeightKind::kQBias:
      return 0;
    case WeightKind::kK:
    case WeightKind::kKBias:
      return 1;
    case WeightKind::kV:
    case WeightKind::kVBias:
      return 2;
    default:
      return -1;
  }
}

}  // namespace

int64_t GgufPlace::StoredRow(int64_t row, int64_t head_dim) const {
  if (!paired) return first + row;
  const int64_t head = row / head_dim, within = row % head_dim, half = head_dim / 2;
  return first + head * head_dim + within % half * 2 + within / half;
}

GgufPlace LocateGguf(const ModelConfig& config, const WeightId& asked) {
  WeightId id = asked;
  if (id.kind == WeightKind::kOutput && config.tied_embeddings) id.kind = WeightKind::kEmbedding;
  GgufPlace place;
  const char* name = id.layer < 0 ? NameOutsideLayers(id.kind) : NameInLayer(id.kind);
  if (name == nullptr) return place;
  place.name = id.layer < 0 ? name : fmt::format("blk.{}.{}", id.layer, name);
  const WeightShape shape = ShapeOf(config, id);
  place.rows = shape.rows == 1 ? shape.columns : shape.rows;
  const int part = PartOfQkv(id.kind);
  if (part < 0) return place;
  if (StacksQkv(config.architecture)) {
    const bool bias = shape.rows == 1;
    place.name = fmt::format("blk.{}.attn_qkv.{}", id.layer, bias ? "bias" : "weight");
    place.first = part * place.rows;  // as many heads in K and V as in Q
    place.rows *= 3;
  }
  place.paired = part < 2 && PairsRotation(config.architecture);
  return place;
}

}  // namespace lodestone
