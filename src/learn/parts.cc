#include "learn/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/overloaded.h"

namespace lodestone {
namespace {

Bound Bind(const Op& op, int layer, const Parameters& parameters, const DifferentiatorOptions& options) {
  const auto find = [&](const WeightRef& ref, ParameterRole role) { return parameters.Find({ref.kind, layer}, role); };
  const auto tensor = [&](const std::optional<WeightRef>& ref) {
    return ref ? find(*ref, ParameterRole::kTensor) : nullptr;
  };
  const auto step = [&](const std::optional<WeightRef>& ref) {
    return ref ? find(*ref, ParameterRole::kActivationStep) : nullptr;
  };
  return std::visit(
      Overloaded{
          [&](const Embed& o) { return Bound{.weight = tensor(o.table), .bias = tensor(o.positions)}; },
          [&](const Norm& o) { return Bound{.weight = tensor(o.weight), .bias = tensor(o.bias)}; },
          [&](const Quantize& o) { return Bound{.step = step(o.step)}; },
          [&](const Linear& o) {
            Bound bound{.weight = tensor(o.weight), .bias = tensor(o.bias)};
            bound.weight_steps =
                find(o.weight, o.last_rows_only ? ParameterRole::kOutputSteps : ParameterRole::kWeightSteps);
            if (options.block_mask) bound.mask = options.block_mask({o.weight.kind, layer});
            return bound;
          },
          [](const Rotate&) { return Bound{}; },
          [&](const StoreKv& o) { return Bound{.step = step(o.key_step), .value_step = step(o.value_step)}; },
          [&](const Attend& o) { return Bound{.step = step(o.probability_step)}; },
          [](const Gate&) { return Bound{}; },
          [](const Add&) { return Bound{}; },
          [](const Experts&) { return Bound{}; },
          [](const Collective&) { return Bound{}; },
      },
      op);
}

// Where the parameters of `layer` begin, or those behind the layers where it is −1.
int64_t FirstOffset(const Parameters& parameters, int layer) {
  int64_t layers_end = 0, first = std::numeric_limits<int64_t>::max();
  for (const Parameter& p : parameters.list()) {
    if (p.id.layer >= 0) layers_end = std::max(layers_end, p.offset + p.count());
  }
  for (const Parameter& p : parameters.list()) {
    if (p.id.layer == layer && (layer >= 0 || p.offset >= layers_end)) first = std::min(first, p.offset);
  }
  return first;
}

}  // namespace

std::vector<Part> MakeParts(const Program& program, const Parameters& parameters,
                            const DifferentiatorOptions& options) {
  std::vector<Part> parts(static_cast<size_t>(PartCount(program)));
  for (size_t p = 0; p < parts.size(); ++p) {
    Part& part = parts[p];
    part.program = Slice(program, static_cast<int>(p), static_cast<int>(p) + 1);
    const Segment& segment = part.program.segments.front();
    part.layer = segment.first_layer;
    part.tape = MakeTape(segment.ops, options.recompute);
    for (const TapeNode& node : part.tape.nodes) part.bound.push_back(Bind(*node.op, part.layer, parameters, options));
    if (p == 0) {
      part.final_from = 0;
    } else if (part.layer < 0 || part.layer != parts[p - 1].layer) {
      part.final_from = FirstOffset(parameters, part.layer);
    }
  }
  return parts;
}

std::string OperatorName(const Op& op, int layer) {
  if (const auto* linear = std::get_if<Linear>(&op)) return ToString(WeightId{linear->weight.kind, layer});
  if (const auto* norm = std::get_if<Norm>(&op)) return ToString(WeightId{norm->weight.kind, layer});
  return layer < 0 ? NameOf(op) : fmt::format("layer {} {}", layer, NameOf(op));
}

}  // namespace lodestone
