#include "learn/lsq.h"

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <vector>

#include "numerics/rounding.h"

namespace lodestone {
namespace {

constexpr size_t kMostValues = size_t{1} << 16;  // that a warm start looks at: a step needs no more
// Candidates: eighths of an octave down to 2⁻¹⁰ of the largest magnitude, so that a lone outlier does not decide, and
// sixty-fourths around the best of them, since the alternation ends in the nearest of many small minima.
constexpr int kCoarseSteps = 81, kFineSteps = 7;
constexpr int kAlternations = 8;

// Codes are rounded in pieces of this many values, which stay in the first-level cache.
constexpr int kPiece = 1024;

// For the codes c of x at some step: the best step for these codes is xc / cc, and leaves Σ x² − xc² / cc. Rounding at
// that step can only lose less.
struct Fit {
  double xc = 0, cc = 0;

  double gain() const { return cc > 0 ? xc * xc / cc : 0; }
  float step() const { return static_cast<float>(xc / cc); }
};

Fit FitAt(std::span<const float> x, float step, const LsqRange& range) {
  constexpr size_t kLanes = 16;
  std::array<float, kLanes> xc{}, cc{};
  const float inverse = 1 / step;
  const auto add = [&](size_t lane, float value) {
    const float code = RoundToEven(std::min(std::max(value * inverse, range.low), range.high));
    xc[lane] += value * inverse * code;  // in units of the step, so that no magnitude overflows
    cc[lane] += code * code;
  };
  size_t i = 0;
  for (; i + kLanes <= x.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) add(lane, x[i + lane]);
  }
  for (; i < x.size(); ++i) add(0, x[i]);
  Fit fit;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    fit.xc += double{xc[lane]} * double{step};
    fit.cc += double{cc[lane]};
  }
  return fit;
}

}  // namespace

LsqRange LsqRangeOf(Code code) {
  const auto high = static_cast<float>(MaxCode(code));
  const bool is_unsigned = code == Code::kUint8 || code == Code::kUint4;
  return {.low = is_unsigned ? 0 : -high, .high = high};
}

float InitialStep(std::span<const float> all, const LsqRange& range) {
  std::vector<float> sample;
  std::span<const float> x = all;
  if (all.size() > kMostValues) {
    sample.resize(kMostValues);
    // One of each stretch, at a place that is no multiple of anything: equal distances would meet the same columns.
    const size_t stretch = all.size() / kMostValues;
    for (size_t i = 0; i < kMostValues; ++i) sample[i] = all[i * stretch + (i * 2654435761u >> 8) % stretch];
    x = sample;
  }
  const float largest = LargestMagnitude(x);
  const float step = largest / range.high;
  constexpr float kSmallest = FLT_MIN * 2048;  // the smallest candidate must be a normal number
  if (!(step >= kSmallest) || !std::isfinite(largest)) return 1;
  float best_step = step;
  Fit best;
  const auto consider = [&](float candidate) {
    const Fit fit = FitAt(x, candidate, range);
    if (fit.gain() <= best.gain()) return false;
    best = fit;
    best_step = candidate;
    return true;
  };
  for (int i = 0; i < kCoarseSteps; ++i) consider(step * std::exp2(-static_cast<float>(i) / 8));
  const float coarse = best_step;
  for (int i = -kFineSteps; i <= kFineSteps; ++i) consider(coarse * std::exp2(static_cast<float>(i) / 64));
  if (best.cc == 0) return step;
  for (int i = 0; i < kAlternations && consider(best.step()); ++i) {
  }
  return best.step();
}

void LsqForward(const kernels::KernelTable& kernels, ThreadPool& threads, const float* x, int64_t x_stride,
                int64_t rows, int n, int n_padded, float step, float max_code, int8_t* codes) {
  threads.ParallelFor(rows, [&](int64_t begin, int64_t end, int) {
    float scale = step;
    for (int64_t r = begin; r < end; ++r) {
      kernels.quantize({.x = x + r * x_stride,
                        .codes = codes + r * n_padded,
                        .scale = &scale,
                        .n = n,
                        .n_padded = n_padded,
                        .max_code = max_code,
                        .is_static = true});
    }
  });
}

void LsqValues(const kernels::KernelTable& kernels, ThreadPool& threads, const float* x, int64_t x_stride, int64_t rows,
               int n, float step, float max_code, float* values, int64_t values_stride) {
  threads.ParallelFor(rows, [&](int64_t begin, int64_t end, int) {
    float scale = step;
    std::array<int8_t, kPiece> codes;
    for (int64_t r = begin; r < end; ++r) {
      for (int at = 0; at < n; at += kPiece) {
        const int count = std::min(kPiece, n - at);
        kernels.quantize({.x = x + r * x_stride + at,
                          .codes = codes.data(),
                          .scale = &scale,
                          .n = count,
                          .n_padded = count,
                          .max_code = max_code,
                          .is_static = true});
        float* out = values + r * values_stride + at;
        for (int i = 0; i < count; ++i) out[i] = static_cast<float>(codes[static_cast<size_t>(i)]) * step;
      }
    }
  });
}

float LsqGradientScale(int64_t n, float high) {
  return static_cast<float>(1 / std::sqrt(static_cast<double>(n) * double{high}));
}

float LsqBackward(const kernels::TrainingTable& kernels, ThreadPool& threads, const float* x, int64_t x_stride,
                  const float* dy, int64_t dy_stride, float* dx, int64_t dx_stride, int64_t rows, int n, float step,
                  const LsqRange& range) {
  std::vector<double> sums(static_cast<size_t>(rows));
  threads.ParallelFor(rows, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      sums[static_cast<size_t>(r)] = kernels.lsq_backward({.x = x + r * x_stride,
                                                           .dy = dy + r * dy_stride,
                                                           .dx = dx + r * dx_stride,
                                                           .n = n,
                                                           .step = step,
                                                           .low = range.low,
                                                           .high = range.high});
    }
  });
  double sum = 0;
  for (const double row : sums) sum += row;
  return static_cast<float>(sum * double{LsqGradientScale(n, range.high)});
}

}  // namespace lodestone
