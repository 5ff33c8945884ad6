#include "learn/quantize_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "base/overloaded.h"
#include "learn/calibration.h"
#include "learn/gptq_model.h"
#include "learn/rotate.h"
#include "program/program.h"

namespace lodestone {
namespace {

constexpr uint64_t kRotationSeed = 1;

struct MethodName {
  QuantizeMethod method;
  std::string_view name;
};
constexpr std::array<MethodName, 4> kMethods = {{{QuantizeMethod::kRtn, "rtn"},
                                                 {QuantizeMethod::kGptq, "gptq"},
                                                 {QuantizeMethod::kRotate, "rotate"},
                                                 {QuantizeMethod::kRotateGptq, "rotate+gptq"}}};

// Collects each tensor once, in the order of the program.
class Collector {
 public:
  void Add(const Op& op, int layer) {
    std::visit(Overloaded{
                   [&](const Embed& e) {
                     Matrix({e.table.kind, -1}, e.vocab, e.n, {.code = e.code});
                     if (e.positions) Matrix({e.positions->kind, -1}, e.max_positions, e.n, {.code = e.code});
                   },
                   [&](const Norm& n) {
                     Vector(n.weight, layer);
                     Vector(n.bias, layer);
                   },
                   [&](const Quantize& q) { Vector(q.step, layer); },
                   [&](const Linear& l) {
                     Matrix({l.weight.kind, layer}, l.n, l.k, l.weights);
                     Vector(l.bias, layer);
                   },
                   [](const Rotate&) {},
                   [&](const StoreKv& s) {
                     Vector(s.key_step, layer);
                     Vector(s.value_step, layer);
                   },
                   [&](const Attend& a) { Vector(a.probability_step, layer); },
                   [](const Gate&) {},
                   [](const lodestone::Add&) {},
                   [](const Experts&) {},
                   [](const Collective&) {},
               },
               op);
  }
  StoredTensors Take() { return std::move(tensors_); }

 private:
  void Matrix(const WeightId& id, int64_t n, int64_t k, const Format& format) {
    const bool known = std::any_of(tensors_.matrices.begin(), tensors_.matrices.end(),
                                   [&](const auto& m) { return m.id == id && m.shape.format == format; });
    if (known) return;
    tensors_.matrices.push_back(
        {.id = id, .shape = {.format = format, .n = static_cast<int>(n), .k = static_cast<int>(k)}});
  }
  void Vector(const std::optional<WeightRef>& ref, int layer) {
    if (ref) tensors_.vectors.push_back({ref->kind, layer});
  }

  StoredTensors tensors_;
};

}  // namespace

Result<QuantizeMethod> ParseQuantizeMethod(std::string_view text) {
  for (const MethodName& known : kMethods) {
    if (known.name == text) return known.method;
  }
  return Invalid(fmt::format("quantization method '{}'; expected rtn, gptq, rotate or rotate+gptq", text));
}

std::string_view ToString(QuantizeMethod method) {
  for (const MethodName& known : kMethods) {
    if (known.method == method) return known.name;
  }
  return "unknown method";
}

bool NeedsCalibration(QuantizeMethod method) {
  return method == QuantizeMethod::kGptq || method == QuantizeMethod::kRotateGptq;
}

Result<StoredTensors> TensorsOf(const ModelConfig& config, const Recipe& recipe) {
  if (config.experts > 0) {
    return Unsupported(
        fmt::format("model '{}': a mixture of experts cannot be quantised: experts are estimated, not "
                    "computed",
                    config.name));
  }
  LODESTONE_ASSIGN_OR_RETURN(const Program program, Describe(config, recipe));
  if (recipe.query.code != recipe.kv.code) {
    return Unsupported(fmt::format(
        "recipe {}: attention of {} queries over {} K and V is estimated, not computed; leave the KV suffix "
        "out",
        recipe.name, ToString(recipe.query.code), ToString(recipe.kv.code)));
  }
  Collector collector;
  for (const Segment& segment : program.segments) {
    for (int run = 0; run < segment.repeat; ++run) {
      const int layer = segment.first_layer < 0 ? -1 : segment.first_layer + run;
      for (const Op& op : segment.ops) collector.Add(op, layer);
    }
  }
  return collector.Take();
}

Status QuantizeModel(const ModelConfig& config, const Recipe& recipe, QuantizeMethod method, const WeightSource& source,
                     std::span<const int32_t> tokens, ThreadPool& threads, QuantizedSink& sink) {
  const bool calibrates = NeedsCalibration(method);
  const bool rotates = method == QuantizeMethod::kRotate || method == QuantizeMethod::kRotateGptq;
  if (!rotates) {
    return calibrates ? GptqModel(config, recipe, source, tokens, threads, sink)
                      : RoundModel(config, recipe, source, threads, sink);
  }
  const ModelConfig rotated_config = RotatedConfig(config);
  LODESTONE_ASSIGN_OR_RETURN(std::unique_ptr<WeightSource> rotated, RotatedWeights(source, config, kRotationSeed));
  if (NeedsStepSizes(recipe)) {
    LODESTONE_ASSIGN_OR_RETURN(rotated, Calibrate(rotated_config, recipe, std::move(rotated), tokens, threads));
  }
  return calibrates ? GptqModel(rotated_config, recipe, *rotated, tokens, threads, sink)
                    : RoundModel(rotated_config, recipe, *rotated, threads, sink);
}

}  // namespace lodestone
