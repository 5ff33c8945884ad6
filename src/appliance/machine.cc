#include "appliance/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "base/quote.h"
#include "executor/executor.h"
#include "host/cpu.h"

namespace lodestone {

Result<std::optional<ApplianceSpec>> OpenAppliance(const std::string& name) {
  if (name == kHostAppliance) return std::optional<ApplianceSpec>();
  Result<ApplianceSpec> spec = LoadAppliance(name);
  if (spec.ok()) return std::optional(*std::move(spec));
  if (spec.error().code != ErrorCode::kNotFound) return spec.error();
  return NotFound(fmt::format("{}; 'cpu' is this host", spec.error().message));
}

Result<Placement> PlaceOn(const std::optional<ApplianceSpec>& spec, const ModelConfig& config, const Recipe& recipe,
                          const Demand& demand) {
  if (spec) return Place(config, recipe, *spec, demand);
  return PlaceOnHost(config, recipe, demand, DescribeHost().memory_bytes);
}

int DefaultMicroBatches(const std::optional<ApplianceSpec>& spec, int users) {
  return spec ? std::min(users, spec->cards) : 1;
}

Result<OpenedMachine> OpenMachine(const std::optional<ApplianceSpec>& spec, Placement placement,
                                  const MachineOptions& options) {
  OpenedMachine machine;
  if (options.compute) machine.threads = std::make_unique<ThreadPool>(options.threads);
  if (spec) {
    machine.timeline = std::make_unique<VirtualTimeline>();
  } else {
    machine.timeline = std::make_unique<WallTimeline>();
  }
  std::vector<Card> cards(static_cast<size_t>(placement.cards_used));
  for (Card& card : cards) {
    if (options.compute) {
      LODESTONE_ASSIGN_OR_RETURN(card.compute, MakeCpuExecutor(*machine.threads));
    }
    if (spec) card.timing = MakeNorthPoleTiming(spec->card.chip, options.fidelity);
  }
  const Links links = spec ? Links::Of(*spec, options.transfers) : Links{};
  LODESTONE_ASSIGN_OR_RETURN(machine.appliance,
                             Appliance::Open(std::move(placement), std::move(cards), links, *machine.timeline));
  return machine;
}

Result<int> ThreadsToUse(std::optional<int64_t> option) {
  constexpr int kMaxThreads = 1024;
  if (option) return static_cast<int>(*option);
  const char* text = std::getenv("LODESTONE_THREADS");
  if (text == nullptr || *text == '\0') return AvailableThreads();
  int threads = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, threads);
  if (error != std::errc() || stop != end || threads < 1 || threads > kMaxThreads) {
    return Invalid(fmt::format("LODESTONE_THREADS is {}, expected a number from 1 to {}", Quoted(text), kMaxThreads));
  }
  return threads;
}

}  // namespace lodestone
