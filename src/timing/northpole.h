// First-order NorthPole timing: each operator at the chip's rates, one after another, plus a fixed start per operator.
//
//   matrix     = operations / (cores × ops a core and cycle at the wider operand's format × matrix_efficiency)
//   memory     = (weights + KV + activations bytes) / (cores × bytes a core and cycle × memory_efficiency)
//   vector     = elementwise operations / (cores × vector lanes × vector_efficiency)
//   activation = values of exp and of the MLP's activation / (cores × activation lanes × vector_efficiency)
//   cycles     = ⌈max(matrix, memory, vector, activation)⌉ + operator_overhead_cycles, and time = cycles / clock
//
// Source of the rates: Appuswamy et al., HPEC 2024, and Modha et al., Science 382 (2023). The chip has no
// data-dependent branch, so a stage's time is a function of its shape and load. Operators fused by the program share
// one overhead, which the first of them carries.
//
// Without card time: the embedding, a lookup on the host, and collectives, which the appliance carries out. The output
// layer is not started by a pass that wants no logits. A pass of no rows takes no time.
#pragma once

#include <memory>

#include "hardware/hardware.h"
#include "timing/timing.h"

namespace lodestone {

enum class Fidelity {
  kIdeal,       // rates alone: efficiencies 1, overhead 0
  kCalibrated,  // with the named constants of the chip's file
};

// Map refuses (kInfeasible) a stage with a matrix operator in a format that the chip has no unit for: it multiplies
// INT8, INT4 and INT2 matrices only.
std::unique_ptr<Timing> MakeNorthPoleTiming(const ChipSpec& chip, Fidelity fidelity);

}  // namespace lodestone
