#include "numerics/quantized_row.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "numerics/rounding.h"

namespace lodestone {
namespace {

constexpr float kSmallestScale = std::numeric_limits<float>::min();

size_t GroupsOf(const Format& format, size_t k) {
  return format.scales == Scales::kGroup ? (k + format.group - 1) / format.group : 0;
}

void RoundSpan(std::span<const float> values, float scale, float max_code, int8_t* codes) {
  const float inverse = 1.0f / scale;
  for (size_t i = 0; i < values.size(); ++i) codes[i] = QuantizeValue(values[i], inverse, max_code);
}

}  // namespace

void RoundRow(const Format& format, std::span<const float> row, QuantizedRow& out) {
  const auto max = static_cast<float>(MaxCode(format.code));
  const bool groups = format.scales == Scales::kGroup;
  out.codes.resize(row.size());
  out.multipliers.assign(GroupsOf(format, row.size()), 1);
  out.scale = LargestMagnitude(row) / (groups ? max * kMaxGroupMultiplier : max);
  if (out.scale < kSmallestScale) {
    out.scale = 0;
    std::fill(out.codes.begin(), out.codes.end(), int8_t{0});
    return;
  }
  if (!groups) return RoundSpan(row, out.scale, max, out.codes.data());
  for (size_t begin = 0, g = 0; begin < row.size(); begin += format.group, ++g) {
    const std::span<const float> part = row.subspan(begin, std::min<size_t>(format.group, row.size() - begin));
    const float ratio = RoundToEven(LargestMagnitude(part) / max / out.scale);
    const float multiplier = std::clamp(ratio, 1.0f, static_cast<float>(kMaxGroupMultiplier));
    out.multipliers[g] = static_cast<uint8_t>(multiplier);
    RoundSpan(part, multiplier * out.scale, max, out.codes.data() + begin);
  }
}

void Dequantize(const Format& format, const QuantizedRow& row, std::span<float> out) {
  const size_t run = format.scales == Scales::kGroup ? format.group : out.size();
  for (size_t begin = 0, g = 0; begin < out.size(); begin += run, ++g) {
    const int multiplier = row.multipliers.empty() ? 1 : row.multipliers[g];
    const size_t end = std::min(begin + run, out.size());
    for (size_t i = begin; i < end; ++i) out[i] = static_cast<float>(row.codes[i] * multiplier) * row.scale;
  }
}

Status CheckQuantizedRow(const Format& format, int k, int o, const QuantizedRow& row) {
  const auto inputs = static_cast<size_t>(k);
  if (row.codes.size() != inputs || row.multipliers.size() != GroupsOf(format, inputs)) {
    return Invalid(fmt::format("output {}: {} codes and {} multipliers, expected {} and {} in {}", o, row.codes.size(),
                               row.multipliers.size(), k, GroupsOf(format, inputs), ToString(format)));
  }
  const int max = MaxCode(format.code);
  const auto beyond = [max](int8_t code) { return code < -max || code > max; };
  if (const auto bad = std::find_if(row.codes.begin(), row.codes.end(), beyond); bad != row.codes.end()) {
    return Invalid(fmt::format("output {}, input {}: code {}, expected {} to {} in {}", o, bad - row.codes.begin(),
                               *bad, -max, max, ToString(format)));
  }
  for (size_t g = 0; g < row.multipliers.size(); ++g) {
    if (row.multipliers[g] < 1 || row.multipliers[g] > kMaxGroupMultiplier) {
      return Invalid(fmt::format("output {}, group {}: multiplier {}, expected 1 to {}", o, g, row.multipliers[g],
                                 kMaxGroupMultiplier));
    }
  }
  if (!(row.scale >= 0) || !std::isfinite(row.scale)) {
    return Invalid(fmt::format("output {}: scale {}, expected a finite number that is not negative", o, row.scale));
  }
  return {};
}

}  // namespace lodestone
