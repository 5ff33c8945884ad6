#include "timing/northpole.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/overloaded.h"

namespace lodestone {
namespace {

enum Unit { kMatrixUnit, kMemoryUnit, kVectorUnit, kActivationUnit, kUnits };
constexpr std::array<Bound, kUnits> kBoundOf = {Bound::kMatrix, Bound::kMemory, Bound::kVector, Bound::kVector};
constexpr size_t kBounds = 4;

// What the four units have to do, one entry a unit.
using PerUnit = std::array<double, kUnits>;

// Work is affine in the load (work.h), so five evaluations at Map time say all of it.
struct AffineWork {
  PerUnit constant{}, per_row{}, per_logit_row{}, per_context{}, per_kv_token{};
};

struct MappedOp {
  const char* name = "";
  AffineWork work;
  PerUnit rate{};       // what a unit does in a cycle
  double overhead = 0;  // cycles
  double count = 1;     // layers that run it
  bool on_card = true;
  bool needs_logits = false;  // not started where no logits are wanted
};

// Values that go through the activation-function unit.
double ActivationValues(const Op& op, const Load& load) {
  return std::visit(Overloaded{
                        [&](const Gate& gate) { return static_cast<double>(load.rows) * gate.n; },
                        [&](const Attend& attend) { return static_cast<double>(load.context_sum) * attend.heads; },
                        [](const Embed&) { return 0.0; },
                        [](const Norm&) { return 0.0; },
                        [](const Quantize&) { return 0.0; },
                        [](const Linear&) { return 0.0; },
                        [](const Rotate&) { return 0.0; },
                        [](const StoreKv&) { return 0.0; },
                        [](const Add&) { return 0.0; },
                        [](const Collective&) { return 0.0; },
                    },
                    op);
}

PerUnit UnitWork(const Segment& segment, size_t index, const Load& load) {
  const Work work = WorkOf(segment, index, load);
  PerUnit units{};
  units[kMatrixUnit] = static_cast<double>(work.matrix_ops);
  units[kMemoryUnit] = static_cast<double>(work.weight_bytes() + work.kv_bytes() + work.activation_read_bytes +
                                           work.activation_write_bytes);
  units[kVectorUnit] = static_cast<double>(work.vector_ops);
  units[kActivationUnit] = ActivationValues(segment.ops[index], load);
  return units;
}

PerUnit Difference(const PerUnit& a, const PerUnit& b) {
  PerUnit difference{};
  for (size_t u = 0; u < kUnits; ++u) difference[u] = a[u] - b[u];
  return difference;
}

AffineWork AffineWorkOf(const Segment& segment, size_t index) {
  AffineWork work;
  work.constant = UnitWork(segment, index, Load{});
  const auto slope = [&](const Load& unit) { return Difference(UnitWork(segment, index, unit), work.constant); };
  work.per_row = slope({.rows = 1});
  work.per_logit_row = slope({.logit_rows = 1});
  work.per_context = slope({.context_sum = 1});
  work.per_kv_token = slope({.kv_tokens_read = 1});
  return work;
}

// The load's five numbers as reals: sums of integers below 2^53, so they are exact for any load that fits a machine.
struct RealLoad {
  double rows, logit_rows, context, kv_tokens;
};
RealLoad ToReal(const Load& load) {
  const auto real = [](int64_t n) { return static_cast<double>(std::max<int64_t>(n, 0)); };
  return {real(load.rows), real(load.logit_rows), real(load.context_sum), real(load.kv_tokens_read)};
}

struct OpCycles {
  double work = 0;  // of the slowest unit, rounded up
  double overhead = 0;
  Bound unit = Bound::kMatrix;  // of the slowest unit
  double total() const { return work + overhead; }
};

// Quotients of integers below 2^53 round to nearest, so ⌈·⌉ of an exact quotient is exact and of any other right.
OpCycles CyclesOf(const MappedOp& op, const RealLoad& load) {
  OpCycles cycles;
  if (!op.on_card || (op.needs_logits && load.logit_rows == 0)) return cycles;
  PerUnit unit_cycles{};
  const AffineWork& w = op.work;
  for (size_t u = 0; u < kUnits; ++u) {
    const double amount = w.constant[u] + w.per_row[u] * load.rows + w.per_logit_row[u] * load.logit_rows +
                          w.per_context[u] * load.context + w.per_kv_token[u] * load.kv_tokens;
    unit_cycles[u] = amount / op.rate[u];
  }
  size_t slowest = 0;
  for (size_t u = 1; u < kUnits; ++u) {
    if (unit_cycles[u] > unit_cycles[slowest]) slowest = u;
  }
  cycles.work = std::ceil(unit_cycles[slowest]);
  cycles.unit = kBoundOf[slowest];
  cycles.overhead = op.overhead;
  return cycles;
}

// What crosses the card's link: the residual stream a row, or f32 logits a row that wants them.
struct LinkBytes {
  int64_t in_per_row = 0, out_per_row = 0, out_per_logit_row = 0;
};

LinkBytes LinkBytesOf(const Program& program) {
  int64_t hidden = 0, logits = 0;
  // The stream is rounded where it is written. An output layer on a card of its own only reads it: f32 if its recipe
  // computes in f32, otherwise bf16 (recipe.h).
  std::optional<Code> written;
  Code read = Code::kBf16;
  const auto write = [&](Code code, int n) {
    written = code;
    hidden = n;
  };
  for (const Segment& segment : program.segments) {
    for (const Op& op : segment.ops) {
      std::visit(Overloaded{
                     [&](const Embed& embed) { write(embed.stream, embed.n); },
                     [&](const Add& add) { write(add.stream_code, add.n); },
                     [&](const Norm& norm) {
                       if (norm.in == Reg::kStream) hidden = norm.n * norm.groups;
                     },
                     [&](const Linear& linear) {
                       if (linear.out != Reg::kLogits) return;
                       logits = linear.n;
                       if (linear.input.code == Code::kF32) read = Code::kF32;
                     },
                     [](const Quantize&) {},
                     [](const Rotate&) {},
                     [](const StoreKv&) {},
                     [](const Attend&) {},
                     [](const Gate&) {},
                     [](const Collective&) {},
                 },
                 op);
    }
  }
  LinkBytes bytes;
  bytes.in_per_row = CodeBytes(written.value_or(read), 1, hidden);
  if (logits > 0) {
    bytes.out_per_logit_row = CodeBytes(Code::kF32, 1, logits);
  } else {
    bytes.out_per_row = bytes.in_per_row;
  }
  return bytes;
}

class NorthPoleStage final : public StageTiming {
 public:
  NorthPoleStage(std::vector<MappedOp> ops, LinkBytes link, double clock_hz)
      : ops_(std::move(ops)), link_(link), ps_per_cycle_(1e12 / clock_hz) {}

  StageCost Evaluate(const Load& load) const override {
    StageCost cost;
    if (load.rows <= 0) return cost;
    const RealLoad real = ToReal(load);
    std::array<double, kBounds> cycles{};
    for (const MappedOp& op : ops_) {
      const OpCycles once = CyclesOf(op, real);
      cycles[static_cast<size_t>(once.unit)] += op.count * once.work;
      cycles[static_cast<size_t>(Bound::kOverhead)] += op.count * once.overhead;
    }
    double total = 0;
    for (double part : cycles) total += part;
    cost.time = ToTime(total);
    cost.bound = static_cast<Bound>(std::max_element(cycles.begin(), cycles.end()) - cycles.begin());
    cost.input_bytes = link_.in_per_row * load.rows;
    cost.output_bytes = link_.out_per_row * load.rows + link_.out_per_logit_row * load.logit_rows;
    return cost;
  }

  std::vector<OperatorCost> Explain(const Load& load) const override {
    std::vector<OperatorCost> costs;
    costs.reserve(ops_.size());
    const RealLoad real = ToReal(load);
    // Rounding the running total, not each operator, keeps the sum equal to Evaluate's at any clock.
    double total = 0;
    for (const MappedOp& op : ops_) {
      const OpCycles once = load.rows > 0 ? CyclesOf(op, real) : OpCycles{};
      OperatorCost cost;
      cost.op = op.name;
      cost.count = static_cast<int>(op.count);
      cost.bound = once.work >= once.overhead && once.work > 0 ? once.unit : Bound::kOverhead;
      cost.time = ToTime(total + op.count * once.total()) - ToTime(total);
      total += op.count * once.total();
      costs.push_back(cost);
    }
    return costs;
  }

 private:
  // Cycles are whole numbers below 2^53 for any load of a real machine; beyond half the range of Time they saturate.
  Time ToTime(double cycles) const {
    constexpr double kMaxPs = 4e18;
    return {static_cast<int64_t>(std::min(cycles * ps_per_cycle_ + 0.5, kMaxPs))};
  }

  std::vector<MappedOp> ops_;
  LinkBytes link_;
  double ps_per_cycle_;
};

class NorthPoleTiming final : public Timing {
 public:
  NorthPoleTiming(const ChipSpec& chip, Fidelity fidelity) : chip_(chip) {
    if (fidelity == Fidelity::kCalibrated) return;
    chip_.matrix_efficiency.value = chip_.memory_efficiency.value = chip_.vector_efficiency.value = 1;
    chip_.operator_overhead_cycles.value = 0;
  }

  Result<std::unique_ptr<StageTiming>> Map(const Stage& stage) const override {
    std::vector<MappedOp> ops;
    for (const Segment& segment : stage.program.segments) {
      for (size_t i = 0; i < segment.ops.size(); ++i) {
        LODESTONE_ASSIGN_OR_RETURN(MappedOp op, MapOp(segment, i, stage.label));
        ops.push_back(op);
      }
    }
    return std::unique_ptr<StageTiming>(
        std::make_unique<NorthPoleStage>(std::move(ops), LinkBytesOf(stage.program), chip_.clock_hz.value));
  }

 private:
  Result<MappedOp> MapOp(const Segment& segment, size_t index, const std::string& label) const {
    const Op& op = segment.ops[index];
    MappedOp mapped;
    mapped.name = NameOf(op);
    mapped.count = segment.repeat;
    const Load one{.rows = 1, .logit_rows = 1, .sequences = 1, .context_sum = 1, .context_max = 1, .kv_tokens_read = 1};
    const Work work = WorkOf(segment, index, one);
    mapped.on_card = !work.on_host && !std::holds_alternative<Collective>(op);
    const auto* linear = std::get_if<Linear>(&op);
    mapped.needs_logits = linear != nullptr && linear->last_rows_only;
    mapped.work = AffineWorkOf(segment, index);

    const double cores = chip_.cores.value;
    const double vector_share = chip_.vector_efficiency.value;
    mapped.rate[kMatrixUnit] = 1;
    mapped.rate[kMemoryUnit] = cores * chip_.memory_bytes_per_core_cycle.value * chip_.memory_efficiency.value;
    mapped.rate[kVectorUnit] = cores * chip_.vector_lanes_per_core.value * vector_share;
    mapped.rate[kActivationUnit] = cores * chip_.activation_lanes_per_core.value * vector_share;
    if (work.matrix_ops > 0) {
      const std::optional<double> ops_per_core_cycle = MatrixRate(work.matrix_code);
      if (!ops_per_core_cycle) {
        return Infeasible(fmt::format(
            "{}: {} multiplies in {}, and this chip multiplies int8, int4 and int2 matrices only; choose a recipe "
            "whose weights, activations and KV are integers, such as w4a8 or w4a4",
            label, mapped.name, ToString(work.matrix_code)));
      }
      mapped.rate[kMatrixUnit] = cores * *ops_per_core_cycle * chip_.matrix_efficiency.value;
    }
    const bool continues =
        index > 0 && segment.fusion[index] != 0 && segment.fusion[index] == segment.fusion[index - 1];
    mapped.overhead = continues ? 0 : chip_.operator_overhead_cycles.value;
    return mapped;
  }

  std::optional<double> MatrixRate(Code code) const {
    switch (code) {
      case Code::kInt8:
      case Code::kUint8:
        return chip_.int8_ops_per_core_cycle.value;
      case Code::kInt4:
      case Code::kUint4:
        return chip_.int4_ops_per_core_cycle.value;
      case Code::kF32:
      case Code::kF16:
      case Code::kBf16:
        return std::nullopt;
    }
    return std::nullopt;
  }

  ChipSpec chip_;
};

}  // namespace

std::unique_ptr<Timing> MakeNorthPoleTiming(const ChipSpec& chip, Fidelity fidelity) {
  return std::make_unique<NorthPoleTiming>(chip, fidelity);
}

}  // namespace lodestone
