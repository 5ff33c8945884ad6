// A machine of round numbers, so that tests can spell sums out.
#pragma once

#include "plan/deployment.h"

namespace lodestone::testing {

inline Figure Sheet(double value) { return {.value = value, .source = FieldSource::kDataSheet, .note = "test"}; }

// 100 Tops/s of bf16 (int8 twice, f32 half), 1 TB/s of 100 GB; servers of 8, 100 GB/s a device and 1 µs; a host at 10
// GB/s; 300 W; 50e9 transistors; 2 USD an hour. Nothing elementwise is bound by its units.
inline Machine RoundMachine() {
  Machine machine;
  machine.name = "round";
  machine.file = "round.toml";
  machine.efficiency_class = "gpu-nvidia";
  const auto peak = [&](RateFormat format, double value) {
    machine.peak_ops_per_s[static_cast<size_t>(format)] = Sheet(value);
  };
  peak(RateFormat::kF32, 50e12);
  peak(RateFormat::kBf16, 100e12);
  peak(RateFormat::kInt8, 200e12);
  machine.memory.push_back(
      {.name = "HBM", .capacity_bytes = Sheet(100e9), .bytes_per_s = Sheet(1e12), .latency_s = {}});
  machine.devices_per_server = 8;
  machine.topology = Topology::kSwitch;
  machine.link_bytes_per_s = Sheet(100e9);
  machine.link_latency_s = Sheet(1e-6);
  machine.host_link_bytes_per_s = Sheet(10e9);
  machine.typical_w = Sheet(300);
  machine.transistors = Sheet(50e9);
  machine.price_usd_per_hour = Sheet(2);
  return machine;
}

// Factors with ranges of ± `spread`, as a calibration would give them.
inline Efficiency RoundEfficiency(double spread = 0.1) {
  Efficiency efficiency = IdealEfficiency();
  const auto set = [&](Figure Efficiency::*member, double value) {
    Figure& figure = efficiency.*member;
    figure.value = value;
    figure.low = value * (1 - spread);
    figure.high = value * (1 + spread);
  };
  set(&Efficiency::matrix, 0.6);
  set(&Efficiency::matrix_rows, 16);
  set(&Efficiency::memory, 0.8);
  set(&Efficiency::kv, 0.7);
  set(&Efficiency::attention, 0.5);
  set(&Efficiency::link, 0.5);
  set(&Efficiency::collective_s, 5e-6);
  set(&Efficiency::launch_s, 2e-6);
  set(&Efficiency::step_s, 1e-3);
  set(&Efficiency::sequence_s, 2e-5);
  set(&Efficiency::usable_memory, 0.85);
  set(&Efficiency::heads_per_read, 2);
  set(&Efficiency::reserved_bytes, 1e9);
  return efficiency;
}

inline Deployment Ideal(Machine machine = RoundMachine()) {
  Deployment deployment;
  deployment.machine = std::move(machine);
  deployment.level = EstimateLevel::kIdeal;
  return deployment;
}

inline Deployment Calibrated(Machine machine = RoundMachine()) {
  Deployment deployment = Ideal(std::move(machine));
  deployment.level = EstimateLevel::kCalibrated;
  deployment.efficiency = RoundEfficiency();
  return deployment;
}

}  // namespace lodestone::testing
