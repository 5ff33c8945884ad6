// Directions, slopes and bounds with which gradients in f32 are held against differences in double.
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "learn/differentiator.h"
#include "learn/double_model.h"
#include "learn/parameters.h"

namespace lodestone::testing {

// Rounding errors of f32 along the longest chain of sums that a value passes: γ_n = n u / (1 − n u), u = 2⁻²⁴ (N.
// Higham, Accuracy and stability of numerical algorithms, section 3.1). Every layer sums over its widths, forward and
// back.
inline double Gamma(const ModelConfig& c, const Batch& batch) {
  const double widths = 4.0 * c.hidden + 2.0 * c.ffn + c.q_width() + 2.0 * c.head_dim + 2.0 * batch.length;
  const double n = 2 * (c.layers * widths + 2.0 * c.hidden + c.vocab) + static_cast<double>(batch.tokens.size());
  return n * 0x1p-24 / (1 - n * 0x1p-24);
}

inline double Norm(std::span<const float> values) {
  double squares = 0;
  for (const float value : values) squares += double{value} * double{value};
  return std::sqrt(squares);
}

inline double Distance(std::span<const float> a, std::span<const float> b) {
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) squares += (double{a[i]} - double{b[i]}) * (double{a[i]} - double{b[i]});
  return std::sqrt(squares);
}

// Numbers in [0, 1) that differ from tensor to tensor.
class Draws {
 public:
  explicit Draws(const Parameter& p) : seed_(static_cast<uint64_t>(p.offset) * 31 + 17) {
    for (int i = 0; i < 9; ++i) Next();
  }
  double Next() {
    seed_ = seed_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(seed_ >> 11) * 0x1p-53;
  }

 private:
  uint64_t seed_;
};

// Directions in the space of one tensor, of length about one and one.
inline std::vector<double> DenseDirection(const Parameter& p) {
  Draws draws(p);
  std::vector<double> direction(static_cast<size_t>(p.count()));
  for (double& element : direction) element = (draws.Next() - 0.5) * std::sqrt(12.0 / static_cast<double>(p.count()));
  return direction;
}
inline std::vector<double> SingleElement(const Parameter& p) {
  std::vector<double> direction(static_cast<size_t>(p.count()), 0.0);
  direction[static_cast<size_t>(Draws(p).Next() * static_cast<double>(p.count()))] = 1;
  return direction;
}

struct Slope {
  double value = 0, error = 0;
};

// Of the loss, from central differences of two widths: their error goes with the square of the width, so the finer
// one's is a third of what parts them, and taking it out leaves less.
inline Slope SlopeAlong(std::span<const double> u, int64_t offset, const Batch& batch, DoubleModel& model) {
  const std::vector<double> before = model.values;
  const auto nats = [&](double step) {
    for (size_t i = 0; i < u.size(); ++i) model.values[offset + i] = before[offset + i] + step * u[i];
    return model.Nats(batch);
  };
  const auto difference = [&](double h) { return (nats(h) - nats(-h)) / (2 * h); };
  const double fine = difference(1e-4), coarse = difference(2e-4);
  model.values = before;
  return {.value = (4 * fine - coarse) / 3, .error = std::abs(fine - coarse)};
}

}  // namespace lodestone::testing
