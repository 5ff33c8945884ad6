#include "timing/mapper.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "base/overloaded.h"
#include "program/registers.h"
#include "timing/core_ledger.h"
#include "timing/saturated.h"

namespace lodestone {
namespace {

// The load that a mapping is chosen for: at least one row with one logit, so that every operator has work.
Load DesignLoad(Load load) {
  load.rows = std::max(load.rows, 1);
  load.logit_rows = std::max(load.logit_rows, 1);
  load.sequences = std::clamp(load.sequences, 1, load.rows);
  load.context_sum = std::max<int64_t>(load.context_sum, load.rows);
  load.kv_tokens_read = std::max<int64_t>(load.kv_tokens_read, load.sequences);
  return load;
}

template <typename Mapping>
struct Candidate {
  Mapping mapping;
  int64_t cycles = 0, bytes = 0;
};

// How much more than the least a mapping may hold, as a ratio; none: any.
using Slack = std::optional<std::pair<int64_t, int64_t>>;

// The first of the fastest among those that hold little enough. Ties go to fewer bytes, then to the earlier.
template <typename Mapping>
const Mapping& Fastest(const std::vector<Candidate<Mapping>>& candidates, const Slack& slack) {
  int64_t least = candidates.front().bytes;
  for (const auto& candidate : candidates) least = std::min(least, candidate.bytes);
  const Candidate<Mapping>* best = nullptr;
  for (const auto& candidate : candidates) {
    if (slack && Times(candidate.bytes, slack->second) > Times(least, slack->first)) continue;
    if (best == nullptr || std::pair(candidate.cycles, candidate.bytes) < std::pair(best->cycles, best->bytes)) {
      best = &candidate;
    }
  }
  return best->mapping;
}

// One operator of a segment and all ways to map it.
struct Choice {
  MappedOperator mapped;
  std::vector<int64_t> core_bytes;  // weights or KV of its cores, group after group
  std::vector<Candidate<LinearMapping>> linear;
  std::vector<Candidate<AttentionMapping>> attention;
};

class Mapper {
 public:
  Mapper(const Stage& stage, const CoreArray& array, const MapDemand& demand)
      : stage_(stage), array_(array), demand_(demand), load_(DesignLoad(demand.load)) {}

  Result<MappedStage> Map() {
    for (const Segment& segment : stage_.program.segments) {
      choices_.emplace_back();
      for (size_t i = 0; i < segment.ops.size(); ++i) LODESTONE_RETURN_IF_ERROR(AddChoices(segment, i));
    }
    const int64_t registers = ResidencyOf(stage_.program).activation_bytes_per_row;
    const int64_t buffers = CeilDiv(Times(std::max(demand_.rows_per_pass, 1), registers), array_.cores);
    CoreLedger ledger(array_, buffers);
    for (const Slack& slack : {Slack{}, Slack{{5, 4}}, Slack{{1, 1}}}) {
      Choose(slack);
      ledger = CoreLedger(array_, buffers);
      LayOut(ledger);
      if (ledger.fullest().total() <= array_.core_memory_bytes) return Take(ledger);
    }
    return Overflow(ledger);
  }

 private:
  Status AddChoices(const Segment& segment, size_t index) {
    const Op& op = segment.ops[index];
    LODESTONE_ASSIGN_OR_RETURN(const OperatorShape shape, ShapeOf(segment, index, stage_.label));
    Choice choice;
    MappedOperator& mapped = choice.mapped;
    mapped.op = NameOf(op);
    mapped.weight = WeightNameOf(op);
    mapped.repeat = segment.repeat;
    const uint16_t fusion = segment.fusion[index];
    mapped.starts = fusion == 0 || index == 0 || segment.fusion[index - 1] != fusion;
    std::visit(
        Overloaded{
            [&](const OffCard&) {
              if (std::holds_alternative<Collective>(op)) {
                mapped.gather_bytes_per_row = UsesOf(op).reads().front().bytes_per_row;
              }
            },
            [&](const RowShape& row) { mapped.work = row; },
            [&](const LinearShape& linear) {
              const bool last = std::get<Linear>(op).last_rows_only;
              mapped.work = MappedLinear{linear, {}, last};
              const int64_t rows = last ? load_.logit_rows : load_.rows;
              for (const LinearMapping& mapping : LinearMappings(linear, array_, rows)) {
                choice.linear.push_back({mapping, RunOf(linear, mapping, array_, rows, mapped.starts).TotalCycles(),
                                         FullestWeightBytes(linear, mapping, array_)});
              }
              mapped.considered = static_cast<int>(choice.linear.size());
            },
            [&](const AttentionShape& attention) {
              mapped.work = MappedAttention{attention, {}, {}};
              for (const AttentionMapping& mapping : AttentionMappings(attention, array_)) {
                choice.attention.push_back(
                    {mapping, AttentionRun(attention, mapping, array_, mapped.starts).At(load_).TotalCycles(),
                     KvBytesOn(attention, mapping, demand_.kv_positions, 0, 0)});
              }
              mapped.considered = static_cast<int>(choice.attention.size());
            },
        },
        shape);
    choices_.back().push_back(std::move(choice));
    return {};
  }

  void Choose(const Slack& slack) {
    for (std::vector<Choice>& segment : choices_) {
      for (Choice& choice : segment) {
        if (auto* linear = std::get_if<MappedLinear>(&choice.mapped.work)) {
          linear->mapping = Fastest(choice.linear, slack);
          choice.mapped.weight_bytes = FullestWeightBytes(linear->shape, linear->mapping, array_);
          choice.core_bytes = CoreBytesOf(*linear);
        } else if (auto* attention = std::get_if<MappedAttention>(&choice.mapped.work)) {
          attention->mapping = Fastest(choice.attention, slack);
          attention->run = AttentionRun(attention->shape, attention->mapping, array_, choice.mapped.starts);
          choice.mapped.kv_bytes = KvBytesOn(attention->shape, attention->mapping, demand_.kv_positions, 0, 0);
          choice.mapped.weight_bytes = CeilDiv(attention->shape.constant_bytes, array_.cores);
          choice.core_bytes = CoreBytesOf(*attention);
        } else if (const auto* row = std::get_if<RowShape>(&choice.mapped.work)) {
          choice.mapped.weight_bytes = CeilDiv(row->constant_bytes, array_.cores);
        }
      }
    }
  }

  std::vector<int64_t> CoreBytesOf(const MappedLinear& linear) const {
    const LinearMapping& m = linear.mapping;
    std::vector<int64_t> bytes;
    bytes.reserve(static_cast<size_t>(m.cores()));
    for (int64_t group = 0; group < m.column_groups; ++group) {
      for (int64_t part = 0; part < m.k_parts; ++part) {
        for (int64_t rows = 0; rows < m.row_groups; ++rows) {
          bytes.push_back(WeightBytesOn(linear.shape, m, array_, group, part, rows));
        }
      }
    }
    return bytes;
  }

  std::vector<int64_t> CoreBytesOf(const MappedAttention& attention) const {
    const AttentionMapping& m = attention.mapping;
    std::vector<int64_t> bytes;
    bytes.reserve(static_cast<size_t>(m.cores()));
    for (int64_t group = 0; group < m.head_groups; ++group) {
      for (int64_t part = 0; part < m.position_parts; ++part) {
        bytes.push_back(KvBytesOn(attention.shape, m, demand_.kv_positions, group, part));
      }
    }
    return bytes;
  }

  void LayOut(CoreLedger& ledger) const {
    for (const std::vector<Choice>& segment : choices_) {
      const int repeat = segment.empty() ? 0 : segment.front().mapped.repeat;
      for (int run = 0; run < repeat; ++run) {
        for (const Choice& choice : segment) LayOut(choice, ledger);
      }
    }
  }

  static void LayOut(const Choice& choice, CoreLedger& ledger) {
    if (const auto* linear = std::get_if<MappedLinear>(&choice.mapped.work)) {
      ledger.AddWeights(linear->mapping.k_parts * linear->mapping.row_groups, choice.core_bytes);
      return;
    }
    if (choice.mapped.weight_bytes > 0) ledger.AddToEvery(choice.mapped.weight_bytes);
    if (const auto* attention = std::get_if<MappedAttention>(&choice.mapped.work)) {
      ledger.AddKv(attention->mapping.position_parts, choice.core_bytes);
    }
  }

  MappedStage Take(const CoreLedger& ledger) {
    MappedStage mapped;
    mapped.fullest_core_bytes = ledger.fullest().total();
    for (std::vector<Choice>& segment : choices_) {
      mapped.segments.emplace_back();
      for (Choice& choice : segment) mapped.segments.back().push_back(std::move(choice.mapped));
    }
    return mapped;
  }

  Error Overflow(const CoreLedger& ledger) const {
    const CoreBytes core = ledger.fullest();
    const MappedOperator* largest = nullptr;
    for (const std::vector<Choice>& segment : choices_) {
      for (const Choice& choice : segment) {
        const auto share = [](const MappedOperator& m) { return Times(m.weight_bytes + m.kv_bytes, m.repeat); };
        if (largest == nullptr || share(choice.mapped) > share(*largest)) largest = &choice.mapped;
      }
    }
    const int64_t room = array_.core_memory_bytes - core.weights - core.buffers;
    std::string fits;
    if (room > 0 && core.kv > 0) {
      const double share = static_cast<double>(room) / static_cast<double>(core.kv);
      fits = fmt::format("KV of about {} positions would fit, not the {} asked for: fewer users or a shorter context",
                         static_cast<int64_t>(static_cast<double>(demand_.kv_positions) * share), demand_.kv_positions);
    } else {
      fits = "Its weights and buffers alone are too much: fewer layers a card, or a split over more cards";
    }
    return Infeasible(fmt::format(
        "{}: no mapping fits the cores: the fullest needs {} of its {}: weights {}, KV {}, buffers {}; most of it for "
        "{}{}{}. {}",
        stage_.label, FormatBytes(core.total()), FormatBytes(array_.core_memory_bytes), FormatBytes(core.weights),
        FormatBytes(core.kv), FormatBytes(core.buffers), largest->op, largest->weight.empty() ? "" : " ",
        largest->weight, fits));
  }

  const Stage& stage_;
  const CoreArray& array_;
  MapDemand demand_;
  Load load_;
  std::vector<std::vector<Choice>> choices_;
};

}  // namespace

Result<MappedStage> MapStage(const Stage& stage, const CoreArray& array, const MapDemand& demand) {
  return Mapper(stage, array, demand).Map();
}

OperatorRun RunOf(const MappedOperator& mapped, const CoreArray& array, const Load& load) {
  return std::visit(Overloaded{
                        [](const OffCard&) { return OperatorRun{}; },
                        [&](const RowShape& row) { return RunOf(row, array, load.rows, mapped.starts); },
                        [&](const MappedLinear& linear) {
                          const int64_t rows = linear.logit_rows_only ? load.logit_rows : load.rows;
                          if (rows <= 0) return OperatorRun{};
                          return RunOf(linear.shape, linear.mapping, array, rows, mapped.starts);
                        },
                        [&](const MappedAttention& attention) { return attention.run.At(load); },
                    },
                    mapped.work);
}

std::string LayoutOf(const MappedOperator& mapped, const CoreArray& array) {
  return std::visit(
      Overloaded{
          [&](const OffCard&) -> std::string {
            return mapped.is_collective() ? "gathered by the appliance" : "on the host";
          },
          [&](const RowShape&) { return fmt::format("slices of {} values, dealt to the cores", array.matrix_columns); },
          [](const MappedLinear& linear) { return ToString(linear.mapping); },
          [](const MappedAttention& attention) { return ToString(attention.mapping); },
      },
      mapped.work);
}

int CoresOf(const MappedOperator& mapped, const CoreArray& array) {
  return static_cast<int>(
      std::visit(Overloaded{
                     [](const OffCard&) { return int64_t{0}; },
                     [&](const RowShape& row) {
                       return std::min(array.cores, CeilDiv(std::max<int64_t>(row.values, 1), array.matrix_columns));
                     },
                     [](const MappedLinear& linear) { return linear.mapping.cores(); },
                     [](const MappedAttention& attention) { return attention.mapping.cores(); },
                 },
                 mapped.work));
}

}  // namespace lodestone
