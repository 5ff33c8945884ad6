#include "learn/gptq.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

#include "numerics/rounding.h"

namespace lodestone {
namespace {

constexpr int kBlock = 128;  // columns between two products; a multiple of every group
constexpr int64_t kChunkBytes = int64_t{64} << 20;
// Shares of the largest magnitude that an int4 channel may be clipped to. Gaussian rows of some thousand weights, whose
// largest is near 4 σ, do best at 0.6 to 0.75.
constexpr std::array<float, 8> kClippings = {1.0f, 0.95f, 0.9f, 0.85f, 0.8f, 0.75f, 0.7f, 0.6f};

using BlockSums = std::array<float, kBlock>;

// Σ cost_i (x_i − round(x_i))² at `scale`.
float RoundingLoss(std::span<const float> x, const float* cost, float scale, float max_code) {
  const float inverse = 1 / scale;
  float loss = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const float error = x[i] - scale * static_cast<float>(QuantizeValue(x[i], inverse, max_code));
    loss += cost[i] * error * error;
  }
  return loss;
}

// The rounding of one matrix, with what all rows share.
class Rounder {
 public:
  Rounder(const Format& format, const Hessian& factor)
      : format_(format), factor_(factor), max_code_(static_cast<float>(MaxCode(format.code))) {
    const int k = factor.k();
    inverse_diagonal_.reserve(static_cast<size_t>(k));
    for (int i = 0; i < k; ++i) {
      const float pivot = factor.Row(i)[i];
      inverse_diagonal_.push_back(1 / pivot);
      cost_.push_back(pivot * pivot);
    }
  }

  // The channel's scale, before any column is rounded.
  void Begin(std::span<const float> w, QuantizedRow& row) const {
    RoundRow(format_, w, row);
    if (format_.code != Code::kInt4 || format_.scales != Scales::kChannel || row.scale == 0) return;
    const float widest = row.scale;
    float least = std::numeric_limits<float>::infinity();
    for (const float clipping : kClippings) {
      const float loss = RoundingLoss(w, cost_.data(), widest * clipping, max_code_);
      if (loss < least) {
        least = loss;
        row.scale = widest * clipping;
      }
    }
  }

  // Rounds columns [first, first + size) of one row. `sums` has Σ_{i < first} e_i U_ij of each; `w` becomes e.
  void RoundBlock(int first, int size, BlockSums& sums, std::span<float> w, QuantizedRow& row) const {
    const int step = format_.scales == Scales::kGroup ? format_.group : size;
    for (int begin = 0; begin < size; begin += step) {
      const int end = std::min(begin + step, size);
      float scale = row.scale;
      if (format_.scales == Scales::kGroup && scale > 0) {
        uint8_t& multiplier = row.multipliers[static_cast<size_t>((first + begin) / format_.group)];
        multiplier = ChooseMultiplier(first, begin, end, sums, w, scale);
        scale *= static_cast<float>(multiplier);
      }
      const float inverse = scale > 0 ? 1 / scale : 0;
      for (int j = begin; j < end; ++j) {
        const float target = w[first + j] + sums[j] * inverse_diagonal_[first + j];
        const int8_t code = QuantizeValue(target, inverse, max_code_);
        row.codes[first + j] = code;
        w[first + j] -= scale * static_cast<float>(code);
        Propagate(first, j, size, w[first + j], sums);
      }
    }
  }

 private:
  // sums[m] += e_j U_jm for the columns m of the block behind j.
  void Propagate(int first, int j, int end, float error, BlockSums& sums) const {
    const float* u = factor_.Row(first + j) + first;
    for (int m = j + 1; m < end; ++m) sums[m] += error * u[m];
  }

  // The multiplier that suits the group's current weights: those that would make up for all earlier errors.
  uint8_t ChooseMultiplier(int first, int begin, int end, const BlockSums& sums, std::span<const float> w,
                           float scale) const {
    BlockSums ahead = sums;
    std::array<float, kBlock> current;
    for (int j = begin; j < end; ++j) {
      current[j] = w[first + j] + ahead[j] * inverse_diagonal_[first + j];
      Propagate(first, j, end, w[first + j] - current[j], ahead);
    }
    const std::span<const float> group(current.data() + begin, static_cast<size_t>(end - begin));
    const float widest = std::ceil(LargestMagnitude(group) / (max_code_ * scale));
    const int most = static_cast<int>(std::clamp(widest, 1.0f, static_cast<float>(kMaxGroupMultiplier)));
    int best = most;
    float least = std::numeric_limits<float>::infinity();
    for (int multiplier = most; multiplier >= (most + 1) / 2; --multiplier) {
      const float loss =
          RoundingLoss(group, cost_.data() + first + begin, scale * static_cast<float>(multiplier), max_code_);
      if (loss < least) {
        least = loss;
        best = multiplier;
      }
    }
    return static_cast<uint8_t>(best);
  }

  const Format& format_;
  const Hessian& factor_;
  float max_code_;
  std::vector<float> inverse_diagonal_;  // 1 / U_jj
  std::vector<float> cost_;              // U_jj²
};

// The first `first` rows of columns [first, first + size) of U, as packed f32 weights of `first` inputs.
void PackColumns(const Hessian& factor, int first, int size, std::vector<float>& packed) {
  const int panels = (size + kPanel - 1) / kPanel;
  packed.resize(static_cast<size_t>(panels) * kPanel * static_cast<size_t>(first));
  for (int panel = 0; panel < panels; ++panel) {
    const auto width = static_cast<size_t>(std::min(kPanel, size - panel * kPanel));
    float* at = packed.data() + int64_t{panel} * first * kPanel;
    for (int i = 0; i < first; ++i, at += kPanel) {
      std::memcpy(at, factor.Row(i) + first + panel * kPanel, sizeof(float) * width);
    }
  }
}

// Rounds w[rows][k], which becomes the errors, into `codes`.
void RoundRows(const Rounder& rounder, const Hessian& factor, std::span<float> w, std::span<QuantizedRow> codes,
               const kernels::KernelTable& kernels, ThreadPool& threads) {
  const int k = factor.k();
  std::vector<float> packed;
  for (int first = 0; first < k; first += kBlock) {
    const int size = std::min(kBlock, k - first);
    PackColumns(factor, first, size, packed);
    threads.ParallelFor(static_cast<int64_t>(codes.size()), [&](int64_t begin, int64_t end, int) {
      std::vector<float> sums(static_cast<size_t>(end - begin) * kBlock);
      kernels::MatmulArgs args{};
      args.x = w.data() + begin * k;
      args.x_stride = k;
      args.w = packed.data();
      args.y = sums.data();
      args.y_stride = kBlock;
      args.multiplier = 1;
      args.rows = static_cast<int32_t>(end - begin);
      args.n = size;
      args.k = args.k_padded = first;
      args.panel_end = (size + kPanel - 1) / kPanel;
      if (first > 0 && args.rows > 0) kernels.matmul_f32(args);
      BlockSums row_sums;
      for (int64_t r = begin; r < end; ++r) {
        std::copy_n(sums.begin() + (r - begin) * kBlock, kBlock, row_sums.begin());
        rounder.RoundBlock(first, size, row_sums, w.subspan(static_cast<size_t>(r * k), static_cast<size_t>(k)),
                           codes[static_cast<size_t>(r)]);
      }
    });
  }
}

}  // namespace

Result<PackedMatrix> GptqPack(const Format& format, int n, int k, const RowReader& read_row, const Hessian& factor,
                              const kernels::KernelTable& kernels, ThreadPool& threads) {
  LODESTONE_CHECK(factor.k() == k && IsInteger(format.code));
  const PackedShape shape{.format = format, .n = n, .k = k};
  LODESTONE_RETURN_IF_ERROR(CheckPackedShape(shape));
  LODESTONE_ASSIGN_OR_RETURN(PackedMatrix packed, AllocatePacked(shape));
  const Rounder rounder(format, factor);
  const int64_t fit = kChunkBytes / (int64_t{4} * k) / kPanel * kPanel;
  const int chunk = static_cast<int>(std::clamp<int64_t>(fit, kPanel, packed.panels() * kPanel));
  std::vector<float> w(static_cast<size_t>(std::min(chunk, n)) * static_cast<size_t>(k));
  std::vector<QuantizedRow> codes;
  for (int first = 0; first < n; first += chunk) {
    const int rows = std::min(chunk, n - first);
    codes.assign(static_cast<size_t>(rows), {});
    std::vector<std::optional<Error>> errors(static_cast<size_t>(threads.threads()));
    threads.ParallelFor(rows, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t r = begin; r < end && !errors[thread]; ++r) {
        const std::span<float> row = std::span(w).subspan(static_cast<size_t>(r * k), static_cast<size_t>(k));
        const int o = first + static_cast<int>(r);
        if (const Status read = read_row(o, row); !read.ok()) {
          errors[thread] = read.error();
        } else if (!std::isfinite(LargestMagnitude(row))) {
          const auto bad = std::find_if(row.begin(), row.end(), [](float value) { return !std::isfinite(value); });
          errors[thread] = Invalid(
              fmt::format("weight of output {}, input {} is {}; expected a finite number", o, bad - row.begin(), *bad));
        } else {
          rounder.Begin(row, codes[static_cast<size_t>(r)]);
        }
      }
    });
    for (const auto& error : errors) {
      if (error) return *error;
    }
    RoundRows(rounder, factor, std::span(w).first(static_cast<size_t>(rows) * static_cast<size_t>(k)), codes, kernels,
              threads);
    const CodeReader take = [&](int o, QuantizedRow& row) {
      row = std::move(codes[static_cast<size_t>(o - first)]);
      return Status();
    };
    LODESTONE_RETURN_IF_ERROR(PackCodePanels(first / kPanel, (first + rows + kPanel - 1) / kPanel, take, packed));
  }
  return packed;
}

}  // namespace lodestone
