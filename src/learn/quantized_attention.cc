#include "learn/quantized_attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <memory>
#include <vector>

#include "executor/kv_store.h"
#include "kernels/kv_layout.h"
#include "learn/lsq.h"

namespace lodestone {
namespace {

constexpr int kBlock = kernels::kBlockTokens;

// K and V of one head of one sequence as the executor holds them.
class HeadBlocks {
 public:
  explicit HeadBlocks(const QuantizedAttention& a)
      : code_(KernelKvCode(a.kv)),
        head_dim_(a.head_dim),
        key_bytes_(kernels::KeyBlockBytes(code_, a.head_dim)),
        value_bytes_(kernels::ValueBlockBytes(code_, a.head_dim)) {
    const auto count = static_cast<size_t>((a.length + kBlock - 1) / kBlock);
    key_scales_.fill(a.key_step);
    value_scales_.fill(a.value_step);
    bytes_ = AlignedBuffer(count * static_cast<size_t>(key_bytes_ + value_bytes_));
    LODESTONE_CHECK(bytes_.size() > 0);
    for (size_t b = 0; b < count; ++b) {
      const std::byte* k = bytes_.data() + b * static_cast<size_t>(key_bytes_ + value_bytes_);
      blocks_.push_back(
          {.k = k, .v = k + key_bytes_, .k_scales = key_scales_.data(), .v_scales = value_scales_.data()});
    }
    codes_.resize(static_cast<size_t>(head_dim_));
  }
  HeadBlocks(const HeadBlocks&) = delete;

  // Rounds and stores the K and V of `length` positions, `stride` values apart.
  void Store(const kernels::KernelTable& kernels, const QuantizedAttention& a, const float* k, const float* v,
             int64_t stride) {
    const auto max_code = static_cast<float>(MaxCode(a.kv));
    const auto round = [&](const float* x, float step) {
      kernels.quantize({.x = x,
                        .codes = codes_.data(),
                        .scale = &step,
                        .n = head_dim_,
                        .n_padded = head_dim_,
                        .max_code = max_code,
                        .is_static = true});
      return codes_.data();
    };
    for (int t = 0; t < a.length; ++t) {
      std::byte* block = bytes_.data() + t / kBlock * (key_bytes_ + value_bytes_);
      kernels::StoreKey(code_, head_dim_, t % kBlock, round(k + t * stride, a.key_step), block);
      kernels::StoreValue(code_, head_dim_, t % kBlock, round(v + t * stride, a.value_step), block + key_bytes_);
    }
  }

  kernels::KvCode code() const { return code_; }
  const kernels::KvBlock* blocks() const { return blocks_.data(); }

 private:
  kernels::KvCode code_;
  int head_dim_;
  int64_t key_bytes_, value_bytes_;
  std::array<float, kBlock> key_scales_, value_scales_;
  AlignedBuffer bytes_;
  std::vector<kernels::KvBlock> blocks_;
  std::vector<int8_t> codes_;
};

// body(sequence, KV head, thread's state) for each pair, shared among the threads; `make` makes a state.
template <typename Make, typename Body>
void ForEachHead(const QuantizedAttention& a, ThreadPool& threads, const Make& make, const Body& body) {
  threads.ParallelFor(int64_t{a.sequences} * a.kv_heads, [&](int64_t begin, int64_t end, int) {
    auto state = make();
    for (int64_t i = begin; i < end; ++i) body(i, i / a.kv_heads, i % a.kv_heads, *state);
  });
}

kernels::SequenceAttention HeadOf(const QuantizedAttention& a) {
  kernels::SequenceAttention head;
  head.length = a.length;
  head.group = a.heads / a.kv_heads;
  head.head_dim = a.head_dim;
  head.window = a.window;
  head.scale = a.scale;
  head.q_stride = a.q_width();
  head.kv_stride = a.kv_width();
  return head;
}

// Probabilities of one query over the positions it sees, appended to `out`.
void AppendProbabilities(const QuantizedAttention& a, const float* q, const float* k, int position,
                         std::vector<float>& out) {
  const int first = a.window > 0 ? std::max(0, position + 1 - a.window) : 0;
  std::vector<double> scores;
  for (int t = first; t <= position; ++t) {
    double dot = 0;
    for (int d = 0; d < a.head_dim; ++d) dot += double{q[d]} * double{k[t * a.kv_width() + d]};
    scores.push_back(double{a.scale} * dot);
  }
  const double largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& score : scores) sum += score = std::exp(score - largest);
  for (const double score : scores) out.push_back(static_cast<float>(score / sum));
}

}  // namespace

void QuantizedAttentionForward(const kernels::KernelTable& kernels, ThreadPool& threads, const QuantizedAttention& a,
                               const int8_t* q, int64_t q_stride, const float* k, const float* v, float* out) {
  struct State {
    explicit State(const QuantizedAttention& a)
        : blocks(a),
          query_scales(static_cast<size_t>(a.heads / a.kv_heads), a.query_step),
          scratch(static_cast<size_t>((kernels::kAttendLanes + 1) * ((a.head_dim + 15) / 16 * 16))) {}
    HeadBlocks blocks;
    std::vector<float> query_scales, scratch;
  };
  const int group = a.heads / a.kv_heads;
  const int tile = std::max(1, kernels::kAttendLanes / group);
  ForEachHead(
      a, threads, [&] { return std::make_unique<State>(a); },
      [&](int64_t, int64_t sequence, int64_t head, State& state) {
        const int64_t first_row = sequence * a.length, kv_at = first_row * a.kv_width() + head * a.head_dim;
        state.blocks.Store(kernels, a, k + kv_at, v + kv_at, a.kv_width());
        kernels::AttendArgs args{};
        args.q_stride = q_stride;
        args.q_scales = state.query_scales.data();
        args.q_scales_stride = 0;  // one static step
        args.blocks = state.blocks.blocks();
        args.code = state.blocks.code();
        args.heads = group;
        args.head_dim = a.head_dim;
        args.window = a.window;
        args.scale = a.scale;
        args.p_max = static_cast<float>(MaxCode(a.probability));
        args.p_scale = a.probability_step;
        args.out_stride = a.q_width();
        args.scratch = state.scratch.data();
        args.step = kernels::AttendStep::kAll;
        const int64_t head_at = head * group * a.head_dim;
        for (int t = 0; t < a.length; t += tile) {
          args.q = q + (first_row + t) * q_stride + head_at;
          args.out = out + (first_row + t) * a.q_width() + head_at;
          args.rows = std::min(tile, a.length - t);
          args.context = t + 1;
          kernels.attend(args);
        }
      });
}

float InitialProbabilityStep(const QuantizedAttention& a, const float* q_values, const float* k_values) {
  constexpr int64_t kRows = 64;
  const int group = a.heads / a.kv_heads;
  const int64_t count = std::min(a.rows() * a.heads, kRows);
  std::vector<float> probabilities;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = (2 * i + 1) * a.rows() / (2 * count), head = i % a.heads, sequence = row / a.length;
    AppendProbabilities(a, q_values + row * a.q_width() + head * a.head_dim,
                        k_values + sequence * a.length * a.kv_width() + head / group * a.head_dim,
                        static_cast<int>(row % a.length), probabilities);
  }
  return InitialStep(probabilities, LsqRangeOf(a.probability));
}

void QuantizedAttentionBackward(const kernels::TrainingTable& kernels, ThreadPool& threads, const QuantizedAttention& a,
                                const float* q_values, const float* k_values, const float* v_values,
                                const QuantizedAttentionGradients& gradients) {
  const kernels::SequenceAttention shape = HeadOf(a);
  struct State {
    std::vector<float> lse, scratch;
  };
  const auto make = [&] {
    auto state = std::make_unique<State>();
    state->lse.resize(static_cast<size_t>(int64_t{shape.group} * a.length));
    state->scratch.resize(kernels.attention_scratch(shape));
    return state;
  };
  std::vector<double> step_gradients(static_cast<size_t>(int64_t{a.sequences} * a.kv_heads));
  ForEachHead(a, threads, make, [&](int64_t item, int64_t sequence, int64_t kv_head, State& state) {
    const int64_t first_row = sequence * a.length;
    const int64_t q_at = first_row * a.q_width() + kv_head * shape.group * a.head_dim;
    const int64_t kv_at = first_row * a.kv_width() + kv_head * a.head_dim;
    kernels::SequenceAttention head = shape;
    head.q = q_values + q_at;
    head.k = k_values + kv_at;
    head.v = v_values + kv_at;
    head.lse = state.lse.data();
    kernels.attention_forward(head, state.scratch.data());  // `lse` alone, with which P is computed again
    head.p_step = a.probability_step;
    head.p_max = static_cast<float>(MaxCode(a.probability));
    kernels.attention_backward(head,
                               {.out_gradient = gradients.out + q_at,
                                .q_gradient = gradients.q + q_at,
                                .k_gradient = gradients.k + kv_at,
                                .v_gradient = gradients.v + kv_at,
                                .p_step_gradient = &step_gradients[static_cast<size_t>(item)]},
                               state.scratch.data());
  });
  double sum = 0;
  for (const double gradient : step_gradients) sum += gradient;
  *gradients.probability_step += static_cast<float>(
      sum * double{LsqGradientScale(int64_t{a.heads} * a.length, static_cast<float>(MaxCode(a.probability)))});
}

}  // namespace lodestone
