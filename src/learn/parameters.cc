#include "learn/parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/overloaded.h"
#include "base/units.h"
#include "host/cpu.h"
#include "learn/quantized_linear.h"
#include "numerics/rounding.h"
#include "program/program.h"

namespace lodestone {
namespace {

constexpr int64_t kAlignFloats = 16;  // a cache line, and the widest vector

// What one segment of the program wants beside the model's tensors.
struct Steps {
  std::vector<WeightKind> activations;  // in the order of the operators
  std::vector<std::pair<WeightKind, int64_t>> weights;
};

Status CheckFormat(const Format& weights, const std::string& recipe) {
  if (weights.scales == Scales::kGroup) {
    return Unsupported(
        fmt::format("recipe {}: group scales of weights cannot be trained; train a step a channel "
                    "(a recipe without :g{})",
                    recipe, weights.group));
  }
  if (weights.code == Code::kInt2) {
    return Unsupported(
        fmt::format("recipe {}: 2-bit weights have no kernel on this host and cannot be trained", recipe));
  }
  return {};
}

Result<Steps> StepsOf(const Segment& segment, const std::string& recipe) {
  Steps steps;
  Status status;
  const auto add = [&](const std::optional<WeightRef>& step) {
    if (step) steps.activations.push_back(step->kind);
  };
  for (const Op& op : segment.ops) {
    std::visit(Overloaded{
                   [](const Embed&) {},
                   [](const Norm&) {},
                   [&](const Quantize& o) { add(o.step); },
                   [&](const Linear& o) {
                     if (!IsInteger(o.weights.code)) return;
                     if (status.ok()) status = CheckFormat(o.weights, recipe);
                     steps.weights.emplace_back(o.weight.kind, o.n);
                   },
                   [](const Rotate&) {},
                   [&](const StoreKv& o) {
                     add(o.key_step);
                     add(o.value_step);
                   },
                   [&](const Attend& o) { add(o.probability_step); },
                   [](const Gate&) {},
                   [](const Add&) {},
                   [](const Experts&) {},
                   [](const Collective&) {},
               },
               op);
  }
  LODESTONE_RETURN_IF_ERROR(status);
  return steps;
}

// Every parameter in the order of the header, offsets given.
class Layout {
 public:
  void Add(const WeightId& id, ParameterRole role, int64_t rows, int64_t columns) {
    Parameter p{.id = id, .role = role, .rows = rows, .columns = columns, .offset = size_};
    size_ += (p.count() + kAlignFloats - 1) / kAlignFloats * kAlignFloats;
    list_.push_back(p);
  }
  void AddSteps(const Steps& steps, int layer, ParameterRole weight_role) {
    for (const WeightKind kind : steps.activations) Add({kind, layer}, ParameterRole::kActivationStep, 1, 1);
    for (const auto& [kind, n] : steps.weights) Add({kind, layer}, weight_role, 1, n);
  }

  std::vector<Parameter> Take() { return std::move(list_); }
  int64_t size() const { return size_; }

 private:
  std::vector<Parameter> list_;
  int64_t size_ = 0;
};

class ParametersSource final : public WeightSource {
 public:
  ParametersSource(const Parameters& parameters, const ModelConfig& config)
      : parameters_(parameters), name_(config.name) {}

  Status ReadRow(const WeightId& id, int64_t row, std::span<float> out) const override {
    const Parameter* p =
        parameters_.Find(id, IsStep(id.kind) ? ParameterRole::kActivationStep : ParameterRole::kTensor);
    if (p == nullptr) return NotFound(fmt::format("{} is no parameter of model '{}'", ToString(id), name_));
    if (row < 0 || row >= p->rows || static_cast<int64_t>(out.size()) != p->columns) {
      return Invalid(fmt::format("{}: row {} as {} values; it has {} rows of {}", ToString(id), row, out.size(),
                                 p->rows, p->columns));
    }
    const std::span<const float> values = parameters_.values(*p);
    if (p->role == ParameterRole::kActivationStep && values[0] == 0) {
      return NotFound(fmt::format("{} has not been trained yet", ToString(id)));
    }
    std::copy_n(values.data() + row * p->columns, p->columns, out.data());
    return {};
  }

  Status ReadPanels(const WeightId& id, int64_t first_row, int begin, int end, PackedMatrix& matrix) const override {
    const Parameter* tensor = parameters_.Find(id, ParameterRole::kTensor);
    const Parameter* steps = parameters_.Find(id, ParameterRole::kWeightSteps);
    if (steps == nullptr) steps = parameters_.Find(id, ParameterRole::kOutputSteps);
    if (!IsInteger(matrix.format.code) || tensor == nullptr || steps == nullptr) {
      return WeightSource::ReadPanels(id, first_row, begin, end, matrix);
    }
    const int max_code = MaxCode(matrix.format.code);
    const auto read_codes = [&](int o, QuantizedRow& row) -> Status {
      const int64_t at = first_row + o;
      const std::span<const float> w = parameters_.values(*tensor).subspan(at * tensor->columns, tensor->columns);
      RoundRowAt(parameters_.values(*steps)[at], max_code, w, row);
      return {};
    };
    return PackCodePanels(begin, end, read_codes, matrix);
  }

  std::string Describe() const override { return fmt::format("{} in training", name_); }

 private:
  const Parameters& parameters_;
  std::string name_;
};

}  // namespace

Result<Parameters> Parameters::Make(const ModelConfig& config, const Recipe& recipe) {
  LODESTONE_ASSIGN_OR_RETURN(const Program program, Describe(config, recipe));
  Layout layout;
  const std::vector<WeightId> tensors = AllWeights(config);
  auto next = tensors.begin();
  const auto add_tensors = [&](auto belongs) {
    for (; next != tensors.end() && belongs(*next); ++next) {
      const WeightShape shape = ShapeOf(config, *next);
      layout.Add(*next, ParameterRole::kTensor, shape.rows, shape.columns);
    }
  };
  add_tensors([](const WeightId& id) { return id.kind <= WeightKind::kPositions; });
  for (const Segment& segment : program.segments) {
    LODESTONE_ASSIGN_OR_RETURN(const Steps steps, StepsOf(segment, recipe.name));
    if (segment.first_layer >= 0) {
      for (int layer = 0; layer < segment.repeat; ++layer) {
        add_tensors([&](const WeightId& id) { return id.layer == layer; });
        layout.AddSteps(steps, layer, ParameterRole::kWeightSteps);
      }
    } else if (std::holds_alternative<Linear>(segment.ops.back())) {
      add_tensors([](const WeightId&) { return true; });
      layout.AddSteps(steps, -1, ParameterRole::kOutputSteps);
    }
  }

  Parameters parameters;
  parameters.size_ = layout.size();
  parameters.list_ = layout.Take();
  const int64_t bytes = parameters.size_ * static_cast<int64_t>(sizeof(float));
  const int64_t memory = DescribeHost().memory_bytes;
  const auto too_large = [&] {
    return Infeasible(fmt::format("model '{}': {} of parameters and {} of gradients do not fit the {} of this machine",
                                  config.name, FormatBytes(bytes), FormatBytes(bytes), FormatBytes(memory)));
  };
  if (memory > 0 && bytes > memory / 2) return too_large();
  parameters.values_ = AlignedBuffer(static_cast<size_t>(bytes));
  parameters.gradients_ = AlignedBuffer(static_cast<size_t>(bytes));
  if (parameters.values_.size() == 0 || parameters.gradients_.size() == 0) return too_large();
  return parameters;
}

const Parameter* Parameters::Find(const WeightId& id, ParameterRole role) const {
  const auto found =
      std::find_if(list_.begin(), list_.end(), [&](const Parameter& p) { return p.id == id && p.role == role; });
  return found == list_.end() ? nullptr : &*found;
}

std::span<float> Parameters::all_values() {
  return {reinterpret_cast<float*>(values_.data()), static_cast<size_t>(size_)};
}
std::span<const float> Parameters::all_values() const {
  return {reinterpret_cast<const float*>(values_.data()), static_cast<size_t>(size_)};
}
std::span<float> Parameters::all_gradients() {
  return {reinterpret_cast<float*>(gradients_.data()), static_cast<size_t>(size_)};
}
std::span<float> Parameters::values(const Parameter& p) {
  return all_values().subspan(static_cast<size_t>(p.offset), static_cast<size_t>(p.count()));
}
std::span<const float> Parameters::values(const Parameter& p) const {
  return all_values().subspan(static_cast<size_t>(p.offset), static_cast<size_t>(p.count()));
}
std::span<float> Parameters::gradients(const Parameter& p) {
  return all_gradients().subspan(static_cast<size_t>(p.offset), static_cast<size_t>(p.count()));
}

void Parameters::ZeroGradients() { std::memset(gradients_.data(), 0, gradients_.size()); }

Status Parameters::Load(const WeightSource& source) {
  for (const Parameter& p : list_) {
    if (p.role == ParameterRole::kWeightSteps || p.role == ParameterRole::kOutputSteps) continue;
    const std::span<float> all = values(p);
    for (int64_t row = 0; row < p.rows; ++row) {
      const std::span<float> out = all.subspan(static_cast<size_t>(row * p.columns), static_cast<size_t>(p.columns));
      const Status status = source.ReadRow(p.id, row, out);
      if (!status.ok() && p.role == ParameterRole::kActivationStep && status.error().code == ErrorCode::kNotFound) {
        out[0] = 0;
        continue;
      }
      LODESTONE_RETURN_IF_ERROR(status);
      if (!std::isfinite(LargestMagnitude(out))) {
        return Invalid(
            fmt::format("{}: row {} of {} holds a value that is not finite", source.Describe(), row, ToString(p.id)));
      }
    }
  }
  return {};
}

std::unique_ptr<WeightSource> SourceOf(const Parameters& parameters, const ModelConfig& config) {
  return std::make_unique<ParametersSource>(parameters, config);
}

}  // namespace lodestone
