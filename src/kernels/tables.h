// The tables that the instruction-set files export, one each. Private to this folder and its tests.
#pragma once

#include "kernels/kernel_table.h"

namespace lodestone::kernels {

extern const KernelTable kReferenceTable;
extern const KernelTable kAvx2Table;
extern const KernelTable kAvx512Table;

}  // namespace lodestone::kernels
