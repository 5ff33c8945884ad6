#include "learn/quantized_linear.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "learn/lsq.h"
#include "numerics/rounding.h"

namespace lodestone {

void InitialWeightSteps(std::span<const float> w, int n, int k, int max_code, std::span<float> steps,
                        ThreadPool& threads) {
  const LsqRange range{.low = static_cast<float>(-max_code), .high = static_cast<float>(max_code)};
  const auto width = static_cast<size_t>(k);
  threads.ParallelFor(n, [&](int64_t begin, int64_t end, int) {
    for (auto o = static_cast<size_t>(begin); o < static_cast<size_t>(end); ++o) {
      steps[o] = InitialStep(w.subspan(o * width, width), range);
    }
  });
}

void RoundRowAt(float step, int max_code, std::span<const float> row, QuantizedRow& out) {
  out.scale = step;
  out.multipliers.clear();
  out.codes.resize(row.size());
  const float inverse = step > 0 ? 1 / step : 0;
  const auto largest = static_cast<float>(max_code);
  for (size_t i = 0; i < row.size(); ++i) out.codes[i] = QuantizeValue(row[i], inverse, largest);
}

Result<QuantizedWeight> QuantizedWeight::Make(const Format& format, int n, int k) {
  LODESTONE_CHECK(IsInteger(format.code) && format.scales == Scales::kChannel);
  LODESTONE_ASSIGN_OR_RETURN(PackedMatrix packed, AllocatePacked({format, n, k}));
  return QuantizedWeight(std::move(packed));
}

Status QuantizedWeight::Refresh(std::span<const float> w, std::span<const float> steps, ThreadPool& threads) {
  const auto width = static_cast<size_t>(packed_.k);
  const int max_code = MaxCode(packed_.format.code);
  const auto read_codes = [&](int o, QuantizedRow& row) -> Status {
    const std::span<const float> values = w.subspan(static_cast<size_t>(o) * width, width);
    const float step = steps[static_cast<size_t>(o)];
    if (!std::isnormal(step) || step < 0) {
      return Invalid(fmt::format("channel {}: step size {} is not a positive number", o, step));
    }
    if (!std::isfinite(LargestMagnitude(values))) return Invalid(fmt::format("channel {} is not finite", o));
    RoundRowAt(step, max_code, values, row);
    return {};
  };
  std::vector<std::optional<Error>> errors(static_cast<size_t>(threads.threads()));
  threads.ParallelFor(packed_.panels(), [&](int64_t begin, int64_t end, int thread) {
    const Status status = PackCodePanels(static_cast<int>(begin), static_cast<int>(end), read_codes, packed_);
    if (!status.ok()) errors[static_cast<size_t>(thread)] = status.error();
  });
  for (const auto& error : errors) {
    if (error) return *error;
  }
  return {};
}

void QuantizedWeight::Values(std::span<const float> w, std::span<const float> steps, std::span<float> values,
                             ThreadPool& threads) const {
  const auto largest = static_cast<float>(MaxCode(packed_.format.code));
  const int64_t k = packed_.k;
  threads.ParallelFor(packed_.n, [&](int64_t begin, int64_t end, int) {
    for (int64_t o = begin; o < end; ++o) {
      const float step = steps[static_cast<size_t>(o)], inverse = 1 / step;
      const float* from = w.data() + o * k;
      float* to = values.data() + o * k;
      for (int64_t i = 0; i < k; ++i) {
        to[i] = RoundToEven(std::min(std::max(from[i] * inverse, -largest), largest)) * step;
      }
    }
  });
}

void QuantizedWeight::Backward(const kernels::TrainingTable& kernels, std::span<const float> w,
                               std::span<const float> steps, std::span<float> dvalues, std::span<float> dw,
                               std::span<float> dsteps, ThreadPool& threads) const {
  const auto high = static_cast<float>(MaxCode(packed_.format.code));
  const int64_t k = packed_.k;
  const double gradient_scale = LsqGradientScale(k, high);
  threads.ParallelFor(packed_.n, [&](int64_t begin, int64_t end, int) {
    for (int64_t o = begin; o < end; ++o) {
      float* gradient = dvalues.data() + o * k;
      const double sum = kernels.lsq_backward({.x = w.data() + o * k,
                                               .dy = gradient,
                                               .dx = gradient,
                                               .n = k,
                                               .step = steps[static_cast<size_t>(o)],
                                               .low = -high,
                                               .high = high});
      dsteps[static_cast<size_t>(o)] += static_cast<float>(sum * gradient_scale);
      float* to = dw.data() + o * k;
      for (int64_t i = 0; i < k; ++i) to[i] += gradient[i];
    }
  });
}

void QuantizedForward(const kernels::KernelTable& kernels, ThreadPool& threads, const PackedMatrix& weight,
                      const int8_t* x, float x_step, int64_t rows, const float* bias, float multiplier, float* y,
                      int64_t y_stride) {
  kernels::MatmulArgs args{};
  args.x = x;
  args.x_stride = weight.padded_k();
  args.x_scales = &x_step;
  args.x_scales_stride = 0;
  args.w = weight.codes.data();
  args.w_scales = reinterpret_cast<const float*>(weight.scales.data());
  args.bias = bias;
  args.y = y;
  args.y_stride = y_stride;
  args.multiplier = multiplier;
  args.rows = static_cast<int32_t>(rows);
  args.n = weight.n;
  args.k = weight.k;
  args.k_padded = weight.padded_k();
  const kernels::MatmulFn matmul =
      weight.format.code == Code::kInt4 ? kernels.matmul_int8_int4 : kernels.matmul_int8_int8;
  threads.ParallelFor(weight.panels(), [&](int64_t begin, int64_t end, int) {
    kernels::MatmulArgs piece = args;
    piece.panel_begin = static_cast<int32_t>(begin);
    piece.panel_end = static_cast<int32_t>(end);
    matmul(piece);
  });
}

}  // namespace lodestone
