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
  Better better = Better::kNeither;
};

template <typename Spec>
struct OptionalFigureField {
  std::string_view key;
  std::optional<Figure> Spec::*member;
  FigureRange range;
  Better better = Better::kNeither;
};

inline constexpr FigureRange kLatencyRange{0, 10};
inline constexpr FigureRange kBandwidthRange{1e3, 1e15};
inline constexpr FigureRange kRateRange{1, 1e9, true};
inline constexpr FigureRange kOperationsRange{2, 1e9, true};  // a multiply and an add are two
inline constexpr FigureRange kPicojouleRange{0, 1e6};

// Cores are mapped one by one, so their number bounds the work of a search. cores × core_memory_bytes stays below 2^55,
// so that sums of a few ledger lines cannot overflow 63 bits.
inline constexpr FigureField<ChipSpec> kChipFields[] = {
    {"cores", &ChipSpec::cores, {1, 16384, true}},
    {"core_memory_bytes", &ChipSpec::core_memory_bytes, {1, 1099511627776.0, true}},
    {"framebuffer_bytes", &ChipSpec::framebuffer_bytes, {1, 1099511627776.0, true}},
    {"clock_hz", &ChipSpec::clock_hz, {1e3, 1e11}, Better::kHigh},
    {"int8_ops_per_core_cycle", &ChipSpec::int8_ops_per_core_cycle, kOperationsRange, Better::kHigh},
    {"int4_ops_per_core_cycle", &ChipSpec::int4_ops_per_core_cycle, kOperationsRange, Better::kHigh},
    {"int2_ops_per_core_cycle", &ChipSpec::int2_ops_per_core_cycle, kOperationsRange, Better::kHigh},
    {"memory_bytes_per_core_cycle", &ChipSpec::memory_bytes_per_core_cycle, kRateRange, Better::kHigh},
    {"vector_lanes_per_core", &ChipSpec::vector_lanes_per_core, kRateRange, Better::kHigh},
    {"activation_lanes_per_core", &ChipSpec::activation_lanes_per_core, kRateRange, Better::kHigh},
    {"transistors", &ChipSpec::transistors, {1, 1e15, true}},
    {"array_rows", &ChipSpec::array_rows, {1, 16384, true}},
    {"matrix_columns", &ChipSpec::matrix_columns, {1, 65536, true}},
    {"partial_sum_rows", &ChipSpec::partial_sum_rows, kRateRange, Better::kHigh},
    {"activation_network_bytes_per_cycle", &ChipSpec::activation_network_bytes_per_cycle, kRateRange, Better::kHigh},
    {"partial_sum_network_bytes_per_cycle", &ChipSpec::partial_sum_network_bytes_per_cycle, kRateRange, Better::kHigh},
    {"model_network_bytes_per_cycle", &ChipSpec::model_network_bytes_per_cycle, kRateRange, Better::kHigh},
    {"instruction_network_bytes_per_cycle", &ChipSpec::instruction_network_bytes_per_cycle, kRateRange, Better::kHigh},
    {"operator_program_bytes", &ChipSpec::operator_program_bytes, {0, 1e9, true}, Better::kLow},
    {"hop_cycles", &ChipSpec::hop_cycles, {0, 1e6, true}, Better::kLow},
    {"operator_start_cycles", &ChipSpec::operator_start_cycles, {0, 1e9, true}, Better::kLow},
    {"int8_op_pj", &ChipSpec::int8_op_pj, kPicojouleRange, Better::kLow},
    {"int4_op_pj", &ChipSpec::int4_op_pj, kPicojouleRange, Better::kLow},
    {"int2_op_pj", &ChipSpec::int2_op_pj, kPicojouleRange, Better::kLow},
    {"memory_byte_pj", &ChipSpec::memory_byte_pj, kPicojouleRange, Better::kLow},
    {"network_byte_hop_pj", &ChipSpec::network_byte_hop_pj, kPicojouleRange, Better::kLow},
    {"vector_op_pj", &ChipSpec::vector_op_pj, kPicojouleRange, Better::kLow},
};

inline constexpr FigureField<CardSpec> kCardFields[] = {
    {"power_w", &CardSpec::power_w, {1e-3, 1e6}},
    {"static_power_w", &CardSpec::static_power_w, {0, 1e6}, Better::kLow},
    {"link_byte_pj", &CardSpec::link_byte_pj, kPicojouleRange, Better::kLow},
    {"link_bytes_per_s", &CardSpec::link_bytes_per_s, kBandwidthRange, Better::kHigh},
    {"link_latency_s", &CardSpec::link_latency_s, kLatencyRange, Better::kLow},
};

inline constexpr FigureField<ApplianceSpec> kApplianceFields[] = {
    {"host_turnaround_s", &ApplianceSpec::host_turnaround_s, kLatencyRange, Better::kLow},
    {"uplink_bytes_per_s", &ApplianceSpec::uplink_bytes_per_s, kBandwidthRange, Better::kHigh},
    {"host_transfer_s", &ApplianceSpec::host_transfer_s, kLatencyRange, Better::kLow},
};

inline constexpr OptionalFigureField<ApplianceSpec> kOptionalApplianceFields[] = {
    {"network_bytes_per_s", &ApplianceSpec::network_bytes_per_s, kBandwidthRange, Better::kHigh},
    {"network_latency_s", &ApplianceSpec::network_latency_s, kLatencyRange, Better::kLow},
    {"price_usd", &ApplianceSpec::price_usd, {0.01, 1e12}},
};

}  // namespace lodestone
