// Chooses the instruction set: one ordered list, the first that can run wins, LODESTONE_ISA forces one.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "kernels/kernel_table.h"

namespace lodestone::kernels {

struct Candidate {
  const KernelTable* table;
  std::string declined;  // why it cannot run here; empty if it can
};

// Best first: amx, avx512, avx2, reference. The last always runs.
std::span<const Candidate> Candidates();

// The forced or the best table. A forced name that is unknown or cannot run here is an error that lists what can.
Result<const KernelTable*> Select(std::string_view forced);
// As `Select` with the value of LODESTONE_ISA (empty: the best).
Result<const KernelTable*> SelectFromEnvironment();

}  // namespace lodestone::kernels
