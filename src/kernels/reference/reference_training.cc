// The reference of training: plain loops for any x86-64 processor, with the bits of every other instruction set.
#include <cstddef>
#include <cstdint>

#include "kernels/tables.h"
#include "kernels/training_table.h"

namespace lodestone::kernels {
namespace {

#include "kernels/reference/lanes.inc"
//
#include "kernels/rows/vectors.inc"
//
#include "kernels/rows/exp.inc"
//
#include "kernels/reference/transpose.inc"
//
#include "kernels/rows/gate.inc"
#include "kernels/rows/norm.inc"
//
#include "kernels/matmul/blocks.inc"
//

constexpr int kFloatRows = 4;
constexpr int kFloatPanels(int /*rows*/) { return 1; }

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

const TrainingTable kReferenceTraining = {
    "reference",
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
