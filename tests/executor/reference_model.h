// A transformer written down plainly in double precision, straight from the papers' formulas, sharing nothing with the
// operator list but the weights. What the executor computes is held against it.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "executor/rope_table.h"
#include "model/config.h"
#include "model/weight_source.h"

namespace lodestone::testing {

class ReferenceModel {
 public:
  // With `noise_seed` ≠ 0 every product of a row and a vector is off by a random share of its rounding-error bound in
  // f32, k × 2⁻²⁴ × Σ |w x|: what the logits then move by is what rounding can do to them.
  ReferenceModel(const ModelConfig& config, const WeightSource& weights, uint32_t noise_seed = 0)
      : c_(config), weights_(weights), noise_(noise_seed) {}

  // Logits of every position.
  std::vector<std::vector<double>> Forward(const std::vector<int32_t>& tokens) const {
    const size_t n = tokens.size();
    std::vector<std::vector<double>> x(n);
    for (size_t t = 0; t < n; ++t) {
      x[t] = Row({WeightKind::kEmbedding, -1}, tokens[t], c_.hidden);
      for (double& v : x[t]) v *= c_.embedding_multiplier;
      if (c_.position == PositionKind::kLearned) {
        const auto position = Row({WeightKind::kPositions, -1}, static_cast<int64_t>(t), c_.hidden);
        for (int i = 0; i < c_.hidden; ++i) x[t][i] += position[i];
      }
    }
    for (int layer = 0; layer < c_.layers; ++layer) {
      std::vector<std::vector<double>> attention(n);
      Attention(layer, x, attention);
      for (size_t t = 0; t < n; ++t) {
        if (c_.parallel_residual) {
          const auto mlp = Mlp(layer, x[t]);
          for (int i = 0; i < c_.hidden; ++i) x[t][i] += c_.residual_multiplier * (attention[t][i] + mlp[i]);
        } else {
          for (int i = 0; i < c_.hidden; ++i) x[t][i] += c_.residual_multiplier * attention[t][i];
          const auto mlp = Mlp(layer, x[t]);
          for (int i = 0; i < c_.hidden; ++i) x[t][i] += c_.residual_multiplier * mlp[i];
        }
      }
    }
    std::vector<std::vector<double>> logits(n);
    const WeightId output{c_.tied_embeddings ? WeightKind::kEmbedding : WeightKind::kOutput, -1};
    for (size_t t = 0; t < n; ++t) {
      const auto normed = Normed(x[t], {WeightKind::kFinalNorm, -1}, {WeightKind::kFinalNormBias, -1});
      logits[t] = Times(output, c_.vocab, normed);
      for (double& v : logits[t]) v *= c_.logits_multiplier;
    }
    return logits;
  }

 private:
  std::vector<double> Row(const WeightId& id, int64_t row, int width) const {
    std::vector<float> values(static_cast<size_t>(width));
    const Status status = weights_.ReadRow(id, row, values);
    EXPECT_TRUE(status.ok()) << ToString(id);
    return {values.begin(), values.end()};
  }

  std::vector<double> Times(const WeightId& id, int rows, const std::vector<double>& x) const {
    std::vector<double> y(static_cast<size_t>(rows));
    for (int r = 0; r < rows; ++r) {
      const auto w = Row(id, r, static_cast<int>(x.size()));
      double magnitude = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        y[r] += w[i] * x[i];
        magnitude += std::abs(w[i] * x[i]);
      }
      if (noise_ != 0) {
        noise_ = noise_ * 1664525u + 1013904223u;
        const double share = static_cast<double>(noise_ >> 8) / (1 << 23) - 1;
        y[r] += share * static_cast<double>(x.size()) * 0x1.0p-24 * magnitude;
      }
    }
    return y;
  }

  std::vector<double> TimesPlus(const WeightId& id, const WeightId& bias, bool has_bias, int rows,
                                const std::vector<double>& x) const {
    auto y = Times(id, rows, x);
    if (has_bias) {
      const auto b = Row(bias, 0, rows);
      for (int r = 0; r < rows; ++r) y[r] += b[r];
    }
    return y;
  }

  std::vector<double> Normed(const std::vector<double>& x, const WeightId& weight, const WeightId& bias) const {
    const auto w = Row(weight, 0, static_cast<int>(x.size()));
    double mean = 0, square = 0;
    if (c_.norm == NormKind::kLayer) {
      for (double v : x) mean += v / static_cast<double>(x.size());
    }
    for (double v : x) square += (v - mean) * (v - mean) / static_cast<double>(x.size());
    std::vector<double> y(x.size());
    for (size_t i = 0; i < x.size(); ++i) y[i] = (x[i] - mean) / std::sqrt(square + c_.norm_eps) * w[i];
    if (c_.norm == NormKind::kLayer) {
      const auto b = Row(bias, 0, static_cast<int>(x.size()));
      for (size_t i = 0; i < x.size(); ++i) y[i] += b[i];
    }
    return y;
  }

  void NormHead(double* head, const WeightId& weight) const {
    const auto w = Row(weight, 0, c_.head_dim);
    double square = 0;
    for (int i = 0; i < c_.head_dim; ++i) square += head[i] * head[i] / c_.head_dim;
    for (int i = 0; i < c_.head_dim; ++i) head[i] = head[i] / std::sqrt(square + c_.norm_eps) * w[i];
  }

  void Rotate(double* head, size_t position) const {
    const auto frequencies = RotaryFrequencies(c_.rope);
    const int half = c_.rope.rotary_dim / 2;
    for (int i = 0; i < half; ++i) {
      const double angle = static_cast<double>(position) * frequencies[i];
      const double a = head[i], b = head[i + half];
      head[i] = a * std::cos(angle) - b * std::sin(angle);
      head[i + half] = b * std::cos(angle) + a * std::sin(angle);
    }
  }

  void Attention(int layer, const std::vector<std::vector<double>>& x, std::vector<std::vector<double>>& out) const {
    const size_t n = x.size();
    const int d = c_.head_dim;
    std::vector<std::vector<double>> q(n), k(n), v(n);
    for (size_t t = 0; t < n; ++t) {
      const auto normed = Normed(x[t], {WeightKind::kAttentionNorm, layer}, {WeightKind::kAttentionNormBias, layer});
      q[t] = TimesPlus({WeightKind::kQ, layer}, {WeightKind::kQBias, layer}, c_.qkv_bias, c_.q_width(), normed);
      k[t] = TimesPlus({WeightKind::kK, layer}, {WeightKind::kKBias, layer}, c_.qkv_bias, c_.kv_width(), normed);
      v[t] = TimesPlus({WeightKind::kV, layer}, {WeightKind::kVBias, layer}, c_.qkv_bias, c_.kv_width(), normed);
      for (int h = 0; h < c_.heads; ++h) {
        if (c_.qk_norm) NormHead(&q[t][h * d], {WeightKind::kQNorm, layer});
        if (c_.position == PositionKind::kRotary) Rotate(&q[t][h * d], t);
      }
      for (int h = 0; h < c_.kv_heads; ++h) {
        if (c_.qk_norm) NormHead(&k[t][h * d], {WeightKind::kKNorm, layer});
        if (c_.position == PositionKind::kRotary) Rotate(&k[t][h * d], t);
      }
    }
    for (size_t t = 0; t < n; ++t) {
      std::vector<double> attended(static_cast<size_t>(c_.q_width()));
      const size_t first = c_.sliding_window > 0 && t + 1 > static_cast<size_t>(c_.sliding_window)
                               ? t + 1 - static_cast<size_t>(c_.sliding_window)
                               : 0;
      for (int h = 0; h < c_.heads; ++h) {
        const int g = h / (c_.heads / c_.kv_heads);
        std::vector<double> p(t + 1);
        double sum = 0;
        for (size_t s = first; s <= t; ++s) {
          double dot = 0;
          for (int i = 0; i < d; ++i) dot += q[t][h * d + i] * k[s][g * d + i];
          p[s] = std::exp(dot * c_.attention_scale);
          sum += p[s];
        }
        for (size_t s = first; s <= t; ++s) {
          for (int i = 0; i < d; ++i) attended[h * d + i] += p[s] / sum * v[s][g * d + i];
        }
      }
      out[t] = TimesPlus({WeightKind::kO, layer}, {WeightKind::kOBias, layer}, c_.attention_output_bias, c_.hidden,
                         attended);
    }
  }

  std::vector<double> Mlp(int layer, const std::vector<double>& x) const {
    const auto normed = Normed(x, {WeightKind::kMlpNorm, layer}, {WeightKind::kMlpNormBias, layer});
    auto hidden = TimesPlus({WeightKind::kUp, layer}, {WeightKind::kUpBias, layer}, c_.mlp_bias, c_.ffn, normed);
    if (c_.gated_mlp) {
      const auto gate =
          TimesPlus({WeightKind::kGate, layer}, {WeightKind::kGateBias, layer}, c_.mlp_bias, c_.ffn, normed);
      for (int i = 0; i < c_.ffn; ++i) hidden[i] *= Activate(gate[i]);
    } else {
      for (double& v : hidden) v = Activate(v);
    }
    return TimesPlus({WeightKind::kDown, layer}, {WeightKind::kDownBias, layer}, c_.mlp_bias, c_.hidden, hidden);
  }

  double Activate(double x) const {
    switch (c_.activation) {
      case ActivationKind::kSilu:
        return x / (1 + std::exp(-x));
      case ActivationKind::kGeluTanh:
        return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
      case ActivationKind::kGeluErf:
        return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    }
    return x;
  }

  const ModelConfig& c_;
  const WeightSource& weights_;
  mutable uint32_t noise_;
};

}  // namespace lodestone::testing
