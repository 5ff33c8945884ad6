#include "plan/inputs.h"

#include <fmt/format.h>

namespace lodestone {

Status CheckDemand(const ModelConfig& config, const Demand& demand) {
  const auto check = [](const char* what, int64_t found, int64_t max) -> Status {
    if (found >= 1 && found <= max) return {};
    return Invalid(fmt::format("{}: found {}, expected 1 to {}", what, found, max));
  };
  LODESTONE_RETURN_IF_ERROR(check("users", demand.users, kMaxPlacedUsers));
  LODESTONE_RETURN_IF_ERROR(check("context", demand.context, kMaxPlacedContext));
  LODESTONE_RETURN_IF_ERROR(check("rows in a pass", demand.rows_per_pass, kMaxPlacedRows));
  if (config.max_positions > 0 && demand.context > config.max_positions) {
    return Invalid(
        fmt::format("context: found {} positions, but {} has {}", demand.context, config.name, config.max_positions));
  }
  return {};
}

Status CheckAppliance(const ApplianceSpec& appliance) {
  if (appliance.cards >= 1 && appliance.cards <= kMaxPlacedCards) return {};
  return Invalid(
      fmt::format("appliance {}: found {} cards, expected 1 to {}", appliance.name, appliance.cards, kMaxPlacedCards));
}

int64_t CapacityOf(const ApplianceSpec& appliance) {
  const ChipSpec& chip = appliance.card.chip;
  return static_cast<int64_t>(chip.cores.value * chip.core_memory_bytes.value);
}

Result<Program> FusedProgram(const ModelConfig& config, const Recipe& recipe) {
  LODESTONE_ASSIGN_OR_RETURN(Program described, Describe(config, recipe));
  return Fuse(std::move(described));
}

}  // namespace lodestone
