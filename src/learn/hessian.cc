#include "learn/hessian.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "numerics/packed_matrix.h"

namespace lodestone {
namespace {

constexpr int kStrip = 64;   // rows of H that are summed together
constexpr int kBlock = 128;  // columns of U that are made together: 128² f64 are 128 KB, within the second-level cache
constexpr int kMostRaises = 6;
constexpr double kRaise = 10;
// A pivot below this share of its diagonal is rounding error: f32 carries 2⁻²⁴ of the diagonal.
constexpr double kSmallestPivot = 0x1p-22;

// y[rows][panels × 16] = x[rows][k] · w, w in panels [panel][k][16] of f32.
void Multiply(const kernels::KernelTable& kernels, const float* x, int64_t x_stride, int rows, const float* w, int k,
              int panel_begin, int panel_end, float* y, int64_t y_stride) {
  kernels::MatmulArgs args{};
  args.x = x;
  args.x_stride = x_stride;
  args.w = w;
  args.y = y;
  args.y_stride = y_stride;
  args.multiplier = 1;
  args.rows = rows;
  args.n = panel_end * kPanel;
  args.k = args.k_padded = k;
  args.panel_begin = panel_begin;
  args.panel_end = panel_end;
  kernels.matmul_f32(args);
}

using Triangle = std::array<std::array<double, kBlock>, kBlock>;

// s = u uᵀ with u upper triangular, in place, from the last column to the first. False at a pivot that is no number
// above its share of `diagonal`.
bool FactorizeBlock(Triangle& s, int size, std::span<const float> diagonal) {
  for (int o = size - 1; o >= 0; --o) {
    double pivot = s[o][o];
    for (int m = o + 1; m < size; ++m) pivot -= s[o][m] * s[o][m];
    if (!(pivot > kSmallestPivot * double{diagonal[o]})) return false;
    s[o][o] = std::sqrt(pivot);
    for (int r = 0; r < o; ++r) {
      double sum = s[r][o];
      for (int m = o + 1; m < size; ++m) sum -= s[r][m] * s[o][m];
      s[r][o] = sum / s[o][o];
    }
  }
  return true;
}

}  // namespace

Result<Hessian> Hessian::Make(int k) {
  LODESTONE_CHECK(k > 0);
  Hessian hessian;
  hessian.k_ = k;
  hessian.stride_ = (k + kPanel - 1) / kPanel * kPanel;
  const size_t bytes = sizeof(float) * static_cast<size_t>(k) * static_cast<size_t>(hessian.stride_);
  hessian.values_ = AlignedBuffer(bytes);
  if (hessian.values_.size() != bytes) {
    return Infeasible(fmt::format("no memory for {} bytes of second moments of {} inputs", bytes, k));
  }
  return hessian;
}

void Hessian::Add(const kernels::KernelTable& kernels, ThreadPool& threads, const float* x, int64_t stride, int rows) {
  // H = Xᵀ X as a product of f32 rows Xᵀ[k][rows] with packed weights, which are X's own rows cut into panels.
  const int panels = static_cast<int>(stride_ / kPanel);
  std::vector<float> rows_of_k(static_cast<size_t>(k_) * static_cast<size_t>(rows));
  std::vector<float> packed(static_cast<size_t>(stride_) * static_cast<size_t>(rows));
  threads.ParallelFor(panels, [&](int64_t begin, int64_t end, int) {
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t first = panel * kPanel, last = std::min<int64_t>(k_, first + kPanel);
      for (int t = 0; t < rows; ++t) {
        for (int64_t i = first; i < last; ++i) {
          const float value = x[t * stride + i];
          rows_of_k[i * rows + t] = value;
          packed[(panel * rows + t) * kPanel + i - first] = value;
        }
      }
    }
  });
  // Strips of the upper triangle get shorter downwards: each piece of work is a strip and its mirror image.
  const int strips = (k_ + kStrip - 1) / kStrip;
  threads.ParallelFor((strips + 1) / 2, [&](int64_t begin, int64_t end, int) {
    std::vector<float> sums(static_cast<size_t>(kStrip * stride_));
    const auto add_strip = [&](int64_t strip) {
      const int64_t first = strip * kStrip;
      const int count = static_cast<int>(std::min<int64_t>(kStrip, k_ - first));
      Multiply(kernels, rows_of_k.data() + first * rows, rows, count, packed.data(), rows,
               static_cast<int>(first / kPanel), panels, sums.data(), stride_);
      for (int r = 0; r < count; ++r) {
        float* h = MutableRow(static_cast<int>(first) + r);
        for (int64_t j = first + r; j < k_; ++j) h[j] += sums[r * stride_ + j];
      }
    };
    for (int64_t i = begin; i < end; ++i) {
      add_strip(i);
      if (strips - 1 - i != i) add_strip(strips - 1 - i);
    }
  });
}

Result<double> Hessian::Factorize(const kernels::KernelTable& kernels, ThreadPool& threads, double damping) {
  // The lower triangle, which U leaves alone, keeps H for another try; its diagonal stays here.
  std::vector<float> diagonal(static_cast<size_t>(k_));
  double mean = 0;
  for (int i = 0; i < k_; ++i) {
    diagonal[i] = Row(i)[i];
    mean += double{diagonal[i]} / k_;
    for (int j = i + 1; j < k_; ++j) MutableRow(j)[i] = Row(i)[j];
  }
  // A finite diagonal bounds the rest: |H_ij|² ≤ H_ii H_jj.
  if (!std::isfinite(mean)) return Invalid("inputs of a linear layer overflow f32 on the calibration text");
  const double unit = mean > 0 ? mean : 1 / damping;
  for (int attempt = 0; attempt <= kMostRaises; ++attempt, damping *= kRaise) {
    for (int i = 0; i < k_; ++i) {
      MutableRow(i)[i] = static_cast<float>(diagonal[i] + damping * unit);
      if (attempt > 0) {
        for (int j = i + 1; j < k_; ++j) MutableRow(i)[j] = Row(j)[i];
      }
    }
    if (TryFactorize(kernels, threads)) return damping;
  }
  return Invalid(
      fmt::format("second moments of {} inputs are not positive definite with damping {:g}", k_, damping / kRaise));
}

bool Hessian::TryFactorize(const kernels::KernelTable& kernels, ThreadPool& threads) {
  // Left-looking, from the last block of columns J to the first. With the columns m > J done,
  //   S = H[≤ J][J] − U[≤ J][m] U[J][m]ᵀ,   S[J][J] = U[J][J] U[J][J]ᵀ,   U[< J][J] = S[< J][J] U[J][J]⁻ᵀ.
  std::vector<float> diagonal(static_cast<size_t>(k_));
  for (int i = 0; i < k_; ++i) diagonal[i] = Row(i)[i];
  std::vector<float> packed;
  auto triangle = std::make_unique<Triangle>();
  for (int first = (k_ - 1) / kBlock * kBlock; first >= 0; first -= kBlock) {
    const int end = std::min(first + kBlock, k_), size = end - first, done = k_ - end;
    const int panels = (size + kPanel - 1) / kPanel;
    packed.assign(static_cast<size_t>(panels) * kPanel * static_cast<size_t>(done), 0.0f);
    for (int o = 0; o < size; ++o) {
      float* lane = packed.data() + int64_t{o / kPanel} * done * kPanel + o % kPanel;
      for (int m = 0; m < done; ++m) lane[int64_t{m} * kPanel] = Row(first + o)[end + m];
    }
    if (done > 0) {
      threads.ParallelFor(end, [&](int64_t row_begin, int64_t row_end, int) {
        std::array<float, size_t{kStrip} * kBlock> sums;
        for (int64_t r = row_begin; r < row_end; r += kStrip) {
          const int rows = static_cast<int>(std::min<int64_t>(kStrip, row_end - r));
          Multiply(kernels, Row(static_cast<int>(r)) + end, stride_, rows, packed.data(), done, 0, panels, sums.data(),
                   kBlock);
          for (int i = 0; i < rows; ++i) {
            const int row = static_cast<int>(r) + i;
            for (int o = std::max(0, row - first); o < size; ++o) MutableRow(row)[first + o] -= sums[i * kBlock + o];
          }
        }
      });
    }
    for (int r = 0; r < size; ++r) {
      for (int o = r; o < size; ++o) (*triangle)[r][o] = Row(first + r)[first + o];
    }
    if (!FactorizeBlock(*triangle, size, std::span(diagonal).subspan(first, size))) return false;
    // Columns of U[J][J], each contiguous, for the solve below.
    std::vector<float> columns(static_cast<size_t>(kBlock) * kBlock);
    for (int r = 0; r < size; ++r) {
      for (int o = r; o < size; ++o) {
        const auto value = static_cast<float>((*triangle)[r][o]);
        MutableRow(first + r)[first + o] = value;
        columns[o * kBlock + r] = value;
      }
    }
    threads.ParallelFor(first, [&](int64_t row_begin, int64_t row_end, int) {
      for (int64_t r = row_begin; r < row_end; ++r) {
        float* s = MutableRow(static_cast<int>(r)) + first;
        for (int o = size - 1; o >= 0; --o) {
          const float* column = columns.data() + o * kBlock;
          const float value = s[o] / column[o];
          s[o] = value;
          for (int m = 0; m < o; ++m) s[m] -= value * column[m];
        }
      }
    });
  }
  return true;
}

}  // namespace lodestone
