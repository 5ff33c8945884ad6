// Attention over whole sequences in double, with how far f32 may be from it.
#pragma once

#include <algorithm>
#include <cmath>

#include "cases.h"

namespace lodestone::kernels {

using Doubles = std::vector<double>;

struct Shape {
  int length = 1, group = 1, head_dim = 1, window = 0;
  bool bf16 = false;
  float p_step = 0, p_max = 0;
  float scale = 0.3f;

  std::string Name() const {
    return fmt::format("length {}, group {}, head_dim {}, window {}, bf16 {}, p_step {}", length, group, head_dim,
                       window, bf16, p_step);
  }
  int First(int i) const { return window > 0 ? std::max(0, i - window + 1) : 0; }
};

// A matrix of `columns` with a gap after each row.
struct Rows {
  int columns, stride;
  std::vector<float> values;

  Rows(int rows, int n, int gap, float value = kUntouched)
      : columns(n), stride(n + gap), values(static_cast<size_t>(rows * (n + gap)), value) {}
  float* data() { return values.data(); }
  const float* data() const { return values.data(); }
  float& at(int r, int c) { return values[static_cast<size_t>(r * stride + c)]; }
  float at(int r, int c) const { return values[static_cast<size_t>(r * stride + c)]; }
  bool GapsUntouched() const {
    for (size_t i = 0; i < values.size(); ++i) {
      if (static_cast<int>(i) % stride >= columns && values[i] != kUntouched) return false;
    }
    return true;
  }
  void FillNormal(Random& random, bool bf16) {
    for (float& value : values) value = bf16 ? Bf16ToFloat(FloatToBf16(random.Normal())) : random.Normal();
  }
};

struct Operands {
  Rows q, k, v, out_gradient;
  Operands(const Shape& s, Random& random)
      : q(s.length, s.group * s.head_dim, 3), k(s.length, s.head_dim, 5), v(k), out_gradient(q) {
    for (Rows* rows : {&q, &k, &v, &out_gradient}) rows->FillNormal(random, s.bf16);
  }
};

// The same in double, and how far f32 may be from it. Every bound is the sum of the magnitudes that meet in a result
// times the roundings on their way.
struct Exact {
  static constexpr double kUnit = 0x1p-24;     // relative error of one rounding to f32
  static constexpr double kBf16Unit = 0x1p-8;  // to bf16

  const Shape& s;
  const Operands& o;
  Doubles out, lse, q_gradient, k_gradient, v_gradient;
  Doubles out_bound, lse_bound, q_bound, k_bound, v_bound;
  double p_step_gradient = 0, p_step_bound = 0;

  Exact(const Shape& shape, const Operands& operands) : s(shape), o(operands) {
    const size_t queries = static_cast<size_t>(s.length * s.group * s.head_dim);
    const size_t keys = static_cast<size_t>(s.length * s.head_dim);
    for (Doubles* array : {&out, &q_gradient, &out_bound, &q_bound}) array->resize(queries);
    for (Doubles* array : {&k_gradient, &v_gradient, &k_bound, &v_bound}) array->resize(keys);
    for (Doubles* array : {&lse, &lse_bound}) array->resize(static_cast<size_t>(s.length * s.group));
    for (int head = 0; head < s.group; ++head) {
      for (int i = 0; i < s.length; ++i) Row(head, i);
    }
  }
  size_t QueryAt(int head, int i, int d) const { return static_cast<size_t>((i * s.group + head) * s.head_dim + d); }
  size_t KeyAt(int j, int d) const { return static_cast<size_t>(j * s.head_dim + d); }

  void Row(int head, int i) {
    const int first = s.First(i), n = i + 1 - first;
    const double u = kUnit, blocks = s.length / 64 + 2;
    const auto q = [&](int d) { return double{o.q.at(i, head * s.head_dim + d)}; };
    const auto gradient = [&](int d) { return double{o.out_gradient.at(i, head * s.head_dim + d)}; };
    Doubles score(static_cast<size_t>(n)), p(score), dp(score), dp_error(score);
    double largest = -1e300, magnitude = 0, score_error = 0;
    for (int t = 0; t < n; ++t) {
      double dot = 0, sum = 0, grad = 0, grad_sum = 0;
      for (int d = 0; d < s.head_dim; ++d) {
        const double k = o.k.at(first + t, d), v = o.v.at(first + t, d);
        dot += q(d) * k;
        sum += std::abs(q(d) * k);
        grad += gradient(d) * v;
        grad_sum += std::abs(gradient(d) * v);
      }
      const auto at = static_cast<size_t>(t);
      score[at] = dot * double{s.scale};
      dp[at] = grad;
      dp_error[at] = grad_sum * s.head_dim * u;
      score_error = std::max(score_error, sum * double{s.scale} * (s.head_dim + 1) * u);
      largest = std::max(largest, score[at]);
      magnitude = std::max(magnitude, std::abs(score[at]));
    }
    double total = 0;
    for (int t = 0; t < n; ++t) total += std::exp(score[static_cast<size_t>(t)] - largest);
    const double log_sum = largest + std::log(total);
    // Of a probability, relatively: its own score and that of the maximum, differences rounded, exponentials of 2 ulp,
    // the sum over lanes and blocks, a factor from block to block.
    const double relative =
        2 * score_error + (4 * magnitude + 2 * std::abs(log_sum) + 24 + 8 * blocks + s.length / 16.0) * u;
    const auto row = static_cast<size_t>(head * s.length + i);
    lse[row] = log_sum;
    lse_bound[row] = relative + std::abs(log_sum) * u;
    const double p_rounding = s.bf16 ? kBf16Unit : 0;

    double dot = 0, dot_error = 0;  // D
    for (int t = 0; t < n; ++t) p[static_cast<size_t>(t)] = std::exp(score[static_cast<size_t>(t)] - log_sum);
    for (int d = 0; d < s.head_dim; ++d) {
      double sum = 0, magnitudes = 0;
      for (int t = 0; t < n; ++t) {
        const double term = p[static_cast<size_t>(t)] * o.v.at(first + t, d);
        sum += term;
        magnitudes += std::abs(term);
      }
      const double bound = magnitudes * (relative + p_rounding + (64 + 4 * blocks) * u);
      out[QueryAt(head, i, d)] = sum;
      out_bound[QueryAt(head, i, d)] = bound;
      dot += sum * gradient(d);
      dot_error += std::abs(gradient(d)) * (bound + std::abs(sum) * (s.head_dim / 16.0 + 6) * u);
    }
    Doubles weight = p, weight_error(p.size());
    for (size_t t = 0; t < p.size(); ++t) weight_error[t] = p[t] * (relative + p_rounding);
    if (s.p_step > 0) Quantise(p, relative, p_rounding, weight, weight_error, dp, dp_error, dot, dot_error);
    for (int t = 0; t < n; ++t) {
      const auto at = static_cast<size_t>(t);
      const double scale = s.scale, centred = dp[at] - dot;
      const double ds = scale * p[at] * centred;
      const double ds_error = std::abs(ds) * (relative + 4 * u + p_rounding) +
                              scale * p[at] * (dp_error[at] + dot_error + (std::abs(dp[at]) + std::abs(dot)) * u);
      const double sums = (64 + blocks * s.group * 2) * u;
      for (int d = 0; d < s.head_dim; ++d) {
        const double k = o.k.at(first + t, d);
        q_gradient[QueryAt(head, i, d)] += ds * k;
        q_bound[QueryAt(head, i, d)] += std::abs(k) * (ds_error + std::abs(ds) * sums);
        k_gradient[KeyAt(first + t, d)] += ds * q(d);
        k_bound[KeyAt(first + t, d)] += std::abs(q(d)) * (ds_error + std::abs(ds) * sums);
        v_gradient[KeyAt(first + t, d)] += weight[at] * gradient(d);
        v_bound[KeyAt(first + t, d)] += std::abs(gradient(d)) * (weight_error[at] + weight[at] * sums);
      }
    }
  }

  // Where v = p / step lies so near to a boundary that f32 may fall on its other side, the bound is the jump.
  void Quantise(const Doubles& p, double relative, double p_rounding, Doubles& weight, Doubles& weight_error,
                Doubles& dp, Doubles& dp_error, double& dot, double& dot_error) {
    const double step = s.p_step, max = s.p_max;
    dot = dot_error = 0;
    for (size_t t = 0; t < p.size(); ++t) {
      const double v = p[t] / step, error = v * (relative + 4 * kUnit);
      const double code = std::min(std::nearbyint(v), max);
      const bool inside = v < max, near_max = std::abs(v - max) <= error;
      const bool near_half = std::abs(std::abs(v - std::nearbyint(v)) - 0.5) <= error && v < max + 1;
      weight[t] = code * step;
      weight_error[t] = code * step * (kUnit + p_rounding) + (near_half ? step : 0);
      const double slope = inside ? code - v : max;
      p_step_gradient += dp[t] * slope;
      p_step_bound +=
          dp_error[t] * std::abs(slope) +
          std::abs(dp[t]) * (error + (near_half ? 1 : 0) + (near_max ? max + 1 : 0) + std::abs(slope) * 8 * kUnit);
      if (near_max) dp_error[t] += std::abs(dp[t]);
      if (!inside) {
        dp[t] = 0;
        dp_error[t] = near_max ? dp_error[t] : 0;
      }
      dot += p[t] * dp[t];
      dot_error += p[t] * (dp_error[t] + std::abs(dp[t]) * (relative + 12 * kUnit));
    }
  }
};

}  // namespace lodestone::kernels
