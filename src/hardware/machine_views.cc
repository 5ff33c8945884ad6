// What else the project knows as a device, seen as a machine.
#include <fmt/format.h>

#include "hardware/machine.h"

namespace lodestone {
namespace {

// A product of figures: derived, as its factors may be, with the spread of those that have one.
Figure Product(std::initializer_list<const Figure*> factors, std::string note) {
  Figure product{.value = 1, .source = FieldSource::kDerived, .note = std::move(note), .low = 1.0, .high = 1.0};
  bool spread = false;
  for (const Figure* factor : factors) {
    product.value *= factor->value;
    *product.low *= factor->low.value_or(factor->value);
    *product.high *= factor->high.value_or(factor->value);
    spread |= factor->low.has_value() || factor->high.has_value();
  }
  if (!spread) product.low = product.high = std::nullopt;
  return product;
}

}  // namespace

Machine MachineOf(const ApplianceSpec& spec) {
  const CardSpec& card = spec.card;
  const ChipSpec& chip = card.chip;
  Machine machine;
  machine.name = machine.file = spec.name;
  machine.description = spec.description;
  machine.platform = Platform::kAsic;
  machine.efficiency_class = "asic-sram";
  machine.transistors = chip.transistors;
  machine.idle_w = card.static_power_w;
  machine.typical_w = card.power_w;
  machine.price_usd = spec.price_usd;
  if (machine.price_usd && spec.cards > 1) {
    machine.price_usd = Figure{.value = spec.price_usd->value / spec.cards,
                               .source = FieldSource::kDerived,
                               .note = fmt::format("that of the appliance / {} cards", spec.cards)};
  }
  const auto peak = [&chip](const Figure& operations) {
    return Product({&chip.cores, &operations, &chip.clock_hz}, "cores × operations a core and cycle × clock");
  };
  machine.peak_ops_per_s[static_cast<size_t>(RateFormat::kInt8)] = peak(chip.int8_ops_per_core_cycle);
  machine.peak_ops_per_s[static_cast<size_t>(RateFormat::kInt4)] = peak(chip.int4_ops_per_core_cycle);
  machine.vector_ops_per_s =
      Product({&chip.cores, &chip.vector_lanes_per_core, &chip.clock_hz}, "cores × vector lanes × clock");
  MemoryLevel memory{.name = "core memory", .capacity_bytes = {}, .bytes_per_s = {}, .latency_s = {}};
  memory.capacity_bytes = Product({&chip.cores, &chip.core_memory_bytes}, "cores × memory of a core");
  memory.bytes_per_s = Product({&chip.cores, &chip.memory_bytes_per_core_cycle, &chip.clock_hz},
                               "cores × bytes a core and cycle × clock");
  machine.memory.push_back(std::move(memory));
  machine.devices_per_server = spec.cards_per_server;
  machine.topology = spec.cards_per_server > 1 ? Topology::kHost : Topology::kNone;
  machine.link_bytes_per_s = machine.host_link_bytes_per_s = card.link_bytes_per_s;
  machine.link_latency_s = card.link_latency_s;
  machine.network_bytes_per_s = spec.network_bytes_per_s;
  machine.network_latency_s = spec.network_latency_s;
  return machine;
}

Machine MachineOf(const HostLimits& limits) {
  Machine machine;
  machine.name = machine.file = "this-host";
  machine.description = fmt::format("{}, {} threads, measured {}", limits.cpu_name, limits.threads, limits.measured_at);
  machine.platform = Platform::kCpu;
  machine.efficiency_class = "cpu";
  const auto all = [](const std::optional<HostRate>& rate) { return rate ? std::optional(rate->all) : std::nullopt; };
  const auto set = [&machine](RateFormat format, std::optional<Figure> figure) {
    machine.peak_ops_per_s[static_cast<size_t>(format)] = std::move(figure);
  };
  set(RateFormat::kF32, all(limits.f32_ops_per_s));
  set(RateFormat::kBf16, all(limits.bf16_amx_ops_per_s));
  if (const HostRate* int8 = limits.int8_ops_per_s()) set(RateFormat::kInt8, int8->all);
  machine.vector_ops_per_s = all(limits.f32_ops_per_s);
  const auto add = [&machine](const char* name, std::optional<Figure> bandwidth, std::optional<Figure> capacity) {
    if (!bandwidth) return;
    machine.memory.push_back({name, std::move(capacity), std::move(bandwidth), std::nullopt});
  };
  add("L1", all(limits.l1_bytes_per_s), std::nullopt);
  add("L2", all(limits.l2_bytes_per_s), std::nullopt);
  add("L3", all(limits.l3_bytes_per_s), limits.l3_bytes);
  add("DRAM", all(limits.dram_bytes_per_s), std::nullopt);
  if (machine.memory.empty()) machine.memory.push_back({"DRAM", std::nullopt, std::nullopt, std::nullopt});
  return machine;
}

}  // namespace lodestone
