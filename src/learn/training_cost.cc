#include "learn/training_cost.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "learn/tape.h"

namespace lodestone {
namespace {

constexpr int64_t kStateBytes = 4 * 4;
constexpr int64_t kLogitBytes = 64 * kMiB;  // of the output layer's chunk of rows
constexpr double kMostBytes = 1e18;         // more than any machine has

// Beside the values of its tape, what integers take: codes of every weight, and of one weight at a time the values that
// they stand for and their gradient.
struct IntegerWeights {
  double codes = 0, largest = 0;
};

IntegerWeights IntegerWeightsOf(const Program& program) {
  IntegerWeights weights;
  for (const Segment& segment : program.segments) {
    for (const Op& op : segment.ops) {
      const auto* linear = std::get_if<Linear>(&op);
      if (linear == nullptr || !IsInteger(linear->weights.code)) continue;
      const double count = static_cast<double>(linear->n) * linear->k;
      weights.codes += count * segment.repeat;
      weights.largest = std::max(weights.largest, count);
    }
  }
  return weights;
}

// With thousands separators.
std::string Grouped(int64_t value) {
  std::string digits = fmt::format("{}", value);
  for (auto i = static_cast<int64_t>(digits.size()) - 3; i > 0; i -= 3) digits.insert(static_cast<size_t>(i), ",");
  return digits;
}

}  // namespace

double BlockForwardFlops(int64_t hidden, int64_t sequence, int64_t batch) {
  const auto h = static_cast<double>(hidden), s = static_cast<double>(sequence), b = static_cast<double>(batch);
  return 24 * b * s * h * h + 4 * b * s * s * h;
}

double ForwardFlopsPerToken(const ModelConfig& config, int64_t sequence) {
  return TrainingFlopsPerToken(config, sequence) / 3;
}

double MaskedFlopsPerToken(const ModelConfig& config) {
  const double h = config.hidden, q = config.q_width(), kv = config.kv_width(), f = config.ffn;
  return 6 * config.layers * (h * (2 * q + 2 * kv) + h * f * (config.gated_mlp ? 3 : 2));
}

TrainingMemory MemoryOfTraining(const ModelConfig& config, const Program& program, int64_t rows, bool recompute) {
  TrainingMemory memory{.parameters = ParameterCount(config), .rows = rows};
  memory.state_bytes = kStateBytes * std::min(memory.parameters, static_cast<int64_t>(kMostBytes) / kStateBytes);
  // Values a row: of all parts what is kept, of one what it computes, and the gradient of the stream.
  double kept = 0, scratch = 0;
  for (int p = 0; p < PartCount(program); ++p) {
    const Program part = Slice(program, p, p + 1);
    const Tape tape = MakeTape(part.segments.front().ops, recompute);
    kept += static_cast<double>(tape.frame_width);
    scratch = std::max(scratch, static_cast<double>(tape.scratch_width));
  }
  const IntegerWeights integers = IntegerWeightsOf(program);
  // In doubles, since a user's shape times a user's batch may be beyond an integer.
  const double bytes =
      4.0 * static_cast<double>(rows) * (kept + scratch + config.hidden) + integers.codes + 2 * 4 * integers.largest;
  memory.activation_bytes = static_cast<int64_t>(std::min(bytes, kMostBytes)) + kLogitBytes;
  return memory;
}

Status CheckTrainingMemory(const std::string& name, const TrainingMemory& memory, int64_t available_bytes) {
  if (memory.total() <= available_bytes) return {};
  return Infeasible(fmt::format(
      "{} needs {}: {} parameters × (4 value + 4 gradient + 4 + 4 moments) bytes = {}, and about {} of activations "
      "for {} tokens a micro-batch; this host has {}. A smaller model, a smaller micro-batch (with accumulation), a "
      "shorter sequence or recomputation needs less",
      name, FormatBytes(memory.total()), Grouped(memory.parameters), FormatBytes(memory.state_bytes),
      FormatBytes(memory.activation_bytes), Grouped(memory.rows), FormatBytes(available_bytes)));
}

}  // namespace lodestone
