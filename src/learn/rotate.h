// The same model in rotated coordinates, in which no channel stands out: QuaRot (Ashkboos et al., 2024) and SpinQuant
// (Liu et al., 2024) without their rotations at run time, so that the program of a layer stays what it is.
//
// The residual stream x becomes x R₁. The RMS norm of x R₁ is that of x rotated, once the norm's weight is folded into
// the linear layers that read it (the norm's weight becomes 1). So with g the weight of the norm before,
//
//   embedding, positions   E R₁               final norm → output layer   W diag(g) R₁: no longer the embedding
//   q, k, gate, up         W diag(g) R₁       down                        R₁ᵀ W, bias b R₁
//   v                      R₂ᵀ W diag(g) R₁   o                           R₁ᵀ W R₂, bias b R₁
//
// R₂ turns each head of V, and back in o, the same for all heads: attention's sums over positions commute with it. All
// is exact in real numbers. Multipliers of embedding, residual and logits commute with rotations. The step sizes of a
// source belong to its own coordinates: the rotated one has none.
#pragma once

#include <cstdint>
#include <memory>

#include "base/status.h"
#include "model/config.h"
#include "model/weight_source.h"

namespace lodestone {

// `config` with an output layer of its own.
ModelConfig RotatedConfig(const ModelConfig& config);

// The weights of RotatedConfig(config). `source` has those of `config` and outlives the result. Rotations are computed
// in f64 and rounded to f32 once. v, o and down are made whole when one of their rows is read, and the last eight are
// kept; reading more of them at a time, in turn, makes them again. Refused: LayerNorm, whose mean is not invariant.
Result<std::unique_ptr<WeightSource>> RotatedWeights(const WeightSource& source, const ModelConfig& config,
                                                     uint64_t seed);

}  // namespace lodestone
