// Bounds and consistency of a ModelConfig, whatever text it was read from. Private to model/.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "model/config.h"

namespace lodestone {

// Every product of two widths stays below 2^46 and ParameterCount below 2^62, so no reader of a configuration needs to
// think of overflow; a width times a small factor stays an int. The largest published models stay 8 times below each.
inline constexpr int64_t kMaxLayers = 4096;
inline constexpr int64_t kMaxHidden = int64_t{1} << 20;
inline constexpr int64_t kMaxFfn = int64_t{1} << 22;
inline constexpr int64_t kMaxHeads = 4096;
inline constexpr int64_t kMaxHeadDim = 4096;
inline constexpr int64_t kMaxVocab = int64_t{1} << 24;
inline constexpr int64_t kMaxPositions = int64_t{1} << 30;

// Refuses, naming `file` and the numbers: a dimension outside its bounds, heads that are no multiple of the KV heads,
// rotary dimensions that are odd or more than a head has, ids outside the vocabulary, constants that are not finite.
Status CheckConfig(const ModelConfig& config, const std::string& file);

}  // namespace lodestone
