#include "learn/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/units.h"
#include "kernels/dispatch.h"
#include "kernels/training_table.h"

namespace lodestone {
namespace {

// A piece of one parameter: what a thread updates at a time. The pieces, and with them the order of the norm's sums, do
// not depend on the number of threads. 32 Ki values of four f32 arrays are half of a 1 MB second-level cache.
constexpr int64_t kPiece = int64_t{32} << 10;

struct Piece {
  int64_t begin = 0, count = 0;
  bool decays = false, step_size = false, activation_step = false;
};

std::vector<Piece> PiecesOf(const Parameters& parameters) {
  std::vector<Piece> pieces;
  for (const Parameter& p : parameters.list()) {
    const bool tensor = p.role == ParameterRole::kTensor;
    for (int64_t begin = 0; begin < p.count(); begin += kPiece) {
      pieces.push_back({.begin = p.offset + begin,
                        .count = std::min(kPiece, p.count() - begin),
                        .decays = tensor && p.rows > 1,
                        .step_size = !tensor,
                        .activation_step = p.role == ParameterRole::kActivationStep});
    }
  }
  return pieces;
}

std::span<float> FloatsOf(AlignedBuffer& buffer, int64_t size) {
  return {reinterpret_cast<float*>(buffer.data()), static_cast<size_t>(size)};
}

}  // namespace

double LearningRate(const OptimizerSettings& settings, int64_t step, int64_t steps) {
  const double peak = settings.learning_rate;
  if (step < settings.warmup_steps) {
    return peak * static_cast<double>(step + 1) / static_cast<double>(settings.warmup_steps);
  }
  if (!settings.cosine) return peak;
  // From the peak at the first step after the warm-up to the final fraction at the last one.
  const int64_t span = std::max<int64_t>(1, steps - 1 - settings.warmup_steps);
  const double way = std::min(1.0, static_cast<double>(step - settings.warmup_steps) / static_cast<double>(span));
  const double half_cosine = 0.5 * (1 + std::cos(std::numbers::pi * way));
  return peak * (settings.final_fraction + (1 - settings.final_fraction) * half_cosine);
}

Result<AdamW> AdamW::Make(const Parameters& parameters, const OptimizerSettings& settings) {
  AdamW optimizer;
  optimizer.settings_ = settings;
  optimizer.size_ = static_cast<int64_t>(parameters.all_values().size());
  const size_t bytes = parameters.all_values().size_bytes();
  optimizer.first_ = AlignedBuffer(bytes);
  optimizer.second_ = AlignedBuffer(bytes);
  if (optimizer.first_.size() != bytes || optimizer.second_.size() != bytes) {
    return Infeasible(fmt::format("AdamW keeps two moments of {} each, and the system refuses the memory",
                                  FormatBytes(static_cast<int64_t>(bytes))));
  }
  return optimizer;
}

std::span<float> AdamW::first_moments() { return FloatsOf(first_, size_); }
std::span<float> AdamW::second_moments() { return FloatsOf(second_, size_); }

Result<AdamW::Report> AdamW::Step(Parameters& parameters, int64_t step, int64_t steps, double gradient_scale,
                                  ThreadPool& threads) {
  LODESTONE_ASSIGN_OR_RETURN(const kernels::KernelTable* table, kernels::SelectFromEnvironment());
  const kernels::TrainingTable& kernels = kernels::TrainingTableFor(*table);
  const std::vector<Piece> pieces = PiecesOf(parameters);
  const auto count = static_cast<int64_t>(pieces.size());
  float* values = parameters.all_values().data();
  const float* gradients = parameters.all_gradients().data();

  std::vector<double> squares(pieces.size());
  threads.ParallelFor(count, [&](int64_t begin, int64_t end, int) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      squares[i] = kernels.sum_of_squares(gradients + pieces[i].begin, pieces[i].count);
    }
  });
  double sum = 0;
  for (const double square : squares) sum += square;
  const double norm = std::sqrt(sum) * gradient_scale;
  if (!std::isfinite(norm)) {
    return Invalid(
        fmt::format("the gradient's norm is {}; nothing was changed. A lower learning rate or a longer warm-up may "
                    "keep it finite",
                    norm));
  }
  const bool clips = settings_.clip_norm > 0 && norm > settings_.clip_norm;
  const double scale = clips ? gradient_scale * settings_.clip_norm / norm : gradient_scale;
  const double rate = LearningRate(settings_, step, steps);
  const double step_rate = step < settings_.step_rate_steps ? rate * settings_.step_rate_factor : rate;
  const auto t = static_cast<double>(step + 1);
  const double correction1 = 1 / (1 - std::pow(settings_.beta1, t));
  const double correction2 = 1 / (1 - std::pow(settings_.beta2, t));

  threads.ParallelFor(count, [&](int64_t begin, int64_t end, int) {
    std::vector<float> before;
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      const Piece& piece = pieces[i];
      float* value = values + piece.begin;
      if (piece.step_size) {  // from 0, the update alone comes out
        before.assign(value, value + piece.count);
        std::fill_n(value, piece.count, 0.0F);
      }
      kernels.adamw({.value = value,
                     .gradient = gradients + piece.begin,
                     .first = first_moments().data() + piece.begin,
                     .second = second_moments().data() + piece.begin,
                     .n = piece.count,
                     .gradient_scale = static_cast<float>(scale),
                     .rate = static_cast<float>(piece.activation_step ? step_rate : rate),
                     .beta1 = static_cast<float>(settings_.beta1),
                     .beta2 = static_cast<float>(settings_.beta2),
                     .eps = static_cast<float>(settings_.eps),
                     .weight_decay = static_cast<float>(piece.decays ? settings_.weight_decay : 0),
                     .correction1 = static_cast<float>(correction1),
                     .correction2 = static_cast<float>(correction2)});
      if (!piece.step_size) continue;
      for (size_t j = 0; j < before.size(); ++j) {
        const float moved = before[j] + before[j] * value[j];
        value[j] = std::max({moved, kLeastStepFraction * before[j], std::min(before[j], kLeastStep)});
      }
    }
  });
  return Report{.gradient_norm = norm, .learning_rate = rate};
}

}  // namespace lodestone
