#include "program/training_work.h"

#include <array>
#include <vector>

#include "base/overloaded.h"
#include "program/registers.h"

namespace lodestone {
namespace {

constexpr int kGradientBytes = 4;  // of a weight's gradient while it is summed

bool IsFloatConversion(const Op& op) {
  const auto* quantize = std::get_if<Quantize>(&op);
  return quantize != nullptr && !IsScaled(quantize->to.code);
}

int64_t ExpertParameters(const Experts& e) {
  return int64_t{e.held} * (e.gated ? 3 : 2) * e.n * e.ffn + int64_t{e.experts} * e.n;
}

// Which value each register holds while operators run, and what is kept of them.
class Keeper {
 public:
  Keeper() { value_of_.fill(-1); }

  void Add(const Op& op) {
    if (IsFloatConversion(op)) {
      const auto& quantize = std::get<Quantize>(op);
      ValueOf(quantize.out) = Held(quantize.in);
      return;
    }
    std::visit(Overloaded{
                   [&](const Norm& o) { Keep(o.in, int64_t{o.n} * o.groups); },
                   [&](const Quantize& o) { Keep(o.in, o.n); },
                   [&](const Linear& o) { Keep(o.in, o.k); },
                   [&](const Attend& o) {
                     const int64_t q = int64_t{o.heads} * o.head_dim, kv = int64_t{o.kv_heads} * o.head_dim;
                     Keep(o.q, q);
                     Keep(Reg::kK, kv);
                     Keep(Reg::kV, kv);
                     ValueOf(o.out) = Fresh();
                     Keep(o.out, q);
                     kept_.statistics += o.heads;
                     if (o.materialised) kept_.score_heads += o.heads;
                   },
                   [&](const Gate& o) {
                     Keep(o.gate, o.n);
                     if (o.up) Keep(*o.up, o.n);
                   },
                   [&](const Experts& o) {
                     Keep(o.in, o.n);
                     // Of each picked expert: the products that the activation function reads, and its result.
                     kept_.values += int64_t{o.per_token} * o.ffn * (o.gated ? 3 : 2);
                   },
                   [](const Embed&) {},
                   [](const Rotate&) {},
                   [](const StoreKv&) {},
                   [](const lodestone::Add&) {},
                   [](const Collective&) {},
               },
               op);
    if (std::holds_alternative<Attend>(op)) return;
    const RegisterUses uses = UsesOf(op);
    for (const RegisterUse& use : uses.writes()) ValueOf(use.reg) = Fresh();
  }

  KeptRow Take() const { return kept_; }

 private:
  int& ValueOf(Reg reg) { return value_of_[static_cast<size_t>(reg)]; }
  int Fresh() {
    is_kept_.push_back(false);
    return static_cast<int>(is_kept_.size()) - 1;
  }
  int Held(Reg reg) {
    if (ValueOf(reg) < 0) ValueOf(reg) = Fresh();  // what an earlier part left
    return ValueOf(reg);
  }
  void Keep(Reg reg, int64_t values) {
    const auto value = static_cast<size_t>(Held(reg));
    if (is_kept_[value]) return;
    is_kept_[value] = true;
    kept_.values += values;
  }

  std::array<int, static_cast<size_t>(Reg::kCount)> value_of_{};
  std::vector<bool> is_kept_;
  KeptRow kept_;
};

}  // namespace

Work BackwardOf(const Op& op, const Load& load) {
  Work work = WorkOf(op, load);
  const Work forward = work;
  work.kv_write_code_bytes = work.kv_write_scale_bytes = 0;
  // Gradients of what it wrote come in beside what it read; gradients of what it read go out.
  work.activation_read_bytes = forward.activation_read_bytes + forward.activation_write_bytes;
  work.activation_write_bytes = forward.activation_read_bytes;
  work.vector_ops = 2 * forward.vector_ops;
  const auto products = [&] {
    work.matrix_ops = 2 * forward.matrix_ops;
    work.activation_read_bytes += forward.activation_write_bytes;  // by either product
    work.weight_code_bytes += kGradientBytes * ParametersOf(op);
  };
  std::visit(Overloaded{
                 [&](const Embed& e) {  // adds a row's gradient to the table's
                   work.on_host = false;
                   work.vector_ops = int64_t{load.rows} * e.n;
                   work.activation_write_bytes = work.activation_read_bytes;
                 },
                 [](const Norm&) {},
                 [&](const Quantize&) {
                   if (IsFloatConversion(op)) work = {};
                 },
                 [&](const Linear&) { products(); },
                 [&](const Rotate&) { work.vector_ops = forward.vector_ops; },
                 [&](const StoreKv&) { work = {}; },  // K and V go to attention as they are
                 [&](const Attend& a) {
                   work.matrix_ops = a.materialised ? 2 * forward.matrix_ops : forward.matrix_ops * 5 / 2;
                   work.kv_write_code_bytes = forward.kv_read_code_bytes;  // their gradients
                 },
                 [](const Gate&) {},
                 [&](const Add&) { work.vector_ops = forward.vector_ops; },
                 [&](const Experts&) { products(); },
                 [](const Collective&) {},
             },
             op);
  return work;
}

double TrainingFlopsPerToken(const ModelConfig& config, int64_t sequence) {
  ModelConfig active = config;
  active.experts = config.experts_per_token;
  return 6 * static_cast<double>(ParameterCount(active)) +
         12.0 * config.layers * config.hidden * static_cast<double>(sequence);
}

int64_t ParametersOf(const Op& op) {
  return std::visit(
      Overloaded{
          [](const Embed& e) -> int64_t { return e.vocab * e.n + (e.positions ? e.max_positions * e.n : 0); },
          [](const Norm& o) -> int64_t { return int64_t{o.n} * (o.bias ? 2 : 1); },
          [](const Quantize& q) -> int64_t { return q.step ? 1 : 0; },
          [](const Linear& l) -> int64_t { return int64_t{l.n} * l.k + (l.bias ? l.n : 0); },
          [](const Rotate&) -> int64_t { return 0; },
          [](const StoreKv& s) -> int64_t { return (s.key_step ? 1 : 0) + (s.value_step ? 1 : 0); },
          [](const Attend& a) -> int64_t { return a.probability_step ? 1 : 0; },
          [](const Gate&) -> int64_t { return 0; },
          [](const Add&) -> int64_t { return 0; },
          [](const Experts& e) { return ExpertParameters(e); },
          [](const Collective&) -> int64_t { return 0; },
      },
      op);
}

int64_t ParametersOf(const Program& program) {
  int64_t parameters = 0;
  bool embedded = false;
  for (const Segment& segment : program.segments) {
    for (const Op& op : segment.ops) {
      embedded |= std::holds_alternative<Embed>(op);
      const auto* linear = std::get_if<Linear>(&op);
      // A tied table is one parameter, whoever reads it.
      if (linear != nullptr && linear->weight.kind == WeightKind::kEmbedding && embedded) continue;
      parameters += segment.repeat * ParametersOf(op);
    }
  }
  return parameters;
}

KeptRow KeptOf(std::span<const Op> ops) {
  Keeper keeper;
  for (const Op& op : ops) keeper.Add(op);
  return keeper.Take();
}

}  // namespace lodestone
