// The second moment of a linear layer's inputs, H = Σ x xᵀ, and the triangular factor that GPTQ works with.
//
// The loss that quantising a row w → ŵ adds to the layer's output is (w − ŵ) H (w − ŵ)ᵀ; the factor 2 of its second
// derivative changes nothing and is left out.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "host/thread_pool.h"
#include "kernels/kernel_table.h"
#include "numerics/aligned_buffer.h"

namespace lodestone {

class Hessian {
 public:
  // k × k f32 of zeros; kInfeasible where the host refuses the memory.
  static Result<Hessian> Make(int k);

  // Adds x[rows][stride], of which the first k of each row count. k² rows operations, in f32 sums of the rows of one
  // call; the bits do not depend on the number of threads.
  void Add(const kernels::KernelTable& kernels, ThreadPool& threads, const float* x, int64_t stride, int rows);

  // Replaces H by the upper triangular U with H + d I = U Uᵀ, in k³ / 3 operations. d is `damping` times the mean of
  // H's diagonal; where rounding leaves that short of positive definite, ten times as much, and again. Inputs that were
  // never seen count with d alone; if none was, U is I. Returns the damping that served; kInvalid where H is not
  // finite.
  Result<double> Factorize(const kernels::KernelTable& kernels, ThreadPool& threads, double damping);

  int k() const { return k_; }
  // Row i of H, or after Factorize of U: elements j ≥ i are valid, and nothing is below k.
  const float* Row(int i) const { return data() + i * stride_; }

 private:
  float* data() { return reinterpret_cast<float*>(values_.data()); }
  const float* data() const { return reinterpret_cast<const float*>(values_.data()); }
  float* MutableRow(int i) { return data() + i * stride_; }
  bool TryFactorize(const kernels::KernelTable& kernels, ThreadPool& threads);

  int k_ = 0;
  int64_t stride_ = 0;
  AlignedBuffer values_;
};

}  // namespace lodestone
