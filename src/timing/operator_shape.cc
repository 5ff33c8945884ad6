#include "timing/operator_shape.h"

#include <fmt/format.h>

#include "base/overloaded.h"
#include "program/work.h"

namespace lodestone {
namespace {

Code Wider(Code a, Code b) { return BitsOf(a) >= BitsOf(b) ? a : b; }

// A scale of each row, or of each head of it, is known only when the whole of it is.
bool ScalesWithRow(const Format& format) { return format.scales == Scales::kToken || format.scales == Scales::kHead; }

struct RowTraits {
  int64_t values = 0, activations = 0;
  bool reduces = false;
};

RowTraits RowTraitsOf(const Op& op) {
  return std::visit(Overloaded{
                        [](const Norm& o) {
                          return RowTraits{int64_t{o.n} * o.groups, 0, true};
                        },
                        [](const Quantize& o) {
                          return RowTraits{o.n, 0, ScalesWithRow(o.to)};
                        },
                        [](const Rotate& o) {
                          return RowTraits{int64_t{o.heads} * o.head_dim, 0, false};
                        },
                        [](const StoreKv& o) {
                          return RowTraits{2 * int64_t{o.kv_heads} * o.head_dim, 0, ScalesWithRow(o.format)};
                        },
                        [](const Gate& o) {
                          return RowTraits{o.n, o.n, false};
                        },
                        [](const Add& o) {
                          return RowTraits{o.n, 0, false};
                        },
                        [](const Embed&) { return RowTraits{}; },
                        [](const Linear&) { return RowTraits{}; },
                        [](const Attend&) { return RowTraits{}; },
                        [](const Experts&) { return RowTraits{}; },
                        [](const Collective&) { return RowTraits{}; },
                    },
                    op);
}

RowShape RowShapeOf(const Segment& segment, size_t index) {
  const Work none = WorkOf(segment, index, Load{}), one = WorkOf(segment, index, Load{.rows = 1});
  const RowTraits traits = RowTraitsOf(segment.ops[index]);
  return {.values = traits.values,
          .read_bytes = one.activation_read_bytes,
          .write_bytes = one.activation_write_bytes + one.kv_bytes(),
          .constant_bytes = none.weight_bytes(),
          .vector_steps = one.vector_ops,
          .activations = traits.activations,
          .reduces = traits.reduces};
}

class Formats {
 public:
  Formats(const Op& op, const std::string& label) : op_(op), label_(label) {}

  Result<MatrixFormat> Of(Code a, Code b) const {
    const Code wider = Wider(a, b);
    if (const std::optional<MatrixFormat> format = MatrixFormatOf(wider)) return *format;
    return Infeasible(fmt::format(
        "{}: {} multiplies in {}, and this chip multiplies int8, int4 and int2 matrices only; choose a recipe whose "
        "weights, activations and KV are integers, such as w4a8 or w4a4",
        label_, NameOf(op_), ToString(wider)));
  }

 private:
  const Op& op_;
  const std::string& label_;
};

Result<LinearShape> LinearShapeOf(const Linear& linear, const Formats& formats) {
  LinearShape shape;
  LODESTONE_ASSIGN_OR_RETURN(shape.format, formats.Of(linear.weights.code, linear.input.code));
  const Load one{.rows = 1, .logit_rows = 1};
  shape.outputs = linear.n;
  shape.inputs = linear.k;
  shape.weight_bits = BitsOf(linear.weights.code);
  shape.input_bits = BitsOf(linear.input.code);
  shape.input_scale_bytes = ActivationScaleBytes(linear.input, 1, 1);
  shape.column_scale_bytes = WeightScaleBytes(linear.weights, 1, linear.k);
  shape.column_bias_bytes = linear.bias ? LinearShape::kOutputBytes : 0;
  shape.output_steps = WorkOf(Op(linear), one).vector_ops / linear.n;
  return shape;
}

Result<AttentionShape> AttentionShapeOf(const Attend& attend, const Formats& formats) {
  AttentionShape shape;
  LODESTONE_ASSIGN_OR_RETURN(shape.score_format, formats.Of(attend.query.code, attend.kv.code));
  LODESTONE_ASSIGN_OR_RETURN(shape.value_format, formats.Of(attend.probability.code, attend.kv.code));
  const auto head_bytes = [&](const Format& format) {
    return CodeBytes(format.code, 1, attend.head_dim) + ActivationScaleBytes(format, 1, 1);
  };
  shape.heads = attend.heads;
  shape.kv_heads = attend.kv_heads;
  shape.head_dim = attend.head_dim;
  shape.query_bytes = head_bytes(attend.query);
  shape.kv_bytes = 2 * head_bytes(attend.kv);
  shape.constant_bytes = WorkOf(Op(attend), Load{}).weight_bytes();
  shape.score_steps = WorkOf(Op(attend), Load{.context_sum = 1}).vector_ops / attend.heads;
  return shape;
}

}  // namespace

Result<OperatorShape> ShapeOf(const Segment& segment, size_t index, const std::string& label) {
  const Op& op = segment.ops[index];
  const Formats formats(op, label);
  if (segment.exited > 0) return Unsupported(fmt::format("{}: early exit is not modelled on this chip", label));
  if (const auto* experts = std::get_if<Experts>(&op)) {
    return Unsupported(fmt::format(
        "{}: {} experts: how this chip would hold and pick them is not modelled; dense models can be planned and "
        "simulated, and 'lodestone estimate' knows experts on other machines",
        label, experts->experts));
  }
  if (const auto* linear = std::get_if<Linear>(&op)) {
    if (linear->sparsity.pattern != Sparsity::Pattern::kNone || linear->idle != 0) {
      return Unsupported(fmt::format("{}: sparse products are not modelled on this chip", label));
    }
    LODESTONE_ASSIGN_OR_RETURN(const LinearShape shape, LinearShapeOf(*linear, formats));
    return OperatorShape(shape);
  }
  if (const auto* attend = std::get_if<Attend>(&op)) {
    if (attend->materialised) {
      return Unsupported(fmt::format("{}: scores in memory are not modelled on this chip", label));
    }
    LODESTONE_ASSIGN_OR_RETURN(const AttentionShape shape, AttentionShapeOf(*attend, formats));
    return OperatorShape(shape);
  }
  if (std::holds_alternative<Embed>(op) || std::holds_alternative<Collective>(op)) return OperatorShape(OffCard{});
  return OperatorShape(RowShapeOf(segment, index));
}

std::string WeightNameOf(const Op& op) {
  const auto* linear = std::get_if<Linear>(&op);
  if (linear == nullptr) return {};
  switch (linear->out) {
    case Reg::kProjected:
      return "o";
    case Reg::kMlpOut:
      return "down";
    case Reg::kLogits:
      return "output";
    default:
      return ToString(linear->out);  // q, k, v, gate, up
  }
}

}  // namespace lodestone
