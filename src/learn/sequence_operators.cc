// Operators that see where a row stands in its sequence: the embedding and attention.
#include "base/status.h"
#include "learn/operators.h"
#include "numerics/rounding.h"

namespace lodestone {

Operators::Operators(const kernels::KernelTable& kernels, const kernels::TrainingTable& training, ThreadPool& threads)
    : kernels_(kernels), training_(training), threads_(threads), attention_scratch_(threads.threads()) {}

int64_t Operators::scratch_bytes() const {
  auto bytes = static_cast<int64_t>(partials_.capacity() * sizeof(float));
  for (const AlignedBuffer& buffer : attention_scratch_) bytes += static_cast<int64_t>(buffer.size());
  return bytes;
}

void Operators::Embed(const lodestone::Embed& op, BatchShape shape, std::span<const int32_t> tokens, const float* table,
                      const float* positions, float* out) {
  const bool bf16_tables = op.code == Code::kBf16, bf16_stream = op.stream == Code::kBf16;
  const auto rounded = [](float value, bool to_bf16) { return to_bf16 ? Bf16ToFloat(FloatToBf16(value)) : value; };
  const int64_t n = op.n;
  threads_.ParallelFor(shape.rows(), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      const float* token = table + tokens[row] * n;
      const float* position = positions == nullptr ? nullptr : positions + row % shape.length * n;
      for (int64_t i = 0; i < n; ++i) {
        float value = op.multiplier * rounded(token[i], bf16_tables);
        if (position != nullptr) value += rounded(position[i], bf16_tables);
        out[row * n + i] = rounded(value, bf16_stream);
      }
    }
  });
}

void Operators::EmbedBackward(const lodestone::Embed& op, BatchShape shape, std::span<const int32_t> tokens,
                              const float* out_gradient, float* table_gradient, float* positions_gradient) {
  constexpr int64_t kColumns = 16;  // of a cache line, so that threads write no line together
  const int64_t n = op.n;
  // Shared by columns: rows with the same token meet in the order of the batch.
  threads_.ParallelFor((n + kColumns - 1) / kColumns, [&](int64_t begin, int64_t end, int) {
    const int64_t first = begin * kColumns, last = std::min(end * kColumns, n);
    for (int64_t row = 0; row < shape.rows(); ++row) {
      const float* gradient = out_gradient + row * n;
      float* token = table_gradient + tokens[row] * n;
      for (int64_t i = first; i < last; ++i) token[i] += op.multiplier * gradient[i];
      if (positions_gradient == nullptr) continue;
      float* position = positions_gradient + row % shape.length * n;
      for (int64_t i = first; i < last; ++i) position[i] += gradient[i];
    }
  });
}

// Sequence and KV head number `index` of the batch.
kernels::SequenceAttention Operators::SequenceOf(const lodestone::Attend& op, BatchShape shape,
                                                 const AttentionValues& values, int64_t index) const {
  const int64_t sequence = index / op.kv_heads, head = index % op.kv_heads;
  const int64_t group = op.heads / op.kv_heads, row = sequence * shape.length;
  const int64_t q_stride = int64_t{op.heads} * op.head_dim, kv_stride = int64_t{op.kv_heads} * op.head_dim;
  const int64_t q_at = row * q_stride + head * group * op.head_dim, kv_at = row * kv_stride + head * op.head_dim;
  return {.length = shape.length,
          .group = static_cast<int32_t>(group),
          .head_dim = op.head_dim,
          .window = static_cast<int32_t>(op.window),
          .scale = op.scale,
          .bf16 = op.kv.code == Code::kBf16,
          .q = values.q + q_at,
          .k = values.k + kv_at,
          .v = values.v + kv_at,
          .q_stride = q_stride,
          .kv_stride = kv_stride,
          .out = values.out + q_at,
          .lse = values.lse + index * group * shape.length};
}

float* Operators::AttentionScratch(const kernels::SequenceAttention& sequence, int thread) {
  const size_t bytes = sizeof(float) * training_.attention_scratch(sequence);
  AlignedBuffer& buffer = attention_scratch_[thread];
  if (buffer.size() < bytes) {
    buffer = AlignedBuffer(bytes);
    LODESTONE_CHECK(buffer.size() > 0);
  }
  return reinterpret_cast<float*>(buffer.data());
}

void Operators::Attend(const lodestone::Attend& op, BatchShape shape, const AttentionValues& values) {
  threads_.ParallelFor(int64_t{shape.sequences} * op.kv_heads, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t i = begin; i < end; ++i) {
      const kernels::SequenceAttention sequence = SequenceOf(op, shape, values, i);
      training_.attention_forward(sequence, AttentionScratch(sequence, thread));
    }
  });
}

void Operators::AttendBackward(const lodestone::Attend& op, BatchShape shape, const AttentionValues& values,
                               const AttentionGradients& gradients) {
  threads_.ParallelFor(int64_t{shape.sequences} * op.kv_heads, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t i = begin; i < end; ++i) {
      const kernels::SequenceAttention sequence = SequenceOf(op, shape, values, i);
      const int64_t q_at = sequence.q - values.q, kv_at = sequence.k - values.k;
      training_.attention_backward(sequence,
                                   {.out_gradient = gradients.out + q_at,
                                    .q_gradient = gradients.q + q_at,
                                    .k_gradient = gradients.k + kv_at,
                                    .v_gradient = gradients.v + kv_at,
                                    .p_step_gradient = nullptr},
                                   AttentionScratch(sequence, thread));
    }
  });
}

}  // namespace lodestone
