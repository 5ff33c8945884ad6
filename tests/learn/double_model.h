// The operator list in plain double precision, as slow and as obvious as can be: what gradients are differenced
// against.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <span>
#include <vector>

#include "base/overloaded.h"
#include "executor/rope_table.h"
#include "learn/differentiator.h"
#include "learn/parameters.h"
#include "program/program.h"

namespace lodestone::testing {

class DoubleModel {
 public:
  // Of recipe f32. `parameters` outlive this and say where in `values` each tensor lies.
  DoubleModel(const ModelConfig& config, const Parameters& parameters)
      : values(parameters.all_values().begin(), parameters.all_values().end()),
        parameters_(parameters),
        program_(*Describe(config, *ParseRecipe("f32"))) {}

  std::vector<double> values;  // laid out as Parameters' own

  // Σ −log softmax(logits)[target] over the counted targets.
  double Nats(const Batch& batch) {
    const std::vector<double>& logits = Logits(batch);
    const size_t vocab = logits.size() / batch.targets.size();
    double nats = 0;
    for (size_t r = 0; r < batch.targets.size(); ++r) {
      if (batch.targets[r] < 0) continue;
      const std::span<const double> row = std::span(logits).subspan(r * vocab, vocab);
      const double largest = *std::max_element(row.begin(), row.end());
      double sum = 0;
      for (const double logit : row) sum += std::exp(logit - largest);
      nats += std::log(sum) + largest - row[static_cast<size_t>(batch.targets[r])];
    }
    return nats;
  }

  const std::vector<double>& Logits(const Batch& batch) {
    batch_ = &batch;
    rows_ = batch.tokens.size();
    for (const Segment& segment : program_.segments) {
      for (int run = 0; run < segment.repeat; ++run) {
        layer_ = segment.first_layer < 0 ? -1 : segment.first_layer + run;
        for (const Op& op : segment.ops) Run(op);
      }
    }
    return At(Reg::kLogits);
  }

 private:
  std::vector<double>& At(Reg reg) { return registers_[static_cast<size_t>(reg)]; }
  const double* Weight(const WeightRef& ref) const {
    return values.data() + parameters_.Find({ref.kind, layer_}, ParameterRole::kTensor)->offset;
  }
  const double* Weight(const std::optional<WeightRef>& ref) const { return ref ? Weight(*ref) : nullptr; }
  size_t Position(size_t row) const { return row % static_cast<size_t>(batch_->length); }

  void Run(const Op& op) {
    std::visit(Overloaded{
                   [&](const Embed& o) { Run(o); },
                   [&](const Norm& o) { Run(o); },
                   [&](const Quantize& o) { At(o.out) = At(o.in); },
                   [&](const Linear& o) { Run(o); },
                   [&](const Rotate& o) { Run(o); },
                   [](const StoreKv&) {},
                   [&](const Attend& o) { Run(o); },
                   [&](const Gate& o) { Run(o); },
                   [&](const Add& o) {
                     for (size_t i = 0; i < At(o.in).size(); ++i) At(o.stream)[i] += double{o.multiplier} * At(o.in)[i];
                   },
                   [](const Experts&) {},
                   [](const Collective&) {},
               },
               op);
  }

  void Run(const Embed& o) {
    const double *table = Weight(o.table), *positions = Weight(o.positions);
    const auto n = static_cast<size_t>(o.n);
    At(o.out).resize(rows_ * n);
    for (size_t r = 0; r < rows_; ++r) {
      for (size_t i = 0; i < n; ++i) {
        const double position = positions == nullptr ? 0 : positions[Position(r) * n + i];
        At(o.out)[r * n + i] = double{o.multiplier} * table[static_cast<size_t>(batch_->tokens[r]) * n + i] + position;
      }
    }
  }

  void Run(const Norm& o) {
    const double *weight = Weight(o.weight), *bias = Weight(o.bias);
    const auto n = static_cast<size_t>(o.n);
    std::vector<double> out(At(o.in).size());
    for (size_t at = 0; at < out.size(); at += n) {
      const double* x = At(o.in).data() + at;
      double mean = 0, squares = 0;
      if (o.kind == NormKind::kLayer) {
        for (size_t i = 0; i < n; ++i) mean += x[i] / static_cast<double>(n);
      }
      for (size_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
      const double scale = 1 / std::sqrt(squares / static_cast<double>(n) + double{o.eps});
      for (size_t i = 0; i < n; ++i) {
        out[at + i] = (x[i] - mean) * scale * weight[i] + (bias == nullptr ? 0 : bias[i]);
      }
    }
    At(o.out) = out;
  }

  void Run(const Linear& o) {
    const double *weight = Weight(o.weight), *bias = Weight(o.bias);
    const auto n = static_cast<size_t>(o.n), k = static_cast<size_t>(o.k);
    std::vector<double>& out = At(o.out);
    out.assign(rows_ * n, 0);
    for (size_t r = 0; r < rows_; ++r) {
      const double* x = At(o.in).data() + r * k;
      for (size_t i = 0; i < n; ++i) {
        double sum = 0;
        for (size_t j = 0; j < k; ++j) sum += weight[i * k + j] * x[j];
        out[r * n + i] = double{o.multiplier} * sum + (bias == nullptr ? 0 : bias[i]);
      }
    }
  }

  void Run(const Rotate& o) {
    const std::vector<double> frequencies = RotaryFrequencies(o.rope);
    const auto d = static_cast<size_t>(o.head_dim), heads = static_cast<size_t>(o.heads), half = frequencies.size();
    for (size_t r = 0; r < rows_; ++r) {
      for (size_t h = 0; h < heads; ++h) {
        double* x = At(o.x).data() + (r * heads + h) * d;
        for (size_t i = 0; i < half; ++i) {
          const double angle = static_cast<double>(Position(r)) * frequencies[i];
          const double a = x[i], b = x[i + half];
          x[i] = a * std::cos(angle) - b * std::sin(angle);
          x[i + half] = b * std::cos(angle) + a * std::sin(angle);
        }
      }
    }
  }

  void Run(const Attend& o) {
    const auto heads = static_cast<size_t>(o.heads), kv_heads = static_cast<size_t>(o.kv_heads);
    const auto d = static_cast<size_t>(o.head_dim);
    std::vector<double>& out = At(o.out);
    out.assign(rows_ * heads * d, 0);
    for (size_t r = 0; r < rows_; ++r) {
      const size_t last = Position(r), start = r - last;
      const size_t window = o.window == 0 ? last + 1 : static_cast<size_t>(o.window);
      const size_t first = last + 1 - std::min(window, last + 1);
      for (size_t h = 0; h < heads; ++h) {
        const double* q = At(o.q).data() + (r * heads + h) * d;
        const size_t shared = h / (heads / kv_heads);
        std::vector<double> p;
        for (size_t t = first; t <= last; ++t) {
          const double* k = At(Reg::kK).data() + ((start + t) * kv_heads + shared) * d;
          double score = 0;
          for (size_t i = 0; i < d; ++i) score += q[i] * k[i];
          p.push_back(score * double{o.scale});
        }
        const double largest = *std::max_element(p.begin(), p.end());
        double sum = 0;
        for (double& score : p) sum += score = std::exp(score - largest);
        for (size_t t = first; t <= last; ++t) {
          const double* v = At(Reg::kV).data() + ((start + t) * kv_heads + shared) * d;
          for (size_t i = 0; i < d; ++i) out[(r * heads + h) * d + i] += p[t - first] / sum * v[i];
        }
      }
    }
  }

  static double Activate(ActivationKind kind, double x) {
    switch (kind) {
      case ActivationKind::kSilu:
        return x / (1 + std::exp(-x));
      case ActivationKind::kGeluTanh:
        return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
      case ActivationKind::kGeluErf:
        return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
    }
    return 0;
  }

  void Run(const Gate& o) {
    std::vector<double>& out = At(o.out);
    out = At(o.gate);
    for (size_t i = 0; i < out.size(); ++i) out[i] = Activate(o.activation, out[i]) * (o.up ? At(*o.up)[i] : 1);
  }

  const Parameters& parameters_;
  Program program_;
  const Batch* batch_ = nullptr;
  size_t rows_ = 0;
  int layer_ = -1;
  std::array<std::vector<double>, static_cast<size_t>(Reg::kCount)> registers_;
};

}  // namespace lodestone::testing
