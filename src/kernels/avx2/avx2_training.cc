// Training for AVX2 and FMA. Nothing here but one table is visible to other files.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/tables.h"
#include "kernels/training_table.h"

namespace lodestone::kernels {
namespace {

#include "kernels/avx2/lanes.inc"
//
#include "kernels/rows/vectors.inc"
//
#include "kernels/rows/exp.inc"
//
#include "kernels/avx2/transpose.inc"
//
#include "kernels/rows/gate.inc"
#include "kernels/rows/norm.inc"
//
#include "kernels/matmul/blocks.inc"
//

// Rows of a block of sums, and vectors that fill 16 registers with it: a row takes two a vector.
constexpr int kFloatRows = 6;
constexpr int kFloatPanels(int rows) { return rows >= 3 ? 1 : (rows == 2 ? 2 : 4); }

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

const TrainingTable kAvx2Training = {
    "avx2",
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
