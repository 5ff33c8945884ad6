// NorthPole timing: every operator of a stage mapped to the chip's array of cores, one operator after another.
//
//   cycles of an operator = the longest of matrix, memory, vector, activation and four networks on the fullest core
//                           + its start and the way of data through the array (Resource::kStart)
//   time of a stage       = sum of its operators' cycles / clock, rounded once
//
// The formulas stand where the mappings are: linear_mapping.h, attention_mapping.h, row_mapping.h; core_array.h has the
// chip, mapper.h the choice. Rates and memory are published: Appuswamy et al., HPEC 2024, and Modha et al., Science 382
// (2023). The chip has no data-dependent branch, so cycles are an exact function of mapping and load. What rests on no
// source lies in catalog/hardware/northpole-assumptions.toml, with reason and range: the widths of the networks, the
// shape of the matrix tile, the size of programs, and the start of an operator, which is fitted.
//
// Operators fused by the program share one start, which the first of them carries. Without card time: the embedding, a
// lookup on the host, and collectives, which end a section and are carried out by the appliance. The output layer is
// not started by a pass that wants no logits. A pass of no rows takes no time.
#pragma once

#include <memory>
#include <string_view>

#include "hardware/hardware.h"
#include "timing/core_array.h"
#include "timing/timing.h"

namespace lodestone {

// Map refuses (kInfeasible) a stage with a matrix operator in a format that the chip has no unit for, and one that no
// mapping fits to the memory of the cores.
std::unique_ptr<Timing> MakeNorthPoleTiming(const ChipSpec& chip, Fidelity fidelity);

// Whether times of Fidelity::kIdeal leave the figure out: widths of networks, programs, hops, starts and the depth of
// partial sums. `figure` as FiguresOf names it.
bool IdealIgnores(std::string_view figure);

}  // namespace lodestone
