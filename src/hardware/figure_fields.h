// The figures of a chip, a card and an appliance, once: key in TOML, member, physical range. Reading and listing walk
// these tables, so a figure cannot be read and then be missing from a list of what was assumed.
#pragma once

#include <optional>
#include <string_view>

#include "hardware/hardware.h"

namespace lodestone {

// Bounds are wide: they refuse slips of a unit or of a sign, not unusual machines.
struct FigureRange {
  double min = 0, max = 0;
  bool whole = false;  // counts have no fraction
};

template <typename Spec>
struct FigureField {
  std::string_view key;
  Figure Spec::*member;
  FigureRange range;
};

template <typename Spec>
struct OptionalFigureField {
  std::string_view key;
  std::optional<Figure> Spec::*member;
  FigureRange range;
};

inline constexpr FigureRange kLatencyRange{0, 10};
inline constexpr FigureRange kBandwidthRange{1e3, 1e15};
inline constexpr FigureRange kShareRange{1e-6, 1};
inline constexpr FigureRange kRateRange{1, 1e9, true};

// cores × core_memory_bytes stays below 2^56, so that sums of a few ledger lines cannot overflow 63 bits.
inline constexpr FigureField<ChipSpec> kChipFields[] = {
    {"cores", &ChipSpec::cores, {1, 65536, true}},
    {"core_memory_bytes", &ChipSpec::core_memory_bytes, {1, 1099511627776.0, true}},
    {"framebuffer_bytes", &ChipSpec::framebuffer_bytes, {1, 1099511627776.0, true}},
    {"clock_hz", &ChipSpec::clock_hz, {1e3, 1e11}},
    {"int8_ops_per_core_cycle", &ChipSpec::int8_ops_per_core_cycle, kRateRange},
    {"int4_ops_per_core_cycle", &ChipSpec::int4_ops_per_core_cycle, kRateRange},
    {"int2_ops_per_core_cycle", &ChipSpec::int2_ops_per_core_cycle, kRateRange},
    {"memory_bytes_per_core_cycle", &ChipSpec::memory_bytes_per_core_cycle, kRateRange},
    {"vector_lanes_per_core", &ChipSpec::vector_lanes_per_core, kRateRange},
    {"activation_lanes_per_core", &ChipSpec::activation_lanes_per_core, kRateRange},
    {"transistors", &ChipSpec::transistors, {1, 1e15, true}},
    {"matrix_efficiency", &ChipSpec::matrix_efficiency, kShareRange},
    {"memory_efficiency", &ChipSpec::memory_efficiency, kShareRange},
    {"vector_efficiency", &ChipSpec::vector_efficiency, kShareRange},
    {"operator_overhead_cycles", &ChipSpec::operator_overhead_cycles, {0, 1e9, true}},
};

inline constexpr FigureField<CardSpec> kCardFields[] = {
    {"power_w", &CardSpec::power_w, {1e-3, 1e6}},
    {"link_bytes_per_s", &CardSpec::link_bytes_per_s, kBandwidthRange},
    {"link_latency_s", &CardSpec::link_latency_s, kLatencyRange},
};

inline constexpr FigureField<ApplianceSpec> kApplianceFields[] = {
    {"host_turnaround_s", &ApplianceSpec::host_turnaround_s, kLatencyRange},
};

inline constexpr OptionalFigureField<ApplianceSpec> kOptionalApplianceFields[] = {
    {"network_bytes_per_s", &ApplianceSpec::network_bytes_per_s, kBandwidthRange},
    {"network_latency_s", &ApplianceSpec::network_latency_s, kLatencyRange},
    {"price_usd", &ApplianceSpec::price_usd, {0.01, 1e12}},
};

}  // namespace lodestone
