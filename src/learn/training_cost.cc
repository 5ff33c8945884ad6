#include "learn/training_cost.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/overloaded.h"
#include "base/units.h"

namespace lodestone {
namespace {

constexpr int64_t kStateBytes = 4 * 4;
constexpr int64_t kLogitBytes = 64 * kMiB;  // of the output layer's chunk of rows
constexpr double kMostBytes = 1e18;         // more than any machine has

// Values a row that an operator's backward reads: what it wrote, and for a norm the stream that it read.
int64_t ValuesOf(const Op& op) {
  return std::visit(
      Overloaded{[](const Embed& o) { return int64_t{o.n}; }, [](const Norm& o) { return 2 * int64_t{o.n} * o.groups; },
                 [](const Quantize& o) { return int64_t{o.n}; }, [](const Linear& o) { return int64_t{o.n}; },
                 [](const Rotate&) { return int64_t{0}; },   // in place
                 [](const StoreKv&) { return int64_t{0}; },  // K and V are counted where they are made
                 [](const Attend& o) { return int64_t{o.heads} * (o.head_dim + 1); },
                 [](const Gate& o) { return int64_t{o.n}; }, [](const Add&) { return int64_t{0}; },  // in place
                 [](const Collective&) { return int64_t{0}; }},
      op);
}

// What is kept of a part where the rest is computed again.
int64_t StreamValuesOf(const Op& op) {
  const auto* norm = std::get_if<Norm>(&op);
  return norm != nullptr && norm->in == Reg::kStream ? norm->n : 0;
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

double TrainingFlopsPerToken(const ModelConfig& config, int64_t sequence) {
  return 6 * static_cast<double>(ParameterCount(config)) +
         12.0 * config.layers * config.hidden * static_cast<double>(sequence);
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
  int64_t kept = 0, most = 0;  // values a row: of all layers, and of one while it is computed (again) or walked back
  for (const Segment& segment : program.segments) {
    int64_t values = 0, stream = 0;
    for (const Op& op : segment.ops) {
      const auto* linear = std::get_if<Linear>(&op);
      if (linear != nullptr && linear->out == Reg::kLogits) continue;  // never held whole
      values += ValuesOf(op);
      stream += StreamValuesOf(op);
    }
    kept += segment.repeat * (recompute ? stream : values);
    most = std::max(most, values);
  }
  // In doubles, since a user's shape times a user's batch may be beyond an integer.
  const double bytes = 4.0 * static_cast<double>(rows) * static_cast<double>(kept + (recompute ? 2 : 1) * most);
  memory.activation_bytes = static_cast<int64_t>(std::min(bytes, kMostBytes)) + kLogitBytes;
  return memory;
}

Status CheckTrainingMemory(const std::string& name, const TrainingMemory& memory, int64_t available_bytes) {
  if (memory.total() <= available_bytes) return {};
  return Infeasible(fmt::format(
      "{} needs {}: {} parameters × (4 value + 4 gradient + 4 + 4 moments) bytes = {}, and at most {} of activations "
      "for {} tokens a micro-batch; this host has {}. A smaller model, a smaller micro-batch (with accumulation), a "
      "shorter sequence or recomputation needs less",
      name, FormatBytes(memory.total()), Grouped(memory.parameters), FormatBytes(memory.state_bytes),
      FormatBytes(memory.activation_bytes), Grouped(memory.rows), FormatBytes(available_bytes)));
}

}  // namespace lodestone
