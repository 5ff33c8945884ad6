#include "learn/rotation.h"

#include <fmt/format.h>

#include <cmath>

#include "base/split_mix.h"

namespace lodestone {
namespace {

constexpr int kLargestOdd = 1024;

// The finalizer of SplitMix64 as a generator of 64 random bits a call.
class Bits {
 public:
  explicit Bits(uint64_t seed) : state_(seed) {}
  uint64_t Next() { return SplitMixFinal(state_ += kSplitMixGamma); }
  // Nearly Gaussian, of mean 0: the centred sum of twelve 32-bit words, exact in f64.
  double NextNormal() {
    double sum = 0;
    for (int i = 0; i < 6; ++i) {
      const uint64_t bits = Next();
      sum += static_cast<double>(bits & 0xffffffff) + static_cast<double>(bits >> 32);
    }
    return (sum - 6 * 4294967295.0) * 0x1p-32;
  }

 private:
  uint64_t state_;
};

// Rows made orthonormal by Gram and Schmidt, each row twice ("twice is enough": Giraud et al., 2005).
std::vector<double> RandomOrthogonal(int n, Bits& bits) {
  const auto size = static_cast<size_t>(n);
  std::vector<double> q(size * size);
  for (double& value : q) value = bits.NextNormal();
  for (size_t r = 0; r < size; ++r) {
    double* row = q.data() + r * size;
    for (int pass = 0; pass < 2; ++pass) {
      for (size_t p = 0; p < r; ++p) {
        const double* earlier = q.data() + p * size;
        double dot = 0;
        for (size_t i = 0; i < size; ++i) dot += row[i] * earlier[i];
        for (size_t i = 0; i < size; ++i) row[i] -= dot * earlier[i];
      }
    }
    double squares = 0;
    for (size_t i = 0; i < size; ++i) squares += row[i] * row[i];
    const double inverse = 1 / std::sqrt(squares);
    for (size_t i = 0; i < size; ++i) row[i] *= inverse;
  }
  return q;
}

}  // namespace

Result<Rotation> Rotation::Make(int n, uint64_t seed) {
  LODESTONE_CHECK(n > 0);
  Rotation rotation;
  rotation.odd_ = n;
  while (rotation.odd_ % 2 == 0) rotation.odd_ /= 2;
  if (rotation.odd_ > kLargestOdd) {
    return Unsupported(
        fmt::format("a rotation of {} values: its odd factor {} exceeds {}", n, rotation.odd_, kLargestOdd));
  }
  Bits bits(seed);
  const double scale = 1 / std::sqrt(static_cast<double>(n / rotation.odd_));
  rotation.signs_.resize(static_cast<size_t>(n));
  for (double& sign : rotation.signs_) sign = (bits.Next() >> 63) != 0 ? -scale : scale;
  if (rotation.odd_ > 1) rotation.mix_ = RandomOrthogonal(rotation.odd_, bits);
  return rotation;
}

void Rotation::Apply(std::span<double> x, int columns) const {
  const size_t n = signs_.size(), width = static_cast<size_t>(columns), odd = static_cast<size_t>(odd_);
  LODESTONE_CHECK(x.size() == n * width);
  for (size_t i = 0; i < n; ++i) {
    for (size_t c = 0; c < width; ++c) x[i * width + c] *= signs_[i];
  }
  // The fast Walsh-Hadamard transform over the leading 2^a of [2^a][m][columns].
  for (size_t half = odd * width; half < n * width; half *= 2) {
    for (size_t block = 0; block < n * width; block += 2 * half) {
      double *low = x.data() + block, *high = low + half;
      for (size_t i = 0; i < half; ++i) {
        const double a = low[i], b = high[i];
        low[i] = a + b;
        high[i] = a - b;
      }
    }
  }
  if (mix_.empty()) return;
  std::vector<double> mixed(odd * width);
  for (size_t block = 0; block < n; block += odd) {
    mixed.assign(odd * width, 0.0);
    double* rows = x.data() + block * width;
    for (size_t i = 0; i < odd; ++i) {
      for (size_t j = 0; j < odd; ++j) {
        const double q = mix_[i * odd + j];
        for (size_t c = 0; c < width; ++c) mixed[j * width + c] += q * rows[i * width + c];
      }
    }
    std::copy(mixed.begin(), mixed.end(), rows);
  }
}

void Rotation::Apply(std::span<float> vector) const {
  std::vector<double> wide(vector.begin(), vector.end());
  Apply(wide, 1);
  for (size_t i = 0; i < vector.size(); ++i) vector[i] = static_cast<float>(wide[i]);
}

}  // namespace lodestone
