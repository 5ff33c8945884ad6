#include "plan/estimate.h"

#include <algorithm>

namespace lodestone {
namespace {

// Saturates far below the range of Time, which sums of a few of them then keep to.
Time Span(double seconds) { return Time::Seconds(std::min(seconds, 1e6)); }

// A link that tensors go over.
struct Wire {
  double bytes_per_s = 0;  // 0: free
  double latency_s = 0;
  double Busy(int64_t bytes) const { return bytes_per_s > 0 ? static_cast<double>(bytes) / bytes_per_s : 0; }
  double Move(int64_t bytes) const { return Busy(bytes) + latency_s; }
};

class Wires {
 public:
  explicit Wires(const ApplianceSpec& appliance)
      : card_{appliance.card.link_bytes_per_s.value, appliance.card.link_latency_s.value},
        network_(card_),
        cards_per_server_(appliance.cards_per_server) {
    if (appliance.network_bytes_per_s) network_.bytes_per_s = appliance.network_bytes_per_s->value;
    if (appliance.network_latency_s) network_.latency_s = appliance.network_latency_s->value;
  }
  // The slowest between any two of the cards from `first` to `last`.
  const Wire& Among(int first, int last) const {
    return cards_per_server_ > 0 && first / cards_per_server_ != last / cards_per_server_ ? network_ : card_;
  }

 private:
  Wire card_, network_;
  int cards_per_server_;
};

// Sections and gathers of one step, seconds.
double TimeOf(const StageCost& cost, int ranks, const Wire& wire) {
  double seconds = cost.time.seconds();
  for (const SectionCost& section : cost.sections) {
    if (section.gather_bytes > 0 && ranks > 1) seconds += wire.Move((ranks - 1) * section.gather_bytes);
  }
  return seconds;
}

// How many ranks of the next step one card serves.
int Receivers(int senders, int receivers) { return (receivers + senders - 1) / senders; }

struct Pace {
  double slowest = 0, fastest = 0, sum = 0;
  int slowest_step = 0;
  double round_trip = 0;
  int64_t link_bytes = 0;  // leaving and entering cards, a pass
};

// `cost` picks the load.
Pace PaceOf(std::span<const EstimatedStep> steps, const Wires& wires, StageCost StepCost::*cost) {
  Pace pace;
  int first = 0;
  const int64_t in = (steps.front().cost->*cost).input_bytes;
  pace.round_trip = wires.Among(0, steps.front().ranks - 1).Move(in * steps.front().ranks);
  pace.link_bytes = in * steps.front().ranks;
  for (size_t k = 0; k < steps.size(); ++k) {
    const EstimatedStep& step = steps[k];
    const StageCost& own = step.cost->*cost;
    const double busy = TimeOf(own, step.ranks, wires.Among(first, first + step.ranks - 1));
    double link = 0, move = 0;
    if (k + 1 < steps.size()) {
      const EstimatedStep& next = steps[k + 1];
      const Wire& wire = wires.Among(first, first + step.ranks + next.ranks - 1);
      const int64_t bytes = (next.cost->*cost).input_bytes;
      link = wire.Busy(Receivers(step.ranks, next.ranks) * bytes);
      move = link + wire.latency_s;
      pace.link_bytes += 2 * next.ranks * bytes;
    } else {
      const Wire& wire = wires.Among(0, first + step.ranks - 1);  // the host sits in the first card's server
      link = wire.Busy(own.output_bytes);
      move = link + wire.latency_s;
      pace.link_bytes += step.ranks * own.output_bytes;
    }
    for (const SectionCost& section : own.sections) {
      pace.link_bytes += 2 * step.ranks * (step.ranks - 1) * section.gather_bytes;
    }
    const double each = std::max(busy, link);
    if (k == 0 || each > pace.slowest) {
      pace.slowest = each;
      pace.slowest_step = static_cast<int>(k);
    }
    pace.fastest = k == 0 ? each : std::min(pace.fastest, each);
    pace.sum += each;
    pace.round_trip += busy + move;
    first += step.ranks;
  }
  return pace;
}

}  // namespace

Load DecodeLoadOf(const Demand& demand) { return MapDemandOf(demand).load; }

int ChunkOf(const Demand& demand) { return std::max(1, demand.rows_per_pass - demand.decode_rows + 1); }

Load PrefillLoadOf(const Demand& demand) {
  const int64_t before = demand.context / 4, rows = ChunkOf(demand);
  Load load;
  load.rows = static_cast<int>(rows);
  load.sequences = 1;
  load.context_sum = rows * before + rows * (rows + 1) / 2;
  load.context_max = load.kv_tokens_read = before + rows;
  return load;
}

Time StepTime(const StageCost& cost, int ranks, const ApplianceSpec& appliance) {
  return Span(TimeOf(cost, ranks, Wires(appliance).Among(0, 0)));
}

PipelineEstimate EstimatePipeline(std::span<const EstimatedStep> steps, const ApplianceSpec& appliance,
                                  const Demand& demand) {
  const Wires wires(appliance);
  const Pace decode = PaceOf(steps, wires, &StepCost::decode), prefill = PaceOf(steps, wires, &StepCost::prefill);
  PipelineEstimate estimate;
  const int group = std::max(demand.decode_rows, 1), groups = (demand.users + group - 1) / group;
  estimate.groups = groups;
  estimate.slowest = Span(decode.slowest);
  estimate.mean = Span(decode.sum / static_cast<double>(steps.size()));
  estimate.fastest = Span(decode.fastest);
  estimate.slowest_step = decode.slowest_step;
  estimate.round_trip = Span(decode.round_trip + appliance.host_turnaround_s.value);
  estimate.period = std::max(Span(groups * decode.slowest), estimate.round_trip);
  const double period = estimate.period.seconds();
  if (period > 0) estimate.tokens_per_s = demand.users / period;
  if (prefill.slowest > 0) estimate.prompt_tokens_per_s = ChunkOf(demand) / prefill.slowest;

  double pass_j = static_cast<double>(decode.link_bytes) * appliance.card.link_byte_pj.value * 1e-12;
  int cards = 0;
  for (const EstimatedStep& step : steps) {
    cards += step.ranks;
    pass_j += step.ranks * step.cost->decode.energy.total().joules();
  }
  estimate.watts = cards * appliance.card.static_power_w.value;
  if (period > 0) estimate.watts += groups * pass_j / period;
  return estimate;
}

int InstancesOf(int cards_used, const ApplianceSpec& appliance) {
  const int cards = appliance.cards, server = appliance.cards_per_server;
  if (cards_used < 1 || cards_used > cards) return 0;
  if (server < 1 || cards <= server) return cards / cards_used;
  if (cards_used <= server) return cards / server * (server / cards_used) + cards % server / cards_used;
  const int64_t block = (int64_t{cards_used} + server - 1) / server * server;
  const auto whole = static_cast<int>(cards / block);
  return whole + (cards - whole * block >= cards_used ? 1 : 0);
}

}  // namespace lodestone
