#include "program/work.h"

#include <algorithm>
#include <cmath>

#include "base/overloaded.h"
#include "program/registers.h"

namespace lodestone {
namespace {

// Elementwise steps a value; the header lists them.
constexpr int kRmsNormSteps = 4, kLayerNormSteps = 7, kDynamicSteps = 3, kStaticSteps = 2, kConvertSteps = 1;
constexpr int kRotateSteps = 3, kSoftmaxSteps = 7, kActivationSteps = 4, kProductSteps = 1, kAddSteps = 2;
constexpr int kScaleSteps = 2, kBiasSteps = 1;

// Rounded up, of a number that is not negative. A few units in the last place above an integer are the integer.
int64_t CeilOf(double value) { return static_cast<int64_t>(std::ceil(value * (1 - 4e-15))); }

int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

int QuantizeSteps(const Format& to) {
  if (!IsScaled(to.code)) return to.code == Code::kF32 ? 0 : kConvertSteps;
  return to.scales == Scales::kStatic ? kStaticSteps : kDynamicSteps;
}

Code Wider(Code a, Code b) { return BitsOf(a) >= BitsOf(b) ? a : b; }

// Codes of an [n][k] weight as it is stored, with what says where they lie.
int64_t StoredBytes(Code code, const Sparsity& sparsity, int64_t n, int64_t k) {
  const double kept = static_cast<double>(n) * static_cast<double>(k) * (1 - sparsity.level);
  const int64_t kept_bytes = CeilOf(kept * BitsOf(code) / 8);
  switch (sparsity.pattern) {
    case Sparsity::Pattern::kNone:
      return CodeBytes(code, n, k);
    case Sparsity::Pattern::kUnstructured:
      return kept_bytes + n * CeilDivide(k, 8);
    case Sparsity::Pattern::kTwoOfFour:
      return kept_bytes + CeilOf(kept * 2 / 8);
    case Sparsity::Pattern::kTiles:
      return kept_bytes + CeilDivide(CeilDivide(n, Sparsity::kTile) * CeilDivide(k, Sparsity::kTile), 8);
  }
  return 0;
}

// Share of the products of a weight that are computed.
double ComputedShare(const Sparsity& sparsity) {
  return sparsity.pattern == Sparsity::Pattern::kTiles ? 1 - sparsity.level : 1;
}

// Share of a weight that at least one of `rows` needs, where each leaves out `idle` of it independently.
double NeededShare(double idle, double rows) { return idle > 0 ? 1 - std::pow(idle, rows) : 1; }

// One expert's matrices.
struct ExpertSize {
  int64_t codes = 0, scales = 0;  // bytes
  int64_t operations = 0;         // a row
  int64_t outputs = 0;            // values of its products
};

ExpertSize SizeOf(const Experts& e) {
  const int64_t in = e.gated ? 2 : 1;  // gate and up
  ExpertSize size;
  size.codes =
      in * StoredBytes(e.weights.code, e.sparsity, e.ffn, e.n) + StoredBytes(e.weights.code, e.sparsity, e.n, e.ffn);
  size.scales = in * WeightScaleBytes(e.weights, e.ffn, e.n) + WeightScaleBytes(e.weights, e.n, e.ffn);
  size.operations = CeilOf(2.0 * static_cast<double>((in + 1) * e.n * e.ffn) * ComputedShare(e.sparsity));
  size.outputs = in * e.ffn + e.n;
  return size;
}

// Expected pairs of a row and an expert that this device runs, and experts of its own that some row picks: rows pick
// independently and evenly.
struct Routed {
  int64_t pairs = 0, distinct = 0;
};

Routed RoutedOf(const Experts& e, int64_t rows) {
  const double share = 1.0 * e.held / e.experts, picked = 1.0 * e.per_token / e.experts;
  const auto r = static_cast<double>(rows);
  return {.pairs = CeilOf(r * e.per_token * share), .distinct = CeilOf(e.held * (1 - std::pow(1 - picked, r)))};
}

// What enters and leaves one expert for one row: its input gathered, the two products written and read, the inner
// product likewise, and its output.
int64_t InnerBytes(const Experts& e) {
  const int64_t products = 4 * int64_t{e.ffn} * (e.gated ? 2 : 1);
  return products + CodeBytes(e.inner.code, 1, e.ffn) + ActivationScaleBytes(e.inner, 1, 1) + 4 * int64_t{e.n};
}

Work WorkOfExperts(const Experts& e, int64_t rows) {
  const ExpertSize size = SizeOf(e);
  const auto [pairs, distinct] = RoutedOf(e, rows);
  Work work;
  work.matrix_ops = pairs * size.operations + 2 * rows * e.experts * e.n;
  work.matrix_code = Wider(e.weights.code, e.input.code);
  const int64_t steps = e.gated ? kActivationSteps + kProductSteps : kActivationSteps;
  work.vector_ops = rows * e.experts * kSoftmaxSteps +
                    pairs * (e.ffn * (steps + QuantizeSteps(e.inner)) +
                             (IsScaled(e.weights.code) ? kScaleSteps * size.outputs : 0) + kAddSteps * e.n);
  work.weight_code_bytes = distinct * size.codes + CodeBytes(e.router_code, e.experts, e.n);
  work.weight_scale_bytes = distinct * size.scales;
  work.activation_write_bytes = pairs * InnerBytes(e);
  work.activation_read_bytes =
      work.activation_write_bytes + pairs * (CodeBytes(e.input.code, 1, e.n) + ActivationScaleBytes(e.input, 1, 1));
  return work;
}

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
            const double needed = NeededShare(l.idle, static_cast<double>(active));
            work.matrix_ops = 2 * active * l.n * l.k;
            if (needed < 1 || l.sparsity.pattern == Sparsity::Pattern::kTiles) {
              work.matrix_ops = CeilOf(static_cast<double>(work.matrix_ops) * needed * ComputedShare(l.sparsity));
            }
            work.matrix_code = Wider(l.weights.code, l.input.code);
            int steps = IsScaled(l.weights.code) ? kScaleSteps : 0;
            if (l.bias) steps += kBiasSteps;
            work.vector_ops = active * l.n * steps;
            work.weight_code_bytes = StoredBytes(l.weights.code, l.sparsity, l.n, l.k);
            if (needed < 1) work.weight_code_bytes = CeilOf(static_cast<double>(work.weight_code_bytes) * needed);
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
            // Kernels that store scores compute whole rectangles of them and mask what lies ahead of a row.
            const int64_t scores = a.heads * (a.materialised ? rows * load.context_max : load.context_sum);
            work.matrix_ops = 4 * scores * a.head_dim;  // Q·K and P·V
            work.matrix_code = Wider(Wider(a.query.code, a.kv.code), a.probability.code);
            work.vector_ops = scores * kSoftmaxSteps;
            work.kv_read_code_bytes = load.kv_tokens_read * 2 * CodeBytes(a.kv.code, a.kv_heads, a.head_dim);
            work.kv_read_scale_bytes = 2 * ActivationScaleBytes(a.kv, load.kv_tokens_read, a.kv_heads);
            work.norm_bias_bytes = StepBytes(a.probability_step);
            if (a.materialised) {  // scores as f32 written, masked in place and read; P written and read
              work.activation_read_bytes = 2 * 4 * scores + CodeBytes(a.probability.code, 1, scores);
              work.activation_write_bytes = work.activation_read_bytes;
            }
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
          [&](const Experts& e) { return WorkOfExperts(e, rows); },
          [](const Collective&) { return Work{}; },
      },
      op);
}

// What stays on the device: of experts and of sparse rows all, whatever a pass reads.
Work ResidentOf(const Op& op) {
  Work work = Operations(
      op, {.rows = 1, .logit_rows = 1, .sequences = 1, .context_sum = 1, .context_max = 1, .kv_tokens_read = 1});
  if (const auto* linear = std::get_if<Linear>(&op)) {
    work.weight_code_bytes = StoredBytes(linear->weights.code, linear->sparsity, linear->n, linear->k);
  } else if (const auto* experts = std::get_if<Experts>(&op)) {
    const ExpertSize size = SizeOf(*experts);
    work.weight_code_bytes = experts->held * size.codes + CodeBytes(experts->router_code, experts->experts, experts->n);
    work.weight_scale_bytes = experts->held * size.scales;
  }
  return work;
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
    for (int run = 0; run < segment.runs(); ++run) total += once;
  }
  return total;
}

Residency ResidencyOf(const Program& program) {
  Residency residency;
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
      const Work work = ResidentOf(op);
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
      if (const auto* experts = std::get_if<Experts>(&op)) {
        sum += int64_t{experts->per_token} * InnerBytes(*experts);
      }
      residency.activation_bytes_per_row = std::max(residency.activation_bytes_per_row, sum);
    }
  }
  return residency;
}

}  // namespace lodestone
