#include "learn/quantized_operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/units.h"
#include "learn/lsq.h"

namespace lodestone {
namespace {

float* Floats(AlignedBuffer& buffer) { return reinterpret_cast<float*>(buffer.data()); }

Status Grow(AlignedBuffer& buffer, int64_t bytes) {
  if (static_cast<int64_t>(buffer.size()) >= bytes) return {};
  buffer = AlignedBuffer();  // given back before more is asked for
  buffer = AlignedBuffer(static_cast<size_t>(bytes));
  if (buffer.size() > 0) return {};
  return Infeasible(fmt::format(
      "the system refuses {} for quantised operators; take fewer or shorter sequences at a time", FormatBytes(bytes)));
}

float MaxCodeOf(Code code) { return static_cast<float>(MaxCode(code)); }

int64_t PaddedDepth(int64_t k) { return (k + kKStep - 1) / kKStep * kKStep; }

}  // namespace

QuantizedOperators::QuantizedOperators(std::span<const Part> parts, Parameters& parameters,
                                       const kernels::KernelTable& kernels, const kernels::TrainingTable& training,
                                       kernels::LinearProducts& products, ThreadPool& threads)
    : parameters_(parameters), kernels_(kernels), training_(training), products_(products), threads_(threads) {
  for (size_t p = 0; p < parts.size(); ++p) {
    for (size_t n = 0; n < parts[p].tape.nodes.size(); ++n) {
      const Op& op = *parts[p].tape.nodes[n].op;
      if (const auto* embed = std::get_if<Embed>(&op); embed != nullptr && embed->stream == Code::kBf16) {
        precision_ = kernels::Precision::kBf16;
      }
      if (const auto* attend = std::get_if<lodestone::Attend>(&op); attend != nullptr && IsInteger(attend->kv.code)) {
        code_width_ = std::max(code_width_, int64_t{attend->heads} * attend->head_dim);
      }
      const auto* linear = std::get_if<lodestone::Linear>(&op);
      if (linear == nullptr || !IsInteger(linear->weights.code)) continue;
      weights_.push_back({.part = p, .node = n, .op = linear, .bound = &parts[p].bound[n], .packed = {}});
      code_width_ = std::max(code_width_, PaddedDepth(linear->k));
      largest_weight_ = std::max(largest_weight_, int64_t{linear->n} * linear->k);
    }
  }
}

Status QuantizedOperators::Begin(BatchShape shape, bool backward) {
  if (weights_.empty()) return {};
  shape_ = shape;
  LODESTONE_RETURN_IF_ERROR(Grow(codes_, shape.rows() * code_width_));
  if (backward) {
    const auto bytes = static_cast<int64_t>(sizeof(float)) * largest_weight_;
    LODESTONE_RETURN_IF_ERROR(Grow(values_, bytes));
    LODESTONE_RETURN_IF_ERROR(Grow(gradients_, bytes));
  }
  for (Weight& weight : weights_) {
    const lodestone::Linear& op = *weight.op;
    const std::span<float> steps = parameters_.values(*weight.bound->weight_steps);
    if (std::find(steps.begin(), steps.end(), 0.0f) != steps.end()) {
      InitialWeightSteps(WeightOf(weight), op.n, op.k, MaxCode(op.weights.code), steps, threads_);
    }
    if (!weight.packed) {
      LODESTONE_ASSIGN_OR_RETURN(weight.packed, QuantizedWeight::Make(op.weights, op.n, op.k));
    }
    const Status packed = weight.packed->Refresh(WeightOf(weight), steps, threads_);
    if (packed.ok()) continue;
    return Error{packed.error().code,
                 fmt::format("{}: {}", ToString(weight.bound->weight->id), packed.error().message)};
  }
  return {};
}

void QuantizedOperators::Round(const float* x, int n, Code code, const Parameter* parameter, float* values) {
  float& step = StepAt(parameter);
  if (step == 0) {
    step = InitialStep({x, static_cast<size_t>(shape_.rows() * n)}, LsqRangeOf(code));
  }
  LsqValues(kernels_, threads_, x, n, shape_.rows(), n, step, MaxCodeOf(code), values, n);
}

void QuantizedOperators::RoundBackward(const float* x, int n, Code code, const Parameter* parameter,
                                       const float* dvalues, float* dx) {
  parameters_.gradients(*parameter)[0] +=
      LsqBackward(training_, threads_, x, n, dvalues, n, dx, n, shape_.rows(), n, StepAt(parameter), LsqRangeOf(code));
}

void QuantizedOperators::Quantize(const lodestone::Quantize& op, const Bound& bound, const float* x, float* values) {
  Round(x, op.n, op.to.code, bound.step, values);
}

void QuantizedOperators::QuantizeBackward(const lodestone::Quantize& op, const Bound& bound, const float* x,
                                          const float* dvalues, float* dx) {
  RoundBackward(x, op.n, op.to.code, bound.step, dvalues, dx);
}

void QuantizedOperators::StoreKv(const lodestone::StoreKv& op, const Bound& bound, const float* k, const float* v,
                                 float* k_values, float* v_values) {
  const int width = op.kv_heads * op.head_dim;
  Round(k, width, op.format.code, bound.step, k_values);
  Round(v, width, op.format.code, bound.value_step, v_values);
}

void QuantizedOperators::StoreKvBackward(const lodestone::StoreKv& op, const Bound& bound, const float* k,
                                         const float* v, const KvGradients& gradients) {
  const int width = op.kv_heads * op.head_dim;
  RoundBackward(k, width, op.format.code, bound.step, gradients.k_values, gradients.k);
  RoundBackward(v, width, op.format.code, bound.value_step, gradients.v_values, gradients.v);
}

QuantizedAttention QuantizedOperators::AttentionOf(const lodestone::Attend& op, const Bound& bound,
                                                   const AttentionInputs& in) {
  return {.sequences = shape_.sequences,
          .length = shape_.length,
          .heads = op.heads,
          .kv_heads = op.kv_heads,
          .head_dim = op.head_dim,
          .window = static_cast<int>(op.window),
          .scale = op.scale,
          .query = op.query.code,
          .kv = op.kv.code,
          .probability = op.probability.code,
          .query_step = in.q_step,
          .key_step = in.k_step,
          .value_step = in.v_step,
          .probability_step = StepAt(bound.step)};
}

void QuantizedOperators::Attend(const lodestone::Attend& op, const Bound& bound, const AttentionInputs& in,
                                float* out) {
  QuantizedAttention a = AttentionOf(op, bound, in);
  if (a.probability_step == 0) StepAt(bound.step) = a.probability_step = InitialProbabilityStep(a, in.q, in.k);
  const auto width = static_cast<int>(a.q_width());
  LsqForward(kernels_, threads_, in.q, width, a.rows(), width, width, in.q_step, MaxCodeOf(a.query), Codes());
  QuantizedAttentionForward(kernels_, threads_, a, Codes(), width, in.k, in.v, out);
}

void QuantizedOperators::AttendBackward(const lodestone::Attend& op, const Bound& bound, const AttentionInputs& in,
                                        const AttentionGradients& gradients) {
  QuantizedAttentionBackward(training_, threads_, AttentionOf(op, bound, in), in.q, in.k, in.v,
                             {.out = gradients.out,
                              .q = gradients.q,
                              .k = gradients.k,
                              .v = gradients.v,
                              .probability_step = &parameters_.gradients(*bound.step)[0]});
}

const QuantizedOperators::Weight& QuantizedOperators::At(size_t p, size_t n) const {
  const auto found =
      std::find_if(weights_.begin(), weights_.end(), [&](const Weight& w) { return w.part == p && w.node == n; });
  LODESTONE_CHECK(found != weights_.end());
  return *found;
}

kernels::LinearShape QuantizedOperators::ShapeOf(const Weight& weight) const {
  return {
      .rows = shape_.rows(), .n = weight.op->n, .k = weight.op->k, .precision = precision_, .mask = weight.bound->mask};
}

std::span<const float> QuantizedOperators::ValuesOf(const Weight& weight) {
  const std::span<float> values{Floats(values_), WeightOf(weight).size()};
  weight.packed->Values(WeightOf(weight), StepsOf(weight), values, threads_);
  return values;
}

float* QuantizedOperators::ZeroGradientOf(const Weight& weight) {
  std::memset(gradients_.data(), 0, WeightOf(weight).size_bytes());
  return Floats(gradients_);
}

void QuantizedOperators::PassToWeight(const Weight& weight) {
  weight.packed->Backward(training_, WeightOf(weight), StepsOf(weight), {Floats(gradients_), WeightOf(weight).size()},
                          parameters_.gradients(*weight.bound->weight),
                          parameters_.gradients(*weight.bound->weight_steps), threads_);
}

void QuantizedOperators::Linear(size_t p, size_t n, const float* x, float x_step, float* y) {
  const Weight& weight = At(p, n);
  const lodestone::Linear& op = *weight.op;
  const float* bias = weight.bound->bias == nullptr ? nullptr : parameters_.values(*weight.bound->bias).data();
  LsqForward(kernels_, threads_, x, op.k, shape_.rows(), op.k, weight.packed->packed().padded_k(), x_step,
             MaxCodeOf(op.input.code), Codes());
  QuantizedForward(kernels_, threads_, weight.packed->packed(), Codes(), x_step, shape_.rows(), bias, op.multiplier, y,
                   op.n);
}

void QuantizedOperators::LinearBackward(size_t p, size_t n, const float* x, const float* dy, bool accumulate,
                                        float* dx) {
  const Weight& weight = At(p, n);
  const lodestone::Linear& op = *weight.op;
  const Parameter* bias = weight.bound->bias;
  const kernels::LinearShape shape = ShapeOf(weight);
  products_.BackwardInput(shape, dy, op.n, ValuesOf(weight).data(), op.multiplier, accumulate, dx, op.k);
  products_.BackwardWeight(shape, dy, op.n, x, op.k, op.multiplier, ZeroGradientOf(weight),
                           bias == nullptr ? nullptr : parameters_.gradients(*bias).data());
  PassToWeight(weight);
}

void QuantizedOperators::Output(float x_step, bool backward, OutputLayer& layer) {
  const Weight& weight = weights_.back();
  layer.shape.precision = precision_;
  layer.quantized = {.weight = &weight.packed->packed(), .step = x_step, .max_code = MaxCodeOf(weight.op->input.code)};
  layer.weight = backward ? ValuesOf(weight).data() : nullptr;
}

float* QuantizedOperators::OutputGradient() { return ZeroGradientOf(weights_.back()); }

void QuantizedOperators::FinishOutput() { PassToWeight(weights_.back()); }

int64_t QuantizedOperators::bytes() const {
  auto bytes = static_cast<int64_t>(codes_.size() + values_.size() + gradients_.size());
  for (const Weight& weight : weights_) bytes += weight.packed ? weight.packed->packed().bytes() : 0;
  return bytes;
}

}  // namespace lodestone
