// GPTQ (Frantar et al., ICLR 2023): rounds a weight matrix a column at a time and lets the columns that follow make up
// for the error, as far as the layer's inputs correlate.
//
// Computed as what it is, Babai's nearest plane (Chen et al., "The geometry of LLM quantization", 2025): with
// H = U Uᵀ, U upper triangular, and errors e = w − ŵ, the loss is ‖e U‖² = Σ_j (Σ_{i ≤ j} e_i U_ij)². Its term j
// vanishes at
//
//   w'_j = w_j + (Σ_{i < j} e_i U_ij) / U_jj,
//
// so w'_j is what column j is rounded from, and U_jj² is what an error there costs. In exact arithmetic these are the
// codes of the paper in natural column order; neither an inverse of H nor a second factor is needed. The sum is taken
// lazily, 128 columns at a time, as a matrix product.
#pragma once

#include "base/status.h"
#include "host/thread_pool.h"
#include "kernels/kernel_table.h"
#include "learn/hessian.h"
#include "numerics/packed_matrix.h"

namespace lodestone {

// Codes of W[n][k] in `format`: int8·channel, int4·channel or int4·group. `factor` is U, of k inputs. Channel scales of
// int4 are the best of eight clippings of the row's largest magnitude, by Σ U_jj² e_j². With groups the channel scale
// is RoundRow's, and each group's multiplier is chosen likewise from the current weights of the group when its turn
// comes, that is, after the errors of earlier columns. n k² operations; holds a bounded number of f32 rows at a time.
// Rows do not depend on one another nor on the number of threads. Refuses non-finite weights, naming output and input.
Result<PackedMatrix> GptqPack(const Format& format, int n, int k, const RowReader& read_row, const Hessian& factor,
                              const kernels::KernelTable& kernels, ThreadPool& threads);

}  // namespace lodestone
