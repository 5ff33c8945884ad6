#include "plan/rank_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/ledger.h"
#include "program/registers.h"

namespace lodestone {
namespace {

int CeilDivide(int a, int b) { return (a + b - 1) / b; }

// One rank's share of every operator.
class Splitter {
 public:
  Splitter(const ModelConfig& config, int ranks)
      : ranks_(ranks),
        heads_(config.heads / ranks),
        kv_heads_(std::max(1, config.kv_heads / ranks)),
        head_dim_(config.head_dim) {}

  void Split(Op& op) const {
    if (ranks_ == 1) return;
    if (auto* linear = std::get_if<Linear>(&op)) return SplitLinear(*linear);
    if (auto* norm = std::get_if<Norm>(&op); norm != nullptr && norm->groups > 1) norm->groups = HeadsOf(norm->in);
    if (auto* rotate = std::get_if<Rotate>(&op)) rotate->heads = HeadsOf(rotate->x);
    if (auto* store = std::get_if<StoreKv>(&op)) store->kv_heads = kv_heads_;
    if (auto* gate = std::get_if<Gate>(&op)) gate->n /= ranks_;
    if (auto* attend = std::get_if<Attend>(&op)) {
      attend->heads = heads_;
      attend->kv_heads = kv_heads_;
    }
    if (auto* experts = std::get_if<Experts>(&op)) experts->ffn /= ranks_;  // unless whole experts are dealt
    if (auto* quantize = std::get_if<Quantize>(&op)) {
      if (quantize->heads > 1) quantize->heads = HeadsOf(quantize->in);
      if (quantize->in != Reg::kNormed) quantize->n /= ranks_;
    }
  }

 private:
  int HeadsOf(Reg reg) const { return reg == Reg::kK || reg == Reg::kV ? kv_heads_ : heads_; }

  void SplitLinear(Linear& linear) const {
    switch (linear.out) {
      case Reg::kProjected:
      case Reg::kMlpOut:
        linear.k /= ranks_;
        return;
      case Reg::kK:
      case Reg::kV:
        linear.n = kv_heads_ * head_dim_;
        return;
      default:
        linear.n = CeilDivide(linear.n, ranks_);
    }
  }

  int ranks_, heads_, kv_heads_, head_dim_;
};

Status CheckDivides(const ModelConfig& config, int ranks) {
  const auto refuse = [&](int found, const char* what) {
    return Invalid(
        fmt::format("tensor parallelism of {}: {} {} of {} do not divide by it", ranks, found, what, config.name));
  };
  if (config.heads % ranks != 0) return refuse(config.heads, "heads");
  if (config.ffn % ranks != 0) return refuse(config.ffn, "MLP columns");
  if (config.kv_heads % ranks != 0 && ranks % config.kv_heads != 0) return refuse(config.kv_heads, "KV heads");
  return {};
}

// Whole experts on each of `of` devices, which share an expert's matrices where there are more ranks than `of`.
Status DealExperts(const ModelConfig& config, const Parallelism& parallelism, Program& program) {
  const int of = parallelism.expert, ranks = parallelism.tensor;
  if (of == 1) return {};
  if ((ranks * parallelism.data) % of != 0 || (of % ranks != 0 && ranks % of != 0)) {
    return Invalid(fmt::format("expert parallelism of {}: {} devices of tensor × data ({} × {}) cannot be dealt so", of,
                               ranks * parallelism.data, ranks, parallelism.data));
  }
  LODESTONE_ASSIGN_OR_RETURN(program, ShardExperts(std::move(program), 0, of));
  for (Segment& segment : program.segments) {
    for (Op& op : segment.ops) {
      if (auto* experts = std::get_if<Experts>(&op)) experts->ffn = config.ffn / std::max(1, ranks / of);
    }
  }
  return {};
}

bool ConvertsFloats(const Op& op) {
  const auto* quantize = std::get_if<Quantize>(&op);
  return quantize != nullptr && !IsInteger(quantize->to.code);
}

// One behind the last operator of the kernel that begins at `begin`.
size_t KernelEnd(const Segment& segment, size_t begin, bool fused) {
  size_t end = begin + 1;
  if (!fused) return end;
  const uint16_t id = segment.fusion[begin];
  while (id != 0 && end < segment.ops.size() && segment.fusion[end] == id) ++end;
  if (const auto* first = std::get_if<Linear>(&segment.ops[begin])) {
    for (; end < segment.ops.size(); ++end) {
      const auto* next = std::get_if<Linear>(&segment.ops[end]);
      if (next == nullptr || next->in != first->in) break;
    }
  }
  // A conversion that would be a kernel of its own.
  const auto alone = [&](size_t i) {
    return ConvertsFloats(segment.ops[i]) &&
           (i + 1 == segment.ops.size() || segment.fusion[i + 1] != segment.fusion[i] || segment.fusion[i] == 0);
  };
  while (end < segment.ops.size() && alone(end)) ++end;
  return end;
}

std::string LinearName(const Linear& linear) {
  switch (linear.out) {
    case Reg::kQ:
      return "q";
    case Reg::kK:
      return "k";
    case Reg::kV:
      return "v";
    case Reg::kProjected:
      return "o";
    case Reg::kGate:
      return "gate";
    case Reg::kUp:
      return "up";
    case Reg::kMlpOut:
      return "down";
    case Reg::kLogits:
      return "output";
    default:
      return "linear";
  }
}

std::string NameOf(std::span<const Op> ops) {
  if (std::holds_alternative<Linear>(ops[0])) {
    std::string name;
    for (const Op& op : ops) {
      const auto* linear = std::get_if<Linear>(&op);
      if (linear == nullptr) break;
      if (!name.empty() && LinearName(*linear).size() > 1) name += '-';
      name += LinearName(*linear);
    }
    return name;
  }
  if (std::holds_alternative<Attend>(ops[0])) return "attention";
  const auto has = [&]<typename T>(const T*) {
    return std::any_of(ops.begin(), ops.end(), [](const Op& op) { return std::holds_alternative<T>(op); });
  };
  if (has(static_cast<const StoreKv*>(nullptr))) return "rotate-store";
  if (has(static_cast<const Gate*>(nullptr))) return "activation";
  if (has(static_cast<const Norm*>(nullptr))) return "norm";
  return lodestone::NameOf(ops[0]);
}

// What moves between the kernel and memory a row: registers that no earlier operator of it wrote or read, and those
// that live on.
double ActivationBytesPerRow(const Segment& segment, const std::vector<RegSet>& live, const Kernel& kernel,
                             double float_share) {
  RegSet at_hand, written;
  double bytes = 0;
  std::array<double, static_cast<size_t>(Reg::kCount)> bytes_of{};
  const auto bytes_in = [&](const RegisterUse& use) {
    const bool coded =
        use.reg == Reg::kNormedIn || use.reg == Reg::kQIn || use.reg == Reg::kAttendedIn || use.reg == Reg::kHiddenIn;
    return static_cast<double>(use.bytes_per_row) * (coded ? 1 : float_share);
  };
  for (size_t i = kernel.begin; i < kernel.end; ++i) {
    const RegisterUses uses = UsesOf(segment.ops[i]);
    for (const RegisterUse& use : uses.reads()) {
      const auto reg = static_cast<size_t>(use.reg);
      if (!at_hand[reg]) bytes += bytes_in(use);
      at_hand.set(reg);
    }
    for (const RegisterUse& use : uses.writes()) {
      const auto reg = static_cast<size_t>(use.reg);
      at_hand.set(reg);
      written.set(reg);
      bytes_of[reg] = bytes_in(use);
    }
  }
  for (size_t reg = 0; reg < written.size(); ++reg) {
    const bool leaves = reg == static_cast<size_t>(Reg::kStream) || live[kernel.end - 1][reg] ||
                        reg == static_cast<size_t>(Reg::kLogits);
    if (written[reg] && leaves) bytes += bytes_of[reg];
  }
  return bytes;
}

// What an operator moves besides its registers: between an expert's matrices, or scores that are written out.
double InnerActivationBytes(const Op& op, const KernelWork& work, const Load& load) {
  if (!std::holds_alternative<Experts>(op) && !std::holds_alternative<Attend>(op)) return 0;
  int64_t registers = 0;
  const RegisterUses uses = UsesOf(op);
  for (const RegisterUse& use : uses.reads()) registers += use.bytes_per_row;
  for (const RegisterUse& use : uses.writes()) registers += use.bytes_per_row;
  return work.activation_bytes - static_cast<double>(registers * load.rows);
}

void AddKernels(const Program& program, size_t index, bool fused, double float_share, std::vector<Kernel>& kernels) {
  const Segment& segment = program.segments[index];
  const std::vector<RegSet> live = LiveAfter(segment.ops);
  for (size_t begin = 0; begin < segment.ops.size();) {
    Kernel kernel{.segment = index,
                  .begin = begin,
                  .end = KernelEnd(segment, begin, fused),
                  .prompt_runs = segment.repeat,
                  .runs = segment.runs()};
    const std::span<const Op> ops(segment.ops.data() + begin, kernel.end - begin);
    kernel.name = NameOf(ops);
    kernel.in_layer = segment.first_layer >= 0;
    kernel.activation_bytes_per_row = ActivationBytesPerRow(segment, live, kernel, float_share);
    if (const auto* linear = std::get_if<Linear>(ops.data())) {
      kernel.logits = linear->last_rows_only;
      kernel.partial_sums = linear->out == Reg::kProjected || linear->out == Reg::kMlpOut;
    }
    if (std::holds_alternative<Experts>(ops[0])) kernel.experts = kernel.partial_sums = true;
    // The table's row is read, too.
    if (std::holds_alternative<Embed>(ops[0])) kernel.activation_bytes_per_row *= 2;
    begin = kernel.end;
    kernels.push_back(std::move(kernel));
  }
  // The addition that ends a layer and the norm that begins the next are one kernel.
  const bool joins =
      fused && segment.repeat > 1 && IsRowOperator(segment.ops.front()) && IsRowOperator(segment.ops.back());
  if (joins) kernels.back().launches = false;
}

// Of the segments that `wanted` takes, each once.
template <typename Wanted>
Residency ResidencyOnce(const Program& program, int ranks, bool shared_table, double float_share, Wanted wanted) {
  Program part;
  for (const Segment& segment : program.segments) {
    if (!wanted(segment)) continue;
    part.segments.push_back(segment);
    part.segments.back().repeat = 1;
    part.segments.back().exited = 0;
  }
  Residency residency = ResidencyOf(part);
  if (!shared_table) residency.code_bytes = SaturatedSum(residency.code_bytes, residency.host_bytes / ranks);
  residency.host_bytes = 0;
  residency.activation_bytes_per_row =
      std::llround(static_cast<double>(residency.activation_bytes_per_row) * float_share);
  return residency;
}

}  // namespace

Result<RankModel> RankModelOf(const ModelConfig& config, const Recipe& recipe, const Parallelism& parallelism,
                              const Methods& methods) {
  const int ranks = parallelism.tensor;
  LODESTONE_RETURN_IF_ERROR(CheckDivides(config, ranks));
  RankModel model;
  LODESTONE_ASSIGN_OR_RETURN(model.program, Describe(config, recipe));
  if (methods.any()) {
    LODESTONE_ASSIGN_OR_RETURN(model.program, Apply(methods, std::move(model.program)));
  }
  const Splitter splitter(config, ranks);
  for (Segment& segment : model.program.segments) {
    for (Op& op : segment.ops) splitter.Split(op);
  }
  LODESTONE_RETURN_IF_ERROR(DealExperts(config, parallelism, model.program));
  if (!methods.unfused) model.program = Fuse(std::move(model.program));

  const double float_share = BitsOf(recipe.stream) / 32.0;
  for (size_t i = 0; i < model.program.segments.size(); ++i) {
    AddKernels(model.program, i, !methods.unfused, float_share, model.kernels);
    const Segment& segment = model.program.segments[i];
    if (segment.first_layer < 0) continue;
    model.layers += segment.repeat;
    model.layers_run += segment.runs();
  }
  for (const Kernel& kernel : model.kernels) model.reduces_per_layer += kernel.partial_sums && ranks > 1 ? 1 : 0;
  if (parallelism.expert > ranks) {
    model.rows_to_experts = 1.0 * parallelism.expert / ranks;
    model.all_to_all_bytes_per_row = config.experts_per_token * config.hidden * (BitsOf(recipe.stream) / 8.0);
  }

  // A tied table lies in memory once, unless the output layer has it in a format of its own.
  const bool shared_table = config.tied_embeddings && recipe.output_weights.code == recipe.stream;
  const auto in_layers = [](const Segment& segment) { return segment.first_layer >= 0; };
  model.layer = ResidencyOnce(model.program, ranks, shared_table, float_share, in_layers);
  model.ends = ResidencyOnce(model.program, ranks, shared_table, float_share,
                             [&](const Segment& segment) { return !in_layers(segment); });
  model.ends.activation_bytes_per_row = 0;  // logits are computed for a row a request, after the layers
  model.residency = Together(Repeated(model.layer, model.layers), model.ends);
  model.stream_bytes_per_row = config.hidden * (BitsOf(recipe.stream) / 8.0);
  model.logit_bytes_per_row = config.vocab * (BitsOf(recipe.stream) / 8.0);
  return model;
}

KernelWork WorkOf(const RankModel& model, const Kernel& kernel, const Load& a_copy) {
  Load load = a_copy;
  if (kernel.experts) load.rows = static_cast<int>(std::lround(a_copy.rows * model.rows_to_experts));
  const Segment& segment = model.program.segments[kernel.segment];
  KernelWork total;
  for (size_t i = kernel.begin; i < kernel.end; ++i) {
    const Op& op = segment.ops[i];
    const KernelWork work = KernelOf(op, WorkOf(op, load), load);
    if (i == kernel.begin) {
      total.kind = work.kind;
      total.heads_per_kv = work.heads_per_kv;
      total.two_of_four = work.two_of_four;
    }
    if (work.matrix_ops > 0) {
      total.code = work.code;
      total.rows = work.rows;
    }
    total.matrix_ops += work.matrix_ops;
    total.vector_ops += work.vector_ops;
    total.weight_bytes += work.weight_bytes;
    total.kv_bytes += work.kv_bytes;
    total.activation_bytes += InnerActivationBytes(op, work, load);
  }
  total.activation_bytes += kernel.activation_bytes_per_row * (kernel.logits ? load.logit_rows : load.rows);
  return total;
}

}  // namespace lodestone
