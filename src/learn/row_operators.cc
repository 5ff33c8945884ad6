// Operators that treat each row by itself.
#include <algorithm>
#include <cstring>

#include "executor/kernel_activation.h"
#include "learn/operators.h"

namespace lodestone {
namespace {

// Gradients of norm weights are summed over so many blocks of rows, and the blocks' sums in order: enough to share
// among the threads of any machine of today, and a merge that costs nothing beside the rows.
constexpr int64_t kNormBlocks = 64;

}  // namespace

void Operators::Norm(const lodestone::Norm& op, BatchShape shape, const float* x, const float* weight,
                     const float* bias, float* y) {
  threads_.ParallelFor(shape.rows(), [&](int64_t begin, int64_t end, int) {
    for (int64_t run = begin * op.groups; run < end * op.groups; ++run) {
      kernels_.norm({.x = x + run * op.n,
                     .y = y + run * op.n,
                     .weight = weight,
                     .bias = bias,
                     .eps = op.eps,
                     .n = op.n,
                     .layer_norm = op.kind == NormKind::kLayer});
    }
  });
}

void Operators::NormBackward(const lodestone::Norm& op, BatchShape shape, const float* x, const float* dy,
                             const float* weight, bool accumulate, float* dx, float* weight_gradient,
                             float* bias_gradient) {
  const int64_t rows = shape.rows(), n = op.n;
  partials_.assign(static_cast<size_t>(kNormBlocks * 2 * n), 0.0f);
  threads_.ParallelFor(kNormBlocks, [&](int64_t begin, int64_t end, int) {
    for (int64_t block = begin; block < end; ++block) {
      float* sums = partials_.data() + block * 2 * n;
      const int64_t first = rows * block / kNormBlocks * op.groups;
      const int64_t last = rows * (block + 1) / kNormBlocks * op.groups;
      for (int64_t run = first; run < last; ++run) {
        training_.norm_backward({.x = x + run * n,
                                 .dy = dy + run * n,
                                 .weight = weight,
                                 .dx = dx + run * n,
                                 .dweight = sums,
                                 .dbias = bias_gradient == nullptr ? nullptr : sums + n,
                                 .eps = op.eps,
                                 .n = op.n,
                                 .layer_norm = op.kind == NormKind::kLayer,
                                 .accumulate = accumulate});
      }
    }
  });
  for (int64_t block = 0; block < kNormBlocks; ++block) {
    const float* sums = partials_.data() + block * 2 * n;
    for (int64_t i = 0; i < n; ++i) weight_gradient[i] += sums[i];
    if (bias_gradient == nullptr) continue;
    for (int64_t i = 0; i < n; ++i) bias_gradient[i] += sums[n + i];
  }
}

const RopeTable& Operators::TableOf(const Rope& rope, int length) {
  auto table = std::find_if(ropes_.begin(), ropes_.end(), [&](const RopeTable& t) { return t.rope() == rope; });
  if (table == ropes_.end()) table = ropes_.emplace(ropes_.end(), rope);
  table->Extend(length);
  return *table;
}

void Operators::Rotate(const lodestone::Rotate& op, BatchShape shape, const float* x, float* y) {
  const RopeTable& table = TableOf(op.rope, shape.length);
  const int64_t width = int64_t{op.heads} * op.head_dim;
  threads_.ParallelFor(shape.rows(), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      std::memcpy(y + row * width, x + row * width, sizeof(float) * static_cast<size_t>(width));
      kernels_.rope({.x = y + row * width,
                     .cos_sin = table.At(row % shape.length),
                     .heads = op.heads,
                     .head_dim = op.head_dim,
                     .rotary_dim = op.rope.rotary_dim});
    }
  });
}

void Operators::RotateBackward(const lodestone::Rotate& op, BatchShape shape, const float* dy, float* dx) {
  const RopeTable& table = TableOf(op.rope, shape.length);
  const int64_t width = int64_t{op.heads} * op.head_dim;
  threads_.ParallelFor(shape.rows(), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      std::memcpy(dx + row * width, dy + row * width, sizeof(float) * static_cast<size_t>(width));
      training_.rope_backward({.x = dx + row * width,
                               .cos_sin = table.At(row % shape.length),
                               .heads = op.heads,
                               .head_dim = op.head_dim,
                               .rotary_dim = op.rope.rotary_dim});
    }
  });
}

void Operators::Gate(const lodestone::Gate& op, BatchShape shape, const float* gate, const float* up, float* out) {
  const int64_t n = op.n;
  threads_.ParallelFor(shape.rows(), [&](int64_t begin, int64_t end, int) {
    for (int64_t at = begin * n; at < end * n; at += n) {
      kernels_.gate(gate + at, up == nullptr ? nullptr : up + at, out + at, op.n, KernelActivation(op.activation));
    }
  });
}

void Operators::GateBackward(const lodestone::Gate& op, BatchShape shape, const float* gate, const float* up,
                             const float* out_gradient, float* gate_gradient, float* up_gradient) {
  const int64_t n = op.n;
  threads_.ParallelFor(shape.rows(), [&](int64_t begin, int64_t end, int) {
    for (int64_t at = begin * n; at < end * n; at += n) {
      training_.gate_backward({.gate = gate + at,
                               .up = up == nullptr ? nullptr : up + at,
                               .dout = out_gradient + at,
                               .dgate = gate_gradient + at,
                               .dup = up == nullptr ? nullptr : up_gradient + at,
                               .n = op.n,
                               .act = KernelActivation(op.activation)});
    }
  });
}

void Operators::Add(const lodestone::Add& op, BatchShape shape, const float* x, const float* stream, float* out) {
  const int64_t n = op.n;
  threads_.ParallelFor(shape.rows(), [&](int64_t begin, int64_t end, int) {
    for (int64_t at = begin * n; at < end * n; at += n) {
      std::memcpy(out + at, stream + at, sizeof(float) * static_cast<size_t>(n));
      kernels_.add(out + at, x + at, op.multiplier, op.n, op.stream_code == Code::kBf16);
    }
  });
}

void Operators::AddBackward(const lodestone::Add& op, BatchShape shape, const float* stream_gradient, float* dx) {
  threads_.ParallelFor(shape.rows(), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin * op.n; i < end * op.n; ++i) dx[i] = op.multiplier * stream_gradient[i];
  });
}

}  // namespace lodestone
