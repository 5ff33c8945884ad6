#include "learn/differentiator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/overloaded.h"
#include "kernels/dispatch.h"
#include "learn/output_loss.h"
#include "learn/part_walker.h"
#include "learn/parts.h"
#include "learn/step_sizes.h"
#include "numerics/rounding.h"

namespace lodestone {
namespace {

Status CheckFormats(const Format& a, const Format& b, const char* what, const Recipe& recipe) {
  const bool same_float = a.code == b.code && (a.code == Code::kF32 || a.code == Code::kBf16);
  if (same_float || (IsInteger(a.code) && IsInteger(b.code))) return {};
  return Unsupported(fmt::format("recipe {}: {} of {} and {} cannot be differentiated here", recipe.name, what,
                                 ToString(a), ToString(b)));
}

Status CheckAttention(const Attend& attend, const Recipe& recipe) {
  if (IsInteger(attend.query.code) && attend.query.code != attend.kv.code) {
    return Unsupported(fmt::format("recipe {}: attention of {} queries over {} K and V is estimated, not computed",
                                   recipe.name, ToString(attend.query), ToString(attend.kv)));
  }
  return CheckFormats(attend.query, attend.kv, "attention", recipe);
}

Status CheckOperator(const Op& op, const Recipe& recipe) {
  return std::visit(
      Overloaded{
          [](const Embed&) { return Status(); },
          [](const Norm&) { return Status(); },
          [](const Quantize&) { return Status(); },  // as the operator that reads it
          [&](const Linear& o) { return CheckFormats(o.input, o.weights, "matrix products", recipe); },
          [](const Rotate&) { return Status(); },
          [](const StoreKv&) { return Status(); },
          [&](const Attend& o) { return CheckAttention(o, recipe); },
          [](const Gate&) { return Status(); },
          [](const Add&) { return Status(); },
          [](const Experts&) {
            return Status(Unsupported("a mixture of experts cannot be trained: experts are estimated, not computed"));
          },
          [](const Collective&) {
            return Status(Unsupported("a shard's gathers cannot be differentiated; train whole models"));
          },
      },
      op);
}

Status CheckProgram(const Program& program, const Recipe& recipe) {
  for (const Segment& segment : program.segments) {
    for (const Op& op : segment.ops) LODESTONE_RETURN_IF_ERROR(CheckOperator(op, recipe));
  }
  return {};
}

class TapeDifferentiator final : public Differentiator {
 public:
  TapeDifferentiator(const ModelConfig& config, std::vector<Part> parts, Parameters& parameters,
                     const kernels::KernelTable& kernels, std::unique_ptr<kernels::LinearProducts> products,
                     ThreadPool& threads)
      : config_(config),
        parts_(std::move(parts)),
        products_(std::move(products)),
        walker_(parts_, parameters, kernels, kernels::TrainingTableFor(kernels), *products_, threads),
        output_loss_(kernels, kernels::TrainingTableFor(kernels), *products_, threads) {}

  Result<Loss> Evaluate(const Batch& batch) override;
  Result<Loss> Accumulate(const Batch& batch, float scale, const GradientsReady& ready) override;
  Result<std::vector<float>> Logits(const Batch& batch) override;
  Status DistillFrom(Differentiator& teacher, float weight, float temperature) override;
  int64_t activation_bytes() const override { return walker_.bytes() + output_loss_.bytes(); }

 private:
  Status Check(const Batch& batch) const;
  // What a teacher does for its pupil: a walk over the batch, then logits [rows][vocab] of its rows as they are asked
  // for.
  Status Teach(const Batch& batch) { return Forward(batch, false); }
  void LogitRows(int64_t begin, int64_t rows, float* logits) {
    output_loss_.Logits(walker_.Output(false), begin, rows, logits);
  }
  // All but the output layer.
  Status Forward(const Batch& batch, bool backward);
  // The error of a batch whose loss is not finite: which operator was the first to give such a value.
  Error NotFinite(const Batch& batch);

  ModelConfig config_;
  std::vector<Part> parts_;
  std::unique_ptr<kernels::LinearProducts> products_;
  PartWalker walker_;
  OutputLoss output_loss_;
  TapeDifferentiator* teacher_ = nullptr;
  std::optional<Distillation> distillation_;
};

Status TapeDifferentiator::Check(const Batch& batch) const {
  if (batch.sequences < 1 || batch.length < 1) {
    return Invalid(fmt::format("a batch of {} sequences of {} tokens; expected at least one of each", batch.sequences,
                               batch.length));
  }
  if (batch.length > config_.max_positions) {
    return Infeasible(fmt::format("sequences of {} tokens; model '{}' has {} positions", batch.length, config_.name,
                                  config_.max_positions));
  }
  const auto count = static_cast<size_t>(int64_t{batch.sequences} * batch.length);
  if (batch.tokens.size() != count || batch.targets.size() != count) {
    return Invalid(fmt::format("{} tokens and {} targets; expected {} sequences × {} of each", batch.tokens.size(),
                               batch.targets.size(), batch.sequences, batch.length));
  }
  const auto check = [&](std::span<const int32_t> ids, int32_t least, const char* what) -> Status {
    const auto bad =
        std::find_if(ids.begin(), ids.end(), [&](int32_t id) { return id < least || id >= config_.vocab; });
    if (bad == ids.end()) return {};
    const auto at = static_cast<int>(bad - ids.begin());
    return Invalid(fmt::format("sequence {}, position {}: {} {} lies outside the vocabulary of {}", at / batch.length,
                               at % batch.length, what, *bad, config_.vocab));
  };
  LODESTONE_RETURN_IF_ERROR(check(batch.tokens, 0, "token"));
  return check(batch.targets, -1, "target");
}

Status TapeDifferentiator::Forward(const Batch& batch, bool backward) {
  LODESTONE_RETURN_IF_ERROR(Check(batch));
  LODESTONE_RETURN_IF_ERROR(
      walker_.Begin({.sequences = batch.sequences, .length = batch.length}, batch.tokens, backward));
  for (size_t p = 0; p < parts_.size(); ++p) walker_.Forward(p);
  return {};
}

Result<Loss> TapeDifferentiator::Evaluate(const Batch& batch) {
  LODESTONE_RETURN_IF_ERROR(Forward(batch, false));
  LODESTONE_ASSIGN_OR_RETURN(const Loss loss, output_loss_.Run(walker_.Output(false), batch.targets, nullptr, nullptr));
  if (!std::isfinite(loss.nats)) return NotFinite(batch);
  return loss;
}

Result<Loss> TapeDifferentiator::Accumulate(const Batch& batch, float scale, const GradientsReady& ready) {
  if (teacher_ != nullptr) LODESTONE_RETURN_IF_ERROR(teacher_->Teach(batch));
  LODESTONE_RETURN_IF_ERROR(Forward(batch, true));
  const OutputGradients gradients = walker_.OutputGradientsAt(scale);
  LODESTONE_ASSIGN_OR_RETURN(const Loss loss, output_loss_.Run(walker_.Output(true), batch.targets, &gradients,
                                                               distillation_ ? &*distillation_ : nullptr));
  if (!std::isfinite(loss.nats)) return NotFinite(batch);
  for (size_t p = parts_.size(); p-- > 0;) {
    walker_.Backward(p);
    if (ready && parts_[p].final_from >= 0) ready(parts_[p].final_from);
  }
  return loss;
}

Result<std::vector<float>> TapeDifferentiator::Logits(const Batch& batch) {
  LODESTONE_RETURN_IF_ERROR(Forward(batch, false));
  const OutputLayer layer = walker_.Output(false);
  std::vector<float> logits(static_cast<size_t>(layer.shape.rows * layer.shape.n));
  output_loss_.Logits(layer, 0, layer.shape.rows, logits.data());
  return logits;
}

Status TapeDifferentiator::DistillFrom(Differentiator& teacher, float weight, float temperature) {
  if (!(weight >= 0 && weight <= 1)) {
    return Invalid(
        fmt::format("distillation weight {}; expected 0 (the targets alone) to 1 (the teacher alone)", weight));
  }
  if (!(temperature > 0) || !std::isfinite(temperature)) {
    return Invalid(fmt::format("distillation temperature {}; expected a positive number", temperature));
  }
  auto* other = dynamic_cast<TapeDifferentiator*>(&teacher);  // there is no other kind
  if (other == nullptr || other == this) return Invalid("a model cannot be its own teacher");
  if (other->config_.vocab != config_.vocab) {
    return Invalid(
        fmt::format("the teacher '{}' has a vocabulary of {}, the model '{}' one of {}; they must be the same",
                    other->config_.name, other->config_.vocab, config_.name, config_.vocab));
  }
  teacher_ = other;
  distillation_ = {
      .teacher = [other](int64_t begin, int64_t rows, float* logits) { other->LogitRows(begin, rows, logits); },
      .weight = weight,
      .temperature = temperature};
  return {};
}

Error TapeDifferentiator::NotFinite(const Batch& batch) {
  const Status begun = walker_.Begin({.sequences = batch.sequences, .length = batch.length}, batch.tokens, false);
  if (!begun.ok()) return begun.error();
  for (size_t p = 0; p < parts_.size(); ++p) {
    const Part& part = parts_[p];
    for (size_t n = 0; n < part.tape.nodes.size(); ++n) {
      walker_.ForwardNode(p, n);
      for (const std::span<const float> values : walker_.Outputs(p, n)) {
        const auto bad = std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
        if (bad == values.end()) continue;
        return Invalid(fmt::format(
            "the loss is not finite: {} is the first operator to yield {}; the learning rate may be too high, or the "
            "weights that it began from are broken",
            OperatorName(*part.tape.nodes[n].op, part.layer), *bad));
      }
    }
  }
  return Invalid(
      "the loss is not finite: all layers yield finite values, the output layer does not; the learning rate may be too "
      "high");
}

}  // namespace

Result<std::unique_ptr<Differentiator>> Differentiator::Make(const ModelConfig& config, const Recipe& recipe,
                                                             Parameters& parameters, ThreadPool& threads,
                                                             DifferentiatorOptions options) {
  LODESTONE_ASSIGN_OR_RETURN(const Program program, Describe(config, recipe));
  LODESTONE_RETURN_IF_ERROR(CheckTrainable(recipe));
  LODESTONE_RETURN_IF_ERROR(CheckProgram(program, recipe));
  LODESTONE_ASSIGN_OR_RETURN(const kernels::KernelTable* kernels, kernels::SelectFromEnvironment());
  LODESTONE_ASSIGN_OR_RETURN(std::unique_ptr<kernels::LinearProducts> products, kernels::LinearProducts::Make(threads));
  return std::unique_ptr<Differentiator>(std::make_unique<TapeDifferentiator>(
      config, MakeParts(program, parameters, options), parameters, *kernels, std::move(products), threads));
}

}  // namespace lodestone
