#include "timing/northpole.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "timing/link_bytes.h"
#include "timing/mapper.h"
#include "timing/saturated.h"

namespace lodestone {
namespace {

Energy TimesEnergy(Energy energy, int64_t count) { return {Times(energy.pj, count)}; }
EnergyParts TimesEnergy(const EnergyParts& parts, int64_t count) {
  return {.matrix = TimesEnergy(parts.matrix, count),
          .memory = TimesEnergy(parts.memory, count),
          .vector = TimesEnergy(parts.vector, count),
          .network = TimesEnergy(parts.network, count)};
}

// What a stage takes so far: added operator by operator.
struct Totals {
  std::vector<int64_t> cycles;                 // a section
  std::array<int64_t, kResources> bound_by{};  // cycles by what an operator is bound by; its start apart
  EnergyParts energy;

  void Add(const OperatorRun& run, int64_t repeat, const EnergyParts& once) {
    const int64_t total = run.TotalCycles(), start = run.cycles[static_cast<size_t>(Resource::kStart)];
    const size_t longest = static_cast<size_t>(run.LongestWork());
    bound_by[longest] = Plus(bound_by[longest], Times(total - start, repeat));
    int64_t& starts = bound_by[static_cast<size_t>(Resource::kStart)];
    starts = Plus(starts, Times(start, repeat));
    energy += TimesEnergy(once, repeat);
  }
};

class NorthPoleStage final : public StageTiming {
 public:
  NorthPoleStage(const CoreArray& array, MappedStage mapped, LinkBytes link)
      : array_(array), mapped_(std::move(mapped)), link_(link) {
    int section = 0;
    for (const auto& segment : mapped_.segments) {
      int gathers = 0;
      for (const MappedOperator& op : segment) {
        placed_.push_back({&op, section + gathers, 0});
        gathers += op.is_collective() ? 1 : 0;
      }
      for (size_t i = placed_.size() - segment.size(); i < placed_.size(); ++i) placed_[i].sections_per_run = gathers;
      const int repeat = segment.empty() ? 0 : segment.front().repeat;
      section += gathers * repeat;
    }
    for (const Placed& placed : placed_) {
      if (std::holds_alternative<MappedAttention>(placed.op->work)) attention_.push_back(placed);
    }
    sections_ = section + 1;
    rows_totals_.cycles.resize(static_cast<size_t>(sections_));
    totals_ = rows_totals_;
    if (sections_ > 1) cost_.sections.resize(static_cast<size_t>(sections_));
  }

  const StageCost& Evaluate(const Load& load) override {
    if (load.rows <= 0) {
      SetNothing();
      return cost_;
    }
    // Decoding repeats the same rows at a growing context, so what depends on rows alone is kept.
    if (load.rows != rows_ || load.logit_rows != logit_rows_) EvaluateRows(load);
    totals_.cycles.assign(rows_totals_.cycles.begin(), rows_totals_.cycles.end());
    totals_.bound_by = rows_totals_.bound_by;
    totals_.energy = rows_totals_.energy;
    for (const Placed& placed : attention_) Add(placed, load, totals_);
    Finish();
    return cost_;
  }

  std::vector<OperatorCost> Explain(const Load& load) const override {
    std::vector<OperatorCost> costs;
    costs.reserve(placed_.size());
    // Rounding the running total, not each operator, keeps the sum equal to Evaluate's at any clock.
    int64_t total = 0;
    for (const Placed& placed : placed_) {
      const MappedOperator& mapped = *placed.op;
      const OperatorRun run = load.rows > 0 ? RunOf(mapped, array_, load) : OperatorRun{};
      OperatorCost cost;
      cost.op = mapped.op;
      cost.weight = mapped.weight;
      cost.count = mapped.repeat;
      cost.cycles = run.cycles;
      cost.total_cycles = run.TotalCycles();
      cost.bound = run.Bound();
      const int64_t after = Plus(total, Times(cost.total_cycles, mapped.repeat));
      cost.time = ToTime(after) - ToTime(total);
      total = after;
      cost.energy = TimesEnergy(array_.EnergyOf(run), mapped.repeat);
      cost.operations = Times(run.TotalOperations(), mapped.repeat);
      cost.memory_bytes = Times(run.memory_bytes, mapped.repeat);
      costs.push_back(std::move(cost));
    }
    return costs;
  }

  StageMapping Mapping() const override {
    StageMapping mapping;
    mapping.fullest_core_bytes = mapped_.fullest_core_bytes;
    mapping.core_memory_bytes = array_.core_memory_bytes;
    for (const Placed& placed : placed_) {
      const MappedOperator& mapped = *placed.op;
      mapping.operators.push_back({.op = mapped.op,
                                   .weight = mapped.weight,
                                   .layout = LayoutOf(mapped, array_),
                                   .cores = CoresOf(mapped, array_),
                                   .weight_bytes = mapped.weight_bytes,
                                   .kv_bytes = mapped.kv_bytes,
                                   .considered = mapped.considered});
    }
    return mapping;
  }

 private:
  // An operator and the section that its first run lies in; every further run lies `sections_per_run` later.
  struct Placed {
    const MappedOperator* op = nullptr;
    int section = 0, sections_per_run = 0;
  };

  void Add(const Placed& placed, const Load& load, Totals& totals) const {
    const OperatorRun run = RunOf(*placed.op, array_, load);
    const int repeat = placed.op->repeat;
    totals.Add(run, repeat, array_.EnergyOf(run));
    const int64_t once = run.TotalCycles();
    if (placed.sections_per_run == 0) {
      int64_t& cycles = totals.cycles[static_cast<size_t>(placed.section)];
      cycles = Plus(cycles, Times(once, repeat));
      return;
    }
    for (int r = 0; r < repeat; ++r) {
      int64_t& cycles = totals.cycles[static_cast<size_t>(placed.section + r * placed.sections_per_run)];
      cycles = Plus(cycles, once);
    }
  }

  void EvaluateRows(const Load& load) {
    rows_ = load.rows;
    logit_rows_ = load.logit_rows;
    std::fill(rows_totals_.cycles.begin(), rows_totals_.cycles.end(), 0);
    rows_totals_.bound_by = {};
    rows_totals_.energy = {};
    for (const Placed& placed : placed_) {
      if (!std::holds_alternative<MappedAttention>(placed.op->work)) Add(placed, load, rows_totals_);
      if (!placed.op->is_collective()) continue;
      for (int r = 0; r < placed.op->repeat; ++r) {
        cost_.sections[static_cast<size_t>(placed.section + r * placed.sections_per_run)].gather_bytes =
            Times(placed.op->gather_bytes_per_row, load.rows);
      }
    }
    cost_.input_bytes = Times(link_.in_per_row, load.rows);
    cost_.output_bytes =
        Plus(Times(link_.out_per_row, load.rows), Times(link_.out_per_logit_row, std::max(load.logit_rows, 0)));
  }

  void Finish() {
    int64_t total = 0;
    Time before;
    for (size_t s = 0; s < totals_.cycles.size(); ++s) {
      total = Plus(total, totals_.cycles[s]);
      const Time after = ToTime(total);
      if (!cost_.sections.empty()) cost_.sections[s].time = after - before;
      before = after;
    }
    cost_.time = before;
    cost_.bound = static_cast<Resource>(std::max_element(totals_.bound_by.begin(), totals_.bound_by.end()) -
                                        totals_.bound_by.begin());
    cost_.energy = totals_.energy;
  }

  void SetNothing() {
    rows_ = logit_rows_ = -1;
    cost_.time = {};
    cost_.bound = Resource::kStart;
    cost_.input_bytes = cost_.output_bytes = 0;
    cost_.energy = {};
    for (SectionCost& section : cost_.sections) section = {};
  }

  // Within a picosecond up to 2^53 of them, 2.5 hours; near half the range of Time it saturates.
  Time ToTime(int64_t cycles) const {
    constexpr double kMaxPs = 4e18;
    return {static_cast<int64_t>(std::min(static_cast<double>(cycles) * array_.ps_per_cycle + 0.5, kMaxPs))};
  }

  CoreArray array_;
  MappedStage mapped_;
  LinkBytes link_;
  std::vector<Placed> placed_;     // in program order
  std::vector<Placed> attention_;  // those of them that depend on the context
  int sections_ = 1;
  int rows_ = -1, logit_rows_ = -1;  // that rows_totals_ are for
  Totals rows_totals_;               // without attention
  Totals totals_;
  StageCost cost_;
};

class NorthPoleTiming final : public Timing {
 public:
  NorthPoleTiming(const ChipSpec& chip, Fidelity fidelity) : array_(CoreArray::Of(chip, fidelity)) {}

  Result<std::unique_ptr<StageTiming>> Map(const Stage& stage, const MapDemand& demand) const override {
    LODESTONE_ASSIGN_OR_RETURN(MappedStage mapped, MapStage(stage, array_, demand));
    return std::unique_ptr<StageTiming>(
        std::make_unique<NorthPoleStage>(array_, std::move(mapped), LinkBytesOf(stage.program)));
  }

 private:
  CoreArray array_;
};

}  // namespace

std::unique_ptr<Timing> MakeNorthPoleTiming(const ChipSpec& chip, Fidelity fidelity) {
  return std::make_unique<NorthPoleTiming>(chip, fidelity);
}

bool IdealIgnores(std::string_view figure) {
  constexpr std::array<std::string_view, 8> kIgnored{"activation_network_bytes_per_cycle",
                                                     "partial_sum_network_bytes_per_cycle",
                                                     "model_network_bytes_per_cycle",
                                                     "instruction_network_bytes_per_cycle",
                                                     "operator_program_bytes",
                                                     "partial_sum_rows",
                                                     "hop_cycles",
                                                     "operator_start_cycles"};
  const std::string_view key = figure.substr(figure.rfind('.') + 1);  // npos + 1 is 0
  return std::find(kIgnored.begin(), kIgnored.end(), key) != kIgnored.end();
}

}  // namespace lodestone
