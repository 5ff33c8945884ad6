// One row of a weight matrix as integers, before it is packed: what rounding, calibration and export share.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "numerics/format.h"

namespace lodestone {

// The value of input i is codes[i] × multipliers[i / group] × scale, or codes[i] × scale without groups.
struct QuantizedRow {
  std::vector<int8_t> codes;         // [k], within ±MaxCode of the format
  std::vector<uint8_t> multipliers;  // [k / group, rounded up], 1..18; empty unless scales are kGroup
  float scale = 0;                   // finite, not negative
};

// Rounds to nearest even at the channel's (or group's) largest magnitude. `format` is int8·channel, int4·channel or
// int4·group; `row` is finite. A zero row (or one whose scale would be subnormal, and its reciprocal infinite) has
// scale 0 and codes 0. Two-level scales: with s_g = max|w_g| / 7 and s = max s_g / 18, multiplier m_g = clamp(round(s_g
// / s), 1, 18) and code = clamp(round(w / (m_g s)), ±7). The last group may be partial.
void RoundRow(const Format& format, std::span<const float> row, QuantizedRow& out);

// The values that a row of codes stands for; `out` has its k values.
void Dequantize(const Format& format, const QuantizedRow& row, std::span<float> out);

// Refuses sizes other than those of k inputs, codes and multipliers out of range, and a scale that is negative or not
// finite; the message begins with "output `o`".
Status CheckQuantizedRow(const Format& format, int k, int o, const QuantizedRow& row);

}  // namespace lodestone
