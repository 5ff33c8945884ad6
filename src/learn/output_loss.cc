#include "learn/output_loss.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/units.h"
#include "learn/lsq.h"
#include "learn/quantized_linear.h"

namespace lodestone {
namespace {

// Enough rows that reading and writing the weight gradient once a chunk costs little beside the products, and few
// beside what a model with so wide an output layer holds anyway.
constexpr int64_t kLogitBytes = int64_t{64} << 20;
constexpr int64_t kLeastRows = 16;

// Chunks of nearly equal size, whatever the number of threads.
int64_t RowsPerChunk(int64_t rows, int64_t n) {
  const int64_t most = std::max(kLeastRows, kLogitBytes / static_cast<int64_t>(sizeof(float)) / n);
  const int64_t chunks = (rows + most - 1) / most;
  return (rows + chunks - 1) / chunks;
}

}  // namespace

Status OutputLoss::Reserve(int64_t chunk, const OutputLayer& layer, const Distillation* distillation) {
  const auto floats = static_cast<int64_t>(sizeof(float)) * layer.shape.n;
  const auto grow = [&](AlignedBuffer& buffer, int64_t bytes) -> Status {
    if (static_cast<int64_t>(buffer.size()) >= bytes) return {};
    buffer = AlignedBuffer();  // given back before more is asked for
    buffer = AlignedBuffer(static_cast<size_t>(bytes));
    if (buffer.size() > 0) return {};
    return Infeasible(
        fmt::format("{} for the logits of {} rows were refused by the system", FormatBytes(bytes), chunk));
  };
  LODESTONE_RETURN_IF_ERROR(grow(logits_, chunk * floats));
  if (distillation == nullptr) return {};
  LODESTONE_RETURN_IF_ERROR(grow(teacher_logits_, chunk * floats));
  return grow(scratch_, threads_.threads() * 2 * floats);
}

void OutputLoss::Logits(const OutputLayer& layer, int64_t begin, int64_t rows, float* logits) {
  const int n = layer.shape.n, k = layer.shape.k;
  const float* x = layer.x + begin * k;
  const QuantizedOutput& quantized = layer.quantized;
  if (quantized.weight == nullptr) {
    kernels::LinearShape shape = layer.shape;
    shape.rows = rows;
    products_.Forward(shape, x, k, layer.weight, layer.bias, layer.multiplier, logits, n);
    return;
  }
  const int padded = quantized.weight->padded_k();
  if (static_cast<int64_t>(codes_.size()) < rows * padded) codes_ = AlignedBuffer(static_cast<size_t>(rows * padded));
  LODESTONE_CHECK(codes_.size() > 0);
  auto* codes = reinterpret_cast<int8_t*>(codes_.data());
  LsqForward(kernels_, threads_, x, k, rows, k, padded, quantized.step, quantized.max_code, codes);
  QuantizedForward(kernels_, threads_, *quantized.weight, codes, quantized.step, rows, layer.bias, layer.multiplier,
                   logits, n);
}

Result<Loss> OutputLoss::Run(const OutputLayer& layer, std::span<const int32_t> targets,
                             const OutputGradients* gradients, const Distillation* distillation) {
  const int64_t rows = layer.shape.rows, n = layer.shape.n, k = layer.shape.k;
  const int64_t chunk = RowsPerChunk(rows, n);
  LODESTONE_RETURN_IF_ERROR(Reserve(chunk, layer, distillation));
  auto* logits = reinterpret_cast<float*>(logits_.data());
  auto* teacher = reinterpret_cast<float*>(teacher_logits_.data());
  auto* scratch = reinterpret_cast<float*>(scratch_.data());
  const float scale = gradients == nullptr ? 0.0f : gradients->scale;

  Loss loss;
  for (int64_t begin = 0; begin < rows; begin += chunk) {
    kernels::LinearShape shape = layer.shape;
    shape.rows = std::min(chunk, rows - begin);
    const std::span<const int32_t> wanted =
        targets.subspan(static_cast<size_t>(begin), static_cast<size_t>(shape.rows));
    const int64_t counted = std::count_if(wanted.begin(), wanted.end(), [](int32_t target) { return target >= 0; });
    if (counted == 0) {
      if (gradients != nullptr) std::fill_n(gradients->x + begin * k, shape.rows * k, 0.0f);
      continue;
    }
    Logits(layer, begin, shape.rows, logits);
    if (distillation != nullptr) distillation->teacher(begin, shape.rows, teacher);
    losses_.assign(static_cast<size_t>(shape.rows), 0.0);
    threads_.ParallelFor(shape.rows, [&](int64_t first, int64_t last, int thread) {
      for (int64_t r = first; r < last; ++r) {
        float* row = logits + r * n;
        if (wanted[r] >= 0 && distillation != nullptr) {
          losses_[r] =
              DistilledCrossEntropy(training_, distillation->weight, distillation->temperature, row, teacher + r * n,
                                    static_cast<int32_t>(n), wanted[r], scale, scratch + thread * 2 * n);
        } else if (wanted[r] >= 0) {
          losses_[r] = training_.cross_entropy(row, static_cast<int32_t>(n), wanted[r], scale);
        } else {
          std::memset(row, 0, sizeof(float) * static_cast<size_t>(n));
        }
      }
    });
    for (const double row_loss : losses_) loss.nats += row_loss;
    loss.tokens += counted;
    if (!std::isfinite(loss.nats)) return loss;
    if (gradients == nullptr) continue;
    products_.BackwardInput(shape, logits, n, layer.weight, layer.multiplier, false, gradients->x + begin * k, k);
    products_.BackwardWeight(shape, logits, n, layer.x + begin * k, k, layer.multiplier, gradients->weight,
                             gradients->bias);
  }
  return loss;
}

}  // namespace lodestone
