// Attention in bf16 on AMX tiles. Nothing here but one set of functions is visible to other files.
//
// The tiles are those of the matrix products (amx/amx_gemm.cc), whose bits are their own; what lies between the
// products is AVX-512's, as is attention in f32.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/gemm/gemm_table.h"
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
#include "kernels/training/attention.inc"
//

const GemmKernels& kPanelKernels = kAmxBf16Gemm;

#include "kernels/training/panel_blocks.inc"
//
#include "kernels/training/attention_forward.inc"
//
#include "kernels/training/attention_backward.inc"

size_t AttentionScratch(const SequenceAttention& a) {
  return a.bf16 ? ScratchOf<PanelBlocks>(a) : kAvx512Training.attention_scratch(a);
}
void AttentionForward(const SequenceAttention& a, float* scratch) {
  a.bf16 ? RunForward<PanelBlocks>(a, scratch) : kAvx512Training.attention_forward(a, scratch);
}
void AttentionBackward(const SequenceAttention& a, const SequenceAttentionGradients& g, float* scratch) {
  a.bf16 ? RunBackward<PanelBlocks>(a, g, scratch) : kAvx512Training.attention_backward(a, g, scratch);
}

}  // namespace

const TileAttention kAmxAttention = {AttentionScratch, AttentionForward, AttentionBackward};

}  // namespace lodestone::kernels
