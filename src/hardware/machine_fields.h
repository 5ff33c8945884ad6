// The figures of a machine, once: key in TOML, member, physical range. Reading and listing walk these tables.
#pragma once

#include "hardware/figure_fields.h"
#include "hardware/machine.h"

namespace lodestone {

// A wafer's memory is far faster than a card's, and a cache's capacity small.
inline constexpr FigureRange kMachineBandwidthRange{1e3, 1e18};
inline constexpr FigureRange kCapacityRange{1, 1e18, true};
inline constexpr FigureRange kPeakRange{1e6, 1e20};
inline constexpr FigureRange kPowerRange{1e-3, 1e6};

inline constexpr OptionalFigureField<Machine> kMachineFields[] = {
    {"process_nm", &Machine::process_nm, {0.1, 1000}},
    {"transistors", &Machine::transistors, {1, 1e15, true}},
    {"area_mm2", &Machine::area_mm2, {1e-2, 1e6}},
    {"idle_w", &Machine::idle_w, kPowerRange, Better::kLow},
    {"typical_w", &Machine::typical_w, kPowerRange, Better::kLow},
    {"limit_w", &Machine::limit_w, kPowerRange, Better::kLow},
    {"price_usd", &Machine::price_usd, {1e-2, 1e12}, Better::kLow},
    {"price_usd_per_hour", &Machine::price_usd_per_hour, {1e-4, 1e9}, Better::kLow},
    {"vector_ops_per_s", &Machine::vector_ops_per_s, kPeakRange, Better::kHigh},
    {"sparse_speedup", &Machine::sparse_speedup, {1, 64}, Better::kHigh},
};

inline constexpr OptionalFigureField<MemoryLevel> kMemoryFields[] = {
    {"capacity_bytes", &MemoryLevel::capacity_bytes, kCapacityRange, Better::kHigh},
    {"bytes_per_s", &MemoryLevel::bytes_per_s, kMachineBandwidthRange, Better::kHigh},
    {"latency_s", &MemoryLevel::latency_s, kLatencyRange, Better::kLow},
};

inline constexpr OptionalFigureField<Machine> kServerFields[] = {
    {"link_bytes_per_s", &Machine::link_bytes_per_s, kMachineBandwidthRange, Better::kHigh},
    {"link_latency_s", &Machine::link_latency_s, kLatencyRange, Better::kLow},
};

inline constexpr OptionalFigureField<Machine> kHostFields[] = {
    {"link_bytes_per_s", &Machine::host_link_bytes_per_s, kMachineBandwidthRange, Better::kHigh},
    {"memory_bytes", &Machine::host_memory_bytes, kCapacityRange, Better::kHigh},
    {"memory_bytes_per_s", &Machine::host_memory_bytes_per_s, kMachineBandwidthRange, Better::kHigh},
};

inline constexpr OptionalFigureField<Machine> kNetworkFields[] = {
    {"bytes_per_s", &Machine::network_bytes_per_s, kMachineBandwidthRange, Better::kHigh},
    {"latency_s", &Machine::network_latency_s, kLatencyRange, Better::kLow},
};

}  // namespace lodestone
