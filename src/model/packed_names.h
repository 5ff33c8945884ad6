// Names of the tensors of a packed checkpoint. Private to model/.
#pragma once

#include <array>
#include <string>

#include "model/weight_source.h"
#include "numerics/format.h"

namespace lodestone {

// What a matrix may be stored in, the widest first.
inline constexpr auto kPackedFormats = std::to_array<Format>({{Code::kF32},
                                                              {Code::kBf16},
                                                              {Code::kInt8, Scales::kChannel},
                                                              {Code::kInt4, Scales::kGroup, 32},
                                                              {Code::kInt4, Scales::kGroup, 64},
                                                              {Code::kInt4, Scales::kGroup, 128},
                                                              {Code::kInt4, Scales::kChannel}});

std::string PackedName(const WeightId& id);                        // "layers.3.q_proj", "output_layer"
std::string PackedName(const WeightId& id, const Format& format);  // "layers.3.q_proj.int4_group128"

inline constexpr const char* kCodes = ".codes";
inline constexpr const char* kScales = ".scales";
inline constexpr const char* kMultipliers = ".multipliers";

}  // namespace lodestone
