#include "lab/timeline_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace lodestone {
namespace {

// Processes and threads are numbered from 1, threads over all processes: 0 has a meaning of its own to some viewers.
constexpr int kMachineProcess = 1, kHostProcess = 2, kFirstCardProcess = 3;
constexpr int kAtHost = -1;

int ProcessOf(int card) { return card == kAtHost ? kHostProcess : kFirstCardProcess + card; }

const char* KindOf(const Load& load) {
  if (load.rows == load.sequences) return load.logit_rows == load.rows ? "decode" : "prefill";
  return load.logit_rows == 0 ? "prefill" : "mixed";
}

std::string PassName(const Load& load) {
  return fmt::format("{} {} {}", KindOf(load), load.rows, load.rows == 1 ? "row" : "rows");
}

constexpr Resource kNetworks[] = {Resource::kActivationNetwork, Resource::kPartialSumNetwork, Resource::kModelNetwork,
                                  Resource::kInstructionNetwork};

constexpr size_t kPowerBins = 512;

std::string OperatorName(const OperatorCost& cost) {
  std::string name = cost.weight.empty() ? cost.op : fmt::format("{} {}", cost.op, cost.weight);
  if (cost.count > 1) name += fmt::format(" × {}", cost.count);
  return name;
}

ChromeTrace::Args ArgsOf(const OperatorCost& cost) {
  ChromeTrace::Args args{{"bound", ToString(cost.bound)}, {"cycles", cost.total_cycles}};
  if (cost.count > 1) args.emplace_back("layers", cost.count);
  for (size_t i = 0; i < kResources; ++i) {
    if (cost.cycles[i] > 0) args.emplace_back(ToString(static_cast<Resource>(i)), cost.cycles[i]);
  }
  args.emplace_back("operations", cost.operations);
  args.emplace_back("memory_bytes", cost.memory_bytes);
  args.emplace_back("energy_uj", cost.energy.total().joules() * 1e6);
  return args;
}

}  // namespace

TimelineTrace::TimelineTrace(PassCosts costs, const SimulationOptions& options,
                             std::function<void(std::string_view)> write, const TraceLimits& limits)
    : costs_(std::move(costs)),
      trace_(std::move(write), limits.events),
      limits_(limits),
      link_energy_per_byte_(Links::Of(options.spec).link_energy_per_byte),
      static_watts_(options.spec.card.static_power_w.value * costs_.placement().cards_used),
      ps_per_cycle_(1e12 / options.spec.card.chip.clock_hz.value),
      power_(kPowerBins),
      section_offset_(costs_.placement().stages.size()) {}

Result<std::unique_ptr<TimelineTrace>> TimelineTrace::Open(const SimulationOptions& options,
                                                           std::function<void(std::string_view)> write,
                                                           const TraceLimits& limits) {
  LODESTONE_ASSIGN_OR_RETURN(PassCosts costs, PassCosts::Open(options));
  return std::unique_ptr<TimelineTrace>(new TimelineTrace(std::move(costs), options, std::move(write), limits));
}

void TimelineTrace::NameCard(int card) {
  if (!named_.insert(card).second) return;
  if (card == kAtHost) {
    trace_.NameProcess(kHostProcess, "host");
    return;
  }
  std::string stages;
  for (const PlacedStage& placed : costs_.placement().stages) {
    if (placed.card == card) stages += (stages.empty() ? "" : ", ") + placed.stage.label;
  }
  trace_.NameProcess(ProcessOf(card), fmt::format("card {}: {}", card, stages));
}

bool TimelineTrace::LeavesOut(Time at) {
  if (trace_.events() + static_cast<int64_t>(kPowerBins) < limits_.events) return false;
  trace_.LeaveOut(at);
  return true;
}

TimelineTrace::Thread TimelineTrace::ThreadFor(const ThreadKey& key, std::string_view name, Time start, Time finish) {
  NameCard(key.card);
  std::vector<Lane>& lanes = lanes_[key];
  auto lane = std::find_if(lanes.begin(), lanes.end(), [&](const Lane& one) { return one.busy_until <= start; });
  if (lane == lanes.end()) {
    const Thread thread{ProcessOf(key.card), ++threads_};
    const int side = static_cast<int>(lanes.size());
    const int order = (static_cast<int>(key.unit) * 1024 + key.number) * 8 + side;
    trace_.NameThread(thread.process, thread.id, side == 0 ? std::string(name) : fmt::format("{} ({})", name, side + 1),
                      order);
    lane = lanes.insert(lanes.end(), {thread, {}});
  }
  lane->busy_until = finish;
  return lane->thread;
}

void TimelineTrace::Computes(int stage, uint64_t pass, const Load& load, int section, Time start, Time finish) {
  end_ = std::max(end_, finish);
  const auto index = static_cast<size_t>(stage);
  const StageCost& cost = costs_.CostsOf(load)[index];
  if (section == 0) section_offset_[index] = {};
  // Where the stage would have begun without waits between its sections.
  const Time first = start - section_offset_[index];
  section_offset_[index] += finish - start;
  // Energy is the stage's; a section has the part of it that its time has.
  const double share =
      cost.time > Time{} ? static_cast<double>((finish - start).ps) / static_cast<double>(cost.time.ps) : 1.0;
  const double joules = cost.energy.total().joules() * share;
  power_.Add(start, finish, Energy::Joules(joules));
  if (LeavesOut(start)) return;
  ChromeTrace::Args args{{"pass", static_cast<int64_t>(pass)},
                         {"rows", load.rows},
                         {"context", load.context_max},
                         {"bound", ToString(cost.bound)},
                         {"energy_uj", joules * 1e6}};
  const bool sections = cost.sections.size() > 1;
  if (sections) args.emplace_back("section", section);
  const int card = costs_.placement().stages[index].card;
  const Thread array = ThreadFor({card, Unit::kArray, 0}, "core array", start, finish);
  trace_.Span(array.process, array.id, PassName(load), "pass", start, finish, args);
  if (pass < limits_.explained_passes) Explain(array, stage, load, sections, first, start, finish);
}

void TimelineTrace::Explain(const Thread& array, int stage, const Load& load, bool sections, Time first, Time start,
                            Time finish) {
  const auto index = static_cast<size_t>(stage);
  const int card = costs_.placement().stages[index].card;
  Time end = first;
  for (const OperatorCost& cost : costs_.Explain(load)[index]) {
    // Operators of several layers alternate; told as one span they lie in no single section.
    if (sections && cost.count > 1) return;
    const Time begin = end;
    end += cost.time;
    if (cost.time <= Time{} || begin < start || end > finish || LeavesOut(begin)) continue;
    const std::string name = OperatorName(cost);
    trace_.Span(array.process, array.id, name, "operator", begin, end, ArgsOf(cost));
    for (size_t i = 0; i < std::size(kNetworks); ++i) {
      const int64_t cycles = cost.cycles[static_cast<size_t>(kNetworks[i])];
      if (cycles == 0 || LeavesOut(begin)) continue;
      const auto ps = static_cast<int64_t>(static_cast<double>(cycles) * cost.count * ps_per_cycle_);
      const Time until = std::min(end, begin + Time{ps});
      const Thread network =
          ThreadFor({card, Unit::kNetworks, static_cast<int>(i)}, ToString(kNetworks[i]), begin, until);
      trace_.Span(network.process, network.id, name, "network", begin, until, {{"cycles", cycles}});
    }
  }
}

void TimelineTrace::Moves(int from, int to, uint64_t pass, int64_t bytes, Time start, Time finish) {
  end_ = std::max(end_, finish);
  const auto card_of = [&](int stage) {
    return stage == kAtHost ? kAtHost : costs_.placement().stages[static_cast<size_t>(stage)].card;
  };
  const int sender = card_of(from), receiver = card_of(to);
  const int cards = (sender != kAtHost ? 1 : 0) + (receiver != kAtHost ? 1 : 0);
  power_.Add(start, finish, Energy{link_energy_per_byte_.pj * bytes * cards});
  if (LeavesOut(start)) return;
  const auto name_of = [](int card) { return card == kAtHost ? std::string("host") : fmt::format("card {}", card); };
  const ChromeTrace::Args args{{"pass", static_cast<int64_t>(pass)}, {"bytes", bytes}};
  const auto write = [&](const ThreadKey& key, const std::string& thread_name, const std::string& name) {
    const Thread thread = ThreadFor(key, thread_name, start, finish);
    trace_.Span(thread.process, thread.id, name, "move", start, finish, args);
  };
  // The host has an engine for each card that it speaks with.
  const std::string to_name = "to " + name_of(receiver), from_name = "from " + name_of(sender);
  if (sender == kAtHost) {
    write({kAtHost, Unit::kHostOut, receiver}, "DMA " + to_name, to_name);
  } else {
    write({sender, Unit::kDmaOut, 0}, "DMA out", to_name);
  }
  if (receiver == kAtHost) {
    write({kAtHost, Unit::kHostIn, sender}, "DMA " + from_name, from_name);
  } else {
    write({receiver, Unit::kDmaIn, 0}, "DMA in", from_name);
  }
}

void TimelineTrace::Stalls(int stage, uint64_t pass, Time start, Time finish) {
  end_ = std::max(end_, finish);
  if (LeavesOut(start)) return;
  const int card = costs_.placement().stages[static_cast<size_t>(stage)].card;
  const Thread array = ThreadFor({card, Unit::kArray, 0}, "core array", start, finish);
  trace_.Span(array.process, array.id, "stall: no room to leave", "stall", start, finish,
              {{"pass", static_cast<int64_t>(pass)}});
}

void TimelineTrace::HostWorks(uint64_t pass, Time start, Time finish) {
  end_ = std::max(end_, finish);
  if (LeavesOut(start)) return;
  const Thread thread = ThreadFor({kAtHost, Unit::kHostWork, 0}, "host software", start, finish);
  trace_.Span(thread.process, thread.id, "turn-around", "host", start, finish, {{"pass", static_cast<int64_t>(pass)}});
}

void TimelineTrace::Holds(int card, Time at, int64_t framebuffer_bytes) {
  if (LeavesOut(at)) return;
  NameCard(card);
  trace_.Count(ProcessOf(card), "framebuffer", "bytes", at, static_cast<double>(framebuffer_bytes));
}

void TimelineTrace::Finish() {
  const std::vector<double> watts = power_.Watts(end_);
  trace_.NameProcess(kMachineProcess, "all cards");
  for (size_t i = 0; i < watts.size(); ++i) {
    const Time at{static_cast<int64_t>(i) * power_.width().ps};
    trace_.Count(kMachineProcess, "power", "watts", at, static_watts_ + watts[i]);
  }
  trace_.Finish({{"provenance", ToString(Provenance::kSimulated)},
                 {"explained_passes", static_cast<int64_t>(limits_.explained_passes)}});
}

Result<SimulatedRun> TraceBatch(const SimulationOptions& options, std::function<void(std::string_view)> write,
                                const TraceLimits& limits) {
  LODESTONE_ASSIGN_OR_RETURN(std::unique_ptr<TimelineTrace> trace,
                             TimelineTrace::Open(options, std::move(write), limits));
  LODESTONE_ASSIGN_OR_RETURN(SimulatedRun run, SimulateBatch(options, trace.get()));
  trace->Finish();
  return run;
}

}  // namespace lodestone
