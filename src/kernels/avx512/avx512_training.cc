// Training for AVX-512 F, BW, VL and DQ. Nothing here but one table is visible to other files.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/tables.h"
#include "kernels/training_table.h"

namespace lodestone::kernels {
namespace {

#include "kernels/avx512/lanes.inc"
//
#include "kernels/rows/vectors.inc"
//
#include "kernels/rows/exp.inc"
//
#include "kernels/avx512/transpose.inc"
//
#include "kernels/rows/gate.inc"
#include "kernels/rows/norm.inc"
//
#include "kernels/matmul/blocks.inc"
//

// Rows and vectors of a block of sums: 16 sums keep the units busy and leave registers for what multiplies them.
constexpr int kFloatRows = 8;
constexpr int kFloatPanels(int rows) { return rows > 4 ? 2 : 4; }

#include "kernels/training/attention.inc"
//
#include "kernels/training/vector_blocks.inc"
//
#include "kernels/training/attention_forward.inc"
//
#include "kernels/training/attention_backward.inc"
//
#include "kernels/training/loss_and_update.inc"
#include "kernels/training/row_backwards.inc"

}  // namespace

const TrainingTable kAvx512Training = {
    "avx512",
    ScratchOf<VectorBlocks>,
    RunForward<VectorBlocks>,
    RunBackward<VectorBlocks>,
    NormBackward,
    GateBackward,
    CrossEntropy,
    Adamw,
    LsqBackward,
    RopeBackward,
    SumOfSquares,
};

}  // namespace lodestone::kernels
