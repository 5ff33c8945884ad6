#include "program/work.h"

#include <algorithm>

#include "base/overloaded.h"
#include "program/registers.h"

namespace lodestone {
namespace {

// Elementwise steps a value; the header lists them.
constexpr int kRmsNormSteps = 4, kLayerNormSteps = 7, kDynamicSteps = 3, kStaticSteps = 2, kConvertSteps = 1;
constexpr int kRotateSteps = 3, kSoftmaxSteps = 7, kActivationSteps = 4, kProductSteps = 1, kAddSteps = 2;
constexpr int kScaleSteps = 2, kBiasSteps = 1;

int QuantizeSteps(const Format& to) {
  if (!IsInteger(to.code)) return to.code == Code::kF32 ? 0 : kConvertSteps;
  return to.scales == Scales::kStatic ? kStaticSteps : kDynamicSteps;
}

Code Wider(Code a, Code b) { return BitsOf(a) >= BitsOf(b) ? a : b; }

int64_t StepBytes(const std::optional<WeightRef>& step) { return step ? 4 : 0; }

// Operations and resident bytes; activation bytes are added from UsesOf.
Work Operations(const Op& op, const Load& load) {
  const int64_t rows = load.rows;
  return std::visit(
      Overloaded{
          [](const Embed&) {
            Work work;
            work.on_host = true;
            return work;
          },
          [&](const Norm& o) {
            Work work;
            const int64_t values = int64_t{o.n} * o.groups;
            work.vector_ops = rows * values * (o.kind == NormKind::kRms ? kRmsNormSteps : kLayerNormSteps);
            work.norm_bias_bytes = int64_t{o.n} * 4 * (o.bias ? 2 : 1);
            return work;
          },
          [&](const Quantize& q) {
            Work work;
            work.vector_ops = rows * q.n * QuantizeSteps(q.to);
            work.norm_bias_bytes = StepBytes(q.step);
            return work;
          },
          [&](const Linear& l) {
            Work work;
            const int64_t active = l.last_rows_only ? load.logit_rows : rows;
            work.matrix_ops = 2 * active * l.n * l.k;
            work.matrix_code = Wider(l.weights.code, l.input.code);
            int steps = IsInteger(l.weights.code) ? kScaleSteps : 0;
            if (l.bias) steps += kBiasSteps;
            work.vector_ops = active * l.n * steps;
            work.weight_code_bytes = CodeBytes(l.weights.code, l.n, l.k);
            work.weight_scale_bytes = WeightScaleBytes(l.weights, l.n, l.k);
            if (l.bias) work.norm_bias_bytes = int64_t{l.n} * 4;
            return work;
          },
          [&](const Rotate& r) {
            Work work;
            work.vector_ops = rows * r.heads * r.rope.rotary_dim * kRotateSteps;
            return work;
          },
          [&](const StoreKv& s) {
            Work work;
            const int64_t width = int64_t{s.kv_heads} * s.head_dim;
            work.vector_ops = rows * 2 * width * QuantizeSteps(s.format);
            work.kv_write_code_bytes = rows * 2 * CodeBytes(s.format.code, s.kv_heads, s.head_dim);
            work.kv_write_scale_bytes = 2 * ActivationScaleBytes(s.format, rows, s.kv_heads);
            work.norm_bias_bytes = StepBytes(s.key_step) + StepBytes(s.value_step);
            return work;
          },
          [&](const Attend& a) {
            Work work;
            work.matrix_ops = 4 * load.context_sum * a.heads * a.head_dim;  // Q·K and P·V
            work.matrix_code = Wider(Wider(a.query.code, a.kv.code), a.probability.code);
            work.vector_ops = load.context_sum * a.heads * kSoftmaxSteps;
            work.kv_read_code_bytes = load.kv_tokens_read * 2 * CodeBytes(a.kv.code, a.kv_heads, a.head_dim);
            work.kv_read_scale_bytes = 2 * ActivationScaleBytes(a.kv, load.kv_tokens_read, a.kv_heads);
            work.norm_bias_bytes = StepBytes(a.probability_step);
            return work;
          },
          [&](const Gate& g) {
            Work work;
            work.vector_ops = rows * g.n * (kActivationSteps + (g.up ? kProductSteps : 0));
            return work;
          },
          [&](const Add& a) {
            Work work;
            work.vector_ops = rows * a.n * kAddSteps;
            return work;
          },
          [](const Collective&) { return Work{}; },
      },
      op);
}

// Rows that the operator touches: the output layer only those whose logits are wanted.
int64_t ActiveRows(const Op& op, const Load& load) {
  const auto* linear = std::get_if<Linear>(&op);
  return linear != nullptr && linear->last_rows_only ? load.logit_rows : load.rows;
}

}  // namespace

Work& Work::operator+=(const Work& other) {
  if (other.matrix_ops > 0) {
    matrix_code = matrix_ops > 0 ? Wider(matrix_code, other.matrix_code) : other.matrix_code;
  }
  matrix_ops += other.matrix_ops;
  vector_ops += other.vector_ops;
  weight_code_bytes += other.weight_code_bytes;
  weight_scale_bytes += other.weight_scale_bytes;
  norm_bias_bytes += other.norm_bias_bytes;
  kv_read_code_bytes += other.kv_read_code_bytes;
  kv_read_scale_bytes += other.kv_read_scale_bytes;
  kv_write_code_bytes += other.kv_write_code_bytes;
  kv_write_scale_bytes += other.kv_write_scale_bytes;
  activation_read_bytes += other.activation_read_bytes;
  activation_write_bytes += other.activation_write_bytes;
  on_host = on_host && other.on_host;
  return *this;
}

Work WorkOf(const Op& op, const Load& load) {
  Work work = Operations(op, load);
  const int64_t rows = ActiveRows(op, load);
  const RegisterUses uses = UsesOf(op);
  for (const RegisterUse& use : uses.reads()) work.activation_read_bytes += rows * use.bytes_per_row;
  for (const RegisterUse& use : uses.writes()) work.activation_write_bytes += rows * use.bytes_per_row;
  return work;
}

Work WorkOf(const Segment& segment, size_t index, const Load& load) {
  const uint16_t id = segment.fusion[index];
  if (id == 0) return WorkOf(segment.ops[index], load);
  size_t begin = index, end = index + 1;
  while (begin > 0 && segment.fusion[begin - 1] == id) --begin;
  while (end < segment.ops.size() && segment.fusion[end] == id) ++end;

  Work work = Operations(segment.ops[index], load);
  const int64_t rows = load.rows;
  const RegisterUses uses = UsesOf(segment.ops[index]);
  for (const RegisterUse& use : uses.reads()) {
    bool inner = false;  // an earlier operator of the kernel wrote or read it: it is at hand
    for (size_t i = begin; i < index; ++i) {
      const RegisterUses earlier = UsesOf(segment.ops[i]);
      for (const RegisterUse& other : earlier.writes()) inner |= other.reg == use.reg;
      for (const RegisterUse& other : earlier.reads()) inner |= other.reg == use.reg;
    }
    if (!inner) work.activation_read_bytes += rows * use.bytes_per_row;
  }
  const std::vector<RegSet> live = LiveAfter(segment.ops);
  for (const RegisterUse& use : uses.writes()) {
    bool rewritten = false;  // a later operator of the kernel writes it again
    for (size_t i = index + 1; i < end; ++i) {
      const RegisterUses later = UsesOf(segment.ops[i]);
      for (const RegisterUse& other : later.writes()) rewritten |= other.reg == use.reg;
    }
    const bool leaves = use.reg == Reg::kStream || live[end - 1][static_cast<size_t>(use.reg)];
    if (leaves && !rewritten) work.activation_write_bytes += rows * use.bytes_per_row;
  }
  return work;
}

Work WorkOf(const Program& program, const Load& load) {
  Work total;
  total.on_host = true;  // until an operator that runs on a card is added
  for (const Segment& segment : program.segments) {
    Work once;
    once.on_host = true;
    for (size_t i = 0; i < segment.ops.size(); ++i) once += WorkOf(segment, i, load);
    for (int run = 0; run < segment.repeat; ++run) total += once;
  }
  return total;
}

Residency ResidencyOf(const Program& program) {
  Residency residency;
  const Load one_token{
      .rows = 1, .logit_rows = 1, .sequences = 1, .context_sum = 1, .context_max = 1, .kv_tokens_read = 1};
  for (const Segment& segment : program.segments) {
    const std::vector<RegSet> live = LiveAfter(segment.ops);
    std::array<int64_t, static_cast<size_t>(Reg::kCount)> bytes_of{};
    for (const Op& op : segment.ops) {
      const RegisterUses uses = UsesOf(op);
      for (const RegisterUse& use : uses.reads()) {
        bytes_of[static_cast<size_t>(use.reg)] = std::max(bytes_of[static_cast<size_t>(use.reg)], use.bytes_per_row);
      }
      for (const RegisterUse& use : uses.writes()) {
        bytes_of[static_cast<size_t>(use.reg)] = std::max(bytes_of[static_cast<size_t>(use.reg)], use.bytes_per_row);
      }
    }
    for (size_t i = 0; i < segment.ops.size(); ++i) {
      const Op& op = segment.ops[i];
      if (const auto* embed = std::get_if<Embed>(&op)) {
        residency.host_bytes += CodeBytes(embed->code, embed->vocab, embed->n);
        if (embed->positions) residency.host_bytes += CodeBytes(embed->code, embed->max_positions, embed->n);
        continue;
      }
      const Work work = Operations(op, one_token);
      residency.code_bytes += segment.repeat * work.weight_code_bytes;
      residency.scale_bytes += segment.repeat * work.weight_scale_bytes;
      residency.norm_bias_bytes += segment.repeat * work.norm_bias_bytes;
      residency.kv_code_bytes_per_token += segment.repeat * work.kv_write_code_bytes;
      residency.kv_scale_bytes_per_token += segment.repeat * work.kv_write_scale_bytes;

      RegSet alive = live[i];
      alive.set(static_cast<size_t>(Reg::kStream));
      const RegisterUses uses = UsesOf(op);
      for (const RegisterUse& use : uses.reads()) alive.set(static_cast<size_t>(use.reg));
      for (const RegisterUse& use : uses.writes()) alive.set(static_cast<size_t>(use.reg));
      int64_t sum = 0;
      for (size_t r = 0; r < alive.size(); ++r) {
        if (alive[r]) sum += bytes_of[r];
      }
      residency.activation_bytes_per_row = std::max(residency.activation_bytes_per_row, sum);
    }
  }
  return residency;
}

}  // namespace lodestone
