// A random orthogonal matrix R [n][n] that is applied in n log n: what spreads outliers over all channels.
//
// With n = 2^a × m, m odd, and a vector seen as [2^a][m],
//
//   R = D (H ⊗ Q) / √2^a
//
// where D flips signs at random, H is the Hadamard matrix of 2^a in Sylvester's order and Q [m][m] is a random
// orthogonal matrix, 1 where n is a power of two (QuaRot, Ashkboos et al., 2024; their tabulated Hadamard matrices of
// 12, 20, 28, … are replaced by Q, which exists for every m and spreads nearly as well). Signs and Q come from integer
// hashes, sums, products and square roots alone, so a seed gives the same R on every machine.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"

namespace lodestone {

class Rotation {
 public:
  // kUnsupported where the odd factor m exceeds 1024, since Q costs m³.
  static Result<Rotation> Make(int n, uint64_t seed);

  int size() const { return static_cast<int>(signs_.size()); }

  // x[n][columns]: every column v becomes v R (v seen as a row vector).
  void Apply(std::span<double> x, int columns) const;
  // One vector [n], in place, computed in f64.
  void Apply(std::span<float> vector) const;

 private:
  std::vector<double> signs_;  // [n] ±1 / √2^a
  int odd_ = 1;                // m
  std::vector<double> mix_;    // Q [m][m]; empty where m is 1
};

}  // namespace lodestone
