// The tables that the instruction-set files export, one each. Private to this folder and its tests.
#pragma once

#include "kernels/kernel_table.h"
#include "kernels/training_table.h"

namespace lodestone::kernels {

extern const KernelTable kReferenceTable;
extern const KernelTable kAvx2Table;
extern const KernelTable kAvx512Table;

extern const TrainingTable kReferenceTraining;
extern const TrainingTable kAvx2Training;
extern const TrainingTable kAvx512Training;

// What AMX adds to the AVX-512 table.
struct TileMatmuls {
  MatmulFn int8_int4, int8_int8;
};
extern const TileMatmuls kAmxMatmuls;

// What AMX adds to AVX-512's training.
struct TileAttention {
  size_t (*scratch)(const SequenceAttention&);
  void (*forward)(const SequenceAttention&, float* scratch);
  void (*backward)(const SequenceAttention&, const SequenceAttentionGradients&, float* scratch);
};
extern const TileAttention kAmxAttention;

}  // namespace lodestone::kernels
