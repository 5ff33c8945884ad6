#include "learn/part_walker.h"

#include <utility>

#include "base/overloaded.h"

namespace lodestone {

PartWalker::PartWalker(std::span<const Part> parts, Parameters& parameters, const kernels::KernelTable& kernels,
                       const kernels::TrainingTable& training, kernels::LinearProducts& products, ThreadPool& threads)
    : parts_(parts),
      parameters_(parameters),
      products_(products),
      operators_(kernels, training, threads),
      quantized_(parts, parameters, kernels, training, products, threads),
      activations_(parts) {}

Status PartWalker::Begin(BatchShape shape, std::span<const int32_t> tokens, bool backward) {
  shape_ = shape;
  tokens_ = tokens;
  stream_started_ = false;
  const auto held = static_cast<int64_t>(2 * parameters_.all_values().size_bytes());
  LODESTONE_RETURN_IF_ERROR(activations_.Reserve(shape.rows(), backward, held));
  return quantized_.Begin(shape, backward);
}

float PartWalker::StepOf(size_t p, int value) const {
  const std::optional<WeightRef>& step = parts_[p].tape.values[value].step;
  LODESTONE_CHECK(step.has_value());
  const Parameter* parameter = parameters_.Find({step->kind, parts_[p].layer}, ParameterRole::kActivationStep);
  return parameters_.values(*parameter)[0];
}

QuantizedOperators::AttentionInputs PartWalker::AttentionInputsOf(size_t p, const TapeNode& node) {
  return {.q = Value(p, node.reads[0]),
          .k = Value(p, node.reads[1]),
          .v = Value(p, node.reads[2]),
          .q_step = StepOf(p, node.reads[0]),
          .k_step = StepOf(p, node.reads[1]),
          .v_step = StepOf(p, node.reads[2])};
}

kernels::LinearShape PartWalker::ShapeOf(const Linear& op, const Bound& bound) const {
  return {.rows = shape_.rows(),
          .n = op.n,
          .k = op.k,
          .precision = op.input.code == Code::kBf16 ? kernels::Precision::kBf16 : kernels::Precision::kF32,
          .mask = bound.mask};
}

void PartWalker::Forward(size_t p) {
  for (size_t n = 0; n < parts_[p].tape.nodes.size(); ++n) ForwardNode(p, n);
}

void PartWalker::ForwardNode(size_t p, size_t n) {
  const TapeNode& node = parts_[p].tape.nodes[n];
  const Bound& bound = parts_[p].bound[n];
  const auto read = [&](size_t i) { return Value(p, node.reads[i]); };
  const auto write = [&](size_t i) { return Value(p, node.writes[i]); };
  std::visit(
      Overloaded{
          [&](const Embed& op) {
            operators_.Embed(op, shape_, tokens_, Data(bound.weight), Data(bound.bias), write(0));
          },
          [&](const Norm& op) { operators_.Norm(op, shape_, read(0), Data(bound.weight), Data(bound.bias), write(0)); },
          [&](const Quantize& op) { quantized_.Quantize(op, bound, read(0), write(0)); },
          [&](const Linear& op) {
            if (op.last_rows_only) return;
            if (IsInteger(op.weights.code)) {
              return quantized_.Linear(p, n, read(0), StepOf(p, node.reads[0]), write(0));
            }
            products_.Forward(ShapeOf(op, bound), read(0), op.k, Data(bound.weight), Data(bound.bias), op.multiplier,
                              write(0), op.n);
          },
          [&](const Rotate& op) { operators_.Rotate(op, shape_, read(0), write(0)); },
          [&](const StoreKv& op) { quantized_.StoreKv(op, bound, read(0), read(1), write(0), write(1)); },
          [&](const Attend& op) {
            if (IsInteger(op.kv.code)) return quantized_.Attend(op, bound, AttentionInputsOf(p, node), write(0));
            operators_.Attend(op, shape_, {.q = read(0), .k = read(1), .v = read(2), .out = write(0), .lse = write(1)});
          },
          [&](const Gate& op) { operators_.Gate(op, shape_, read(0), op.up ? read(1) : nullptr, write(0)); },
          [&](const Add& op) { operators_.Add(op, shape_, read(0), read(1), write(0)); },
          [](const Experts&) { LODESTONE_CHECK(false); },
          [](const Collective&) { LODESTONE_CHECK(false); },
      },
      *node.op);
}

bool PartWalker::Accumulates(size_t p, int value) {
  if (parts_[p].tape.values[value].stream) return std::exchange(stream_started_, true);
  const bool started = started_[value];
  started_[value] = true;
  return started;
}

float* PartWalker::FreshGradient(size_t p, int value) {
  LODESTONE_CHECK(!Accumulates(p, value));
  return Gradient(p, value);
}

void PartWalker::Backward(size_t p) {
  const Tape& tape = parts_[p].tape;
  if (p + 1 < parts_.size()) {  // the last part has just run: its scratch still holds what would be computed again
    started_.assign(tape.values.size(), false);
    for (size_t n = 0; n < tape.nodes.size(); ++n) {
      if (tape.nodes[n].replay) ForwardNode(p, n);
    }
  }
  for (size_t n = tape.nodes.size(); n-- > 0;) BackwardNode(p, n);
}

void PartWalker::BackwardNode(size_t p, size_t n) {
  const TapeNode& node = parts_[p].tape.nodes[n];
  const Bound& bound = parts_[p].bound[n];
  const auto read = [&](size_t i) { return Value(p, node.reads[i]); };
  const auto write = [&](size_t i) { return Value(p, node.writes[i]); };
  const auto out_gradient = [&] { return Gradient(p, node.writes[0]); };
  const auto fresh = [&](size_t i) { return FreshGradient(p, node.reads[i]); };
  std::visit(
      Overloaded{
          [&](const Embed& op) {
            operators_.EmbedBackward(op, shape_, tokens_, out_gradient(), GradientOf(bound.weight),
                                     GradientOf(bound.bias));
          },
          [&](const Norm& op) {
            const bool accumulate = Accumulates(p, node.reads[0]);
            operators_.NormBackward(op, shape_, read(0), out_gradient(), Data(bound.weight), accumulate,
                                    Gradient(p, node.reads[0]), GradientOf(bound.weight), GradientOf(bound.bias));
          },
          [&](const Quantize& op) { quantized_.QuantizeBackward(op, bound, read(0), out_gradient(), fresh(0)); },
          [&](const Linear& op) {
            const bool integer = IsInteger(op.weights.code);
            if (op.last_rows_only) return integer ? quantized_.FinishOutput() : void();
            const bool accumulate = Accumulates(p, node.reads[0]);
            if (integer) {
              return quantized_.LinearBackward(p, n, read(0), out_gradient(), accumulate, Gradient(p, node.reads[0]));
            }
            const kernels::LinearShape shape = ShapeOf(op, bound);
            products_.BackwardInput(shape, out_gradient(), op.n, Data(bound.weight), op.multiplier, accumulate,
                                    Gradient(p, node.reads[0]), op.k);
            products_.BackwardWeight(shape, out_gradient(), op.n, read(0), op.k, op.multiplier,
                                     GradientOf(bound.weight), GradientOf(bound.bias));
          },
          [&](const Rotate& op) { operators_.RotateBackward(op, shape_, out_gradient(), fresh(0)); },
          [&](const StoreKv& op) {
            quantized_.StoreKvBackward(
                op, bound, read(0), read(1),
                {.k_values = out_gradient(), .v_values = Gradient(p, node.writes[1]), .k = fresh(0), .v = fresh(1)});
          },
          [&](const Attend& op) {
            if (IsInteger(op.kv.code)) {
              return quantized_.AttendBackward(op, bound, AttentionInputsOf(p, node),
                                               {.out = out_gradient(), .q = fresh(0), .k = fresh(1), .v = fresh(2)});
            }
            operators_.AttendBackward(op, shape_,
                                      {.q = read(0), .k = read(1), .v = read(2), .out = write(0), .lse = write(1)},
                                      {.out = out_gradient(), .q = fresh(0), .k = fresh(1), .v = fresh(2)});
          },
          [&](const Gate& op) {
            operators_.GateBackward(op, shape_, read(0), op.up ? read(1) : nullptr, out_gradient(), fresh(0),
                                    op.up ? fresh(1) : nullptr);
          },
          [&](const Add& op) { operators_.AddBackward(op, shape_, out_gradient(), fresh(0)); },
          [](const Experts&) { LODESTONE_CHECK(false); },
          [](const Collective&) { LODESTONE_CHECK(false); },
      },
      *node.op);
}

OutputLayer PartWalker::Output(bool backward) {
  const size_t p = parts_.size() - 1;
  const TapeNode& node = parts_[p].tape.nodes.back();
  const Bound& bound = parts_[p].bound.back();
  const auto& op = std::get<Linear>(*node.op);
  OutputLayer layer{.shape = ShapeOf(op, bound),
                    .multiplier = op.multiplier,
                    .x = Value(p, node.reads[0]),
                    .weight = Data(bound.weight),
                    .bias = Data(bound.bias),
                    .quantized = {}};
  if (IsInteger(op.weights.code)) quantized_.Output(StepOf(p, node.reads[0]), backward, layer);
  return layer;
}

OutputGradients PartWalker::OutputGradientsAt(float scale) {
  const size_t p = parts_.size() - 1;
  const TapeNode& node = parts_[p].tape.nodes.back();
  const Bound& bound = parts_[p].bound.back();
  const bool integer = IsInteger(std::get<Linear>(*node.op).weights.code);
  started_.assign(parts_[p].tape.values.size(), false);
  return {.scale = scale,
          .x = FreshGradient(p, node.reads[0]),
          .weight = integer ? quantized_.OutputGradient() : GradientOf(bound.weight),
          .bias = GradientOf(bound.bias)};
}

std::vector<std::span<const float>> PartWalker::Outputs(size_t p, size_t n) {
  std::vector<std::span<const float>> outputs;
  for (const int v : parts_[p].tape.nodes[n].writes) {
    const auto count = static_cast<size_t>(shape_.rows() * parts_[p].tape.values[v].width);
    outputs.emplace_back(Value(p, v), count);
  }
  return outputs;
}

}  // namespace lodestone
