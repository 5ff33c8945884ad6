#include "lab/pass_costs.h"

#include <tuple>

namespace lodestone {
namespace {

auto Fields(const Load& load) {
  return std::tie(load.rows, load.logit_rows, load.sequences, load.context_sum, load.context_max, load.kv_tokens_read);
}

}  // namespace

size_t PassCosts::HashLoad::operator()(const Load& load) const {
  uint64_t hash = 0;
  std::apply(
      [&](auto... field) {
        // Multiplication by 2^64 / φ spreads neighbouring contexts (Knuth, The Art of Computer Programming, 6.4).
        ((hash = (hash ^ static_cast<uint64_t>(field)) * 0x9E3779B97F4A7C15u, hash ^= hash >> 29), ...);
      },
      Fields(load));
  return static_cast<size_t>(hash);
}

Result<PassCosts> PassCosts::Open(const SimulationOptions& options) {
  LODESTONE_ASSIGN_OR_RETURN(OpenedMachine machine, OpenSimulation(options));
  return PassCosts(std::move(machine));
}

}  // namespace lodestone
