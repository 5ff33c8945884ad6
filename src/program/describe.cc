// From a configuration and a recipe to the operator list. The only place that knows what a layer contains.
#include <fmt/format.h>

#include <cmath>

#include "program/program.h"

namespace lodestone {
namespace {

// Builds one segment, keeping the recipe's choices in one place.
class Builder {
 public:
  Builder(const ModelConfig& config, const Recipe& recipe) : config_(config), recipe_(recipe) {}

  Segment EmbedSegment() const {
    Embed embed;
    embed.table = {WeightKind::kEmbedding};
    if (config_.position == PositionKind::kLearned) embed.positions = WeightRef{WeightKind::kPositions};
    embed.multiplier = static_cast<float>(config_.embedding_multiplier);
    embed.n = config_.hidden;
    embed.vocab = config_.vocab;
    embed.max_positions = config_.max_positions;
    embed.code = recipe_.stream;
    embed.stream = recipe_.stream;
    return {.first_layer = -1, .repeat = 1, .ops = {embed}, .fusion = {0}};
  }

  Segment LayerSegment() {
    ops_.clear();
    if (config_.parallel_residual) {
      AttentionInto(Reg::kProjected);
      MlpInto(Reg::kMlpOut);
      AddToStream(Reg::kProjected);
      AddToStream(Reg::kMlpOut);
    } else {
      AttentionInto(Reg::kProjected);
      AddToStream(Reg::kProjected);
      MlpInto(Reg::kMlpOut);
      AddToStream(Reg::kMlpOut);
    }
    return Take(0, config_.layers);
  }

  Segment OutputSegment() {
    ops_.clear();
    NormStream(WeightKind::kFinalNorm, WeightKind::kFinalNormBias);
    const Reg in =
        ToLinearInput(Reg::kNormed, Reg::kNormedIn, recipe_.output_input, config_.hidden, WeightKind::kOutputInputStep);
    Linear output{.in = in,
                  .out = Reg::kLogits,
                  .weight = {config_.tied_embeddings ? WeightKind::kEmbedding : WeightKind::kOutput}};
    output.n = config_.vocab;
    output.k = config_.hidden;
    output.weights = recipe_.output_weights;
    output.input = recipe_.output_input;
    output.multiplier = static_cast<float>(config_.logits_multiplier);
    output.last_rows_only = true;
    ops_.push_back(output);
    return Take(-1, 1);
  }

 private:
  Segment Take(int first_layer, int repeat) {
    Segment segment{.first_layer = first_layer, .repeat = repeat, .ops = std::move(ops_), .fusion = {}};
    segment.fusion.assign(segment.ops.size(), 0);
    ops_ = {};
    return segment;
  }

  void NormStream(WeightKind weight, WeightKind bias) {
    Norm norm{.in = Reg::kStream, .out = Reg::kNormed, .kind = config_.norm, .weight = {weight}};
    if (config_.norm == NormKind::kLayer) norm.bias = WeightRef{bias};
    norm.eps = static_cast<float>(config_.norm_eps);
    norm.n = config_.hidden;
    ops_.push_back(norm);
  }

  // Returns the register that a linear layer should read: `in` itself where the format is f32.
  Reg ToLinearInput(Reg in, Reg out, const Format& format, int n, WeightKind step) {
    if (format.code == Code::kF32) return in;
    Quantize quantize{.in = in, .out = out, .to = format, .n = n, .heads = 1};
    if (format.scales == Scales::kStatic) quantize.step = WeightRef{step};
    ops_.push_back(quantize);
    return out;
  }

  void AddLinear(Reg in, Reg out, WeightKind weight, bool has_bias, WeightKind bias, int n, int k,
                 const Format& input) {
    Linear linear{.in = in, .out = out, .weight = {weight}};
    if (has_bias) linear.bias = WeightRef{bias};
    linear.n = n;
    linear.k = k;
    linear.weights = recipe_.weights;
    linear.input = input;
    ops_.push_back(linear);
  }

  void NormHeads(Reg reg, WeightKind weight, int heads) {
    Norm norm{.in = reg, .out = reg, .kind = NormKind::kRms, .weight = {weight}};
    norm.eps = static_cast<float>(config_.norm_eps);
    norm.n = config_.head_dim;
    norm.groups = heads;
    ops_.push_back(norm);
  }

  void AttentionInto(Reg out) {
    const ModelConfig& c = config_;
    NormStream(WeightKind::kAttentionNorm, WeightKind::kAttentionNormBias);
    const Reg in =
        ToLinearInput(Reg::kNormed, Reg::kNormedIn, recipe_.activations, c.hidden, WeightKind::kAttentionInputStep);
    AddLinear(in, Reg::kQ, WeightKind::kQ, c.qkv_bias, WeightKind::kQBias, c.q_width(), c.hidden, recipe_.activations);
    AddLinear(in, Reg::kK, WeightKind::kK, c.qkv_bias, WeightKind::kKBias, c.kv_width(), c.hidden, recipe_.activations);
    AddLinear(in, Reg::kV, WeightKind::kV, c.qkv_bias, WeightKind::kVBias, c.kv_width(), c.hidden, recipe_.activations);
    if (c.qk_norm) {
      NormHeads(Reg::kQ, WeightKind::kQNorm, c.heads);
      NormHeads(Reg::kK, WeightKind::kKNorm, c.kv_heads);
    }
    if (c.position == PositionKind::kRotary) {
      ops_.push_back(Rotate{.x = Reg::kQ, .rope = c.rope, .heads = c.heads, .head_dim = c.head_dim});
      ops_.push_back(Rotate{.x = Reg::kK, .rope = c.rope, .heads = c.kv_heads, .head_dim = c.head_dim});
    }
    Reg q = Reg::kQ;
    if (recipe_.query.code != Code::kF32) {
      Quantize quantize{.in = Reg::kQ, .out = Reg::kQIn, .to = recipe_.query, .n = c.q_width(), .heads = c.heads};
      if (recipe_.query.scales == Scales::kStatic) quantize.step = WeightRef{WeightKind::kQueryStep};
      ops_.push_back(quantize);
      q = Reg::kQIn;
    }
    StoreKv store{.k = Reg::kK, .v = Reg::kV, .kv_heads = c.kv_heads, .head_dim = c.head_dim, .format = recipe_.kv};
    if (recipe_.kv.scales == Scales::kStatic) {
      store.key_step = WeightRef{WeightKind::kKeyStep};
      store.value_step = WeightRef{WeightKind::kValueStep};
    }
    ops_.push_back(store);
    Attend attend{.q = q, .out = Reg::kAttended, .heads = c.heads, .kv_heads = c.kv_heads, .head_dim = c.head_dim};
    attend.scale = static_cast<float>(c.attention_scale);
    attend.window = c.sliding_window;
    attend.query = recipe_.query;
    attend.kv = recipe_.kv;
    attend.probability = recipe_.probability;
    if (recipe_.probability.scales == Scales::kStatic) {
      attend.probability_step = WeightRef{WeightKind::kProbabilityStep};
    }
    ops_.push_back(attend);
    const Reg attended =
        ToLinearInput(Reg::kAttended, Reg::kAttendedIn, recipe_.activations, c.q_width(), WeightKind::kAttendedStep);
    AddLinear(attended, out, WeightKind::kO, c.attention_output_bias, WeightKind::kOBias, c.hidden, c.q_width(),
              recipe_.activations);
  }

  void MlpInto(Reg out) {
    const ModelConfig& c = config_;
    NormStream(WeightKind::kMlpNorm, WeightKind::kMlpNormBias);
    const Reg in =
        ToLinearInput(Reg::kNormed, Reg::kNormedIn, recipe_.activations, c.hidden, WeightKind::kMlpInputStep);
    if (c.experts > 0) return ExpertsInto(in, out);
    Gate gate{.gate = Reg::kUp, .out = Reg::kHidden};
    if (c.gated_mlp) {
      AddLinear(in, Reg::kGate, WeightKind::kGate, c.mlp_bias, WeightKind::kGateBias, c.ffn, c.hidden,
                recipe_.activations);
      gate.gate = Reg::kGate;
      gate.up = Reg::kUp;
    }
    AddLinear(in, Reg::kUp, WeightKind::kUp, c.mlp_bias, WeightKind::kUpBias, c.ffn, c.hidden, recipe_.activations);
    gate.activation = c.activation;
    gate.n = c.ffn;
    ops_.push_back(gate);
    const Reg hidden =
        ToLinearInput(Reg::kHidden, Reg::kHiddenIn, recipe_.down_input, c.ffn, WeightKind::kDownInputStep);
    AddLinear(hidden, out, WeightKind::kDown, c.mlp_bias, WeightKind::kDownBias, c.hidden, c.ffn, recipe_.down_input);
  }

  void ExpertsInto(Reg in, Reg out) {
    const ModelConfig& c = config_;
    Experts experts{.in = in, .out = out, .router = {WeightKind::kRouter}};
    experts.router_code = recipe_.stream;
    experts.experts = experts.held = c.experts;
    experts.per_token = c.experts_per_token;
    experts.n = c.hidden;
    experts.ffn = c.ffn;
    experts.gated = c.gated_mlp;
    experts.activation = c.activation;
    experts.weights = recipe_.weights;
    experts.input = recipe_.activations;
    experts.inner = recipe_.down_input;
    ops_.push_back(experts);
  }

  void AddToStream(Reg in) {
    ops_.push_back(Add{.in = in,
                       .stream = Reg::kStream,
                       .multiplier = static_cast<float>(config_.residual_multiplier),
                       .n = config_.hidden,
                       .stream_code = recipe_.stream});
  }

  const ModelConfig& config_;
  const Recipe& recipe_;
  std::vector<Op> ops_;
};

}  // namespace

Result<Program> Describe(const ModelConfig& config, const Recipe& recipe) {
  if (config.layers < 1 || config.hidden < 1 || config.ffn < 1 || config.vocab < 1 || config.head_dim < 1 ||
      config.heads < 1 || config.kv_heads < 1 || config.heads % config.kv_heads != 0) {
    return Invalid(
        fmt::format("model '{}': layers, widths, heads and vocabulary must be positive, and {} heads a multiple "
                    "of {} KV heads",
                    config.name, config.heads, config.kv_heads));
  }
  if (!(config.attention_scale > 0) || !std::isfinite(config.attention_scale)) {
    return Invalid(
        fmt::format("model '{}': attention scale {} is not a positive number", config.name, config.attention_scale));
  }
  if (config.position == PositionKind::kRotary &&
      (config.rope.rotary_dim < 2 || config.rope.rotary_dim % 2 != 0 || config.rope.rotary_dim > config.head_dim)) {
    return Unsupported(
        fmt::format("model '{}': {} rotary dimensions of a head of {}; an even number from 2 to {} is "
                    "supported",
                    config.name, config.rope.rotary_dim, config.head_dim, config.head_dim));
  }
  if (config.experts < 0 || config.experts_per_token > config.experts ||
      (config.experts > 0) != (config.experts_per_token > 0)) {
    return Invalid(
        fmt::format("model '{}': {} of {} experts a token", config.name, config.experts_per_token, config.experts));
  }
  Builder builder(config, recipe);
  Program program;
  program.segments.push_back(builder.EmbedSegment());
  program.segments.push_back(builder.LayerSegment());
  program.segments.push_back(builder.OutputSegment());
  return program;
}

}  // namespace lodestone
