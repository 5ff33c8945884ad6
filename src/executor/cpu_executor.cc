// The operator list, computed on this host's processor.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/overloaded.h"
#include "executor/attention_plan.h"
#include "executor/executor.h"
#include "executor/kernel_activation.h"
#include "executor/kv_store.h"
#include "executor/register_file.h"
#include "executor/rope_table.h"
#include "executor/stage_weights.h"
#include "executor/step_recorder.h"
#include "host/thread_pool.h"
#include "kernels/dispatch.h"
#include "kernels/kv_layout.h"
#include "numerics/rounding.h"
#include "program/registers.h"

namespace lodestone {
namespace {

using kernels::KernelTable;

// The matmul of a pair of formats; null where no kernel exists.
kernels::MatmulFn MatmulFor(const KernelTable& table, Code input, Code weights) {
  if (input == Code::kF32 && weights == Code::kF32) return table.matmul_f32;
  if (input == Code::kBf16) {
    if (weights == Code::kBf16) return table.matmul_bf16;
    if (weights == Code::kInt4) return table.matmul_bf16_int4;
    if (weights == Code::kInt8) return table.matmul_bf16_int8;
  }
  if (input == Code::kInt8 || input == Code::kInt4) {  // int4 activations run as int8
    if (weights == Code::kInt4) return table.matmul_int8_int4;
    if (weights == Code::kInt8) return table.matmul_int8_int8;
  }
  return nullptr;
}

// Sharing a loop costs about 1 µs, or a wake-up of 50 µs where another process has the core, so loops shorter than this
// run on the calling thread. Estimates are coarse on purpose: they decide about time, never about bits.
constexpr double kWorthSharingNs = 10'000;
constexpr double kNsPerValue = 0.3;           // of an elementwise operator
constexpr double kNsPerMatmulProduct = 0.02;  // 50 multiply-adds a nanosecond: between f32 and int8 of one core

class CpuExecutor final : public Executor {
 public:
  CpuExecutor(const KernelTable& kernels, ThreadPool& threads, StepRecorder* recorder)
      : kernels_(kernels), threads_(threads), recorder_(recorder), workers_(threads.threads()) {}

  Status Configure(std::span<const Stage> stages, const WeightSource& weights, int pages) override;
  Result<Tensor> Run(int stage, int section, const Pass& pass, Tensor in) override;
  int Sections(int stage) const override { return static_cast<int>(stages_[stage].section_ends.size()); }
  std::string Describe() const override {
    return fmt::format("CPU ({}, {} thread{})", kernels_.isa, threads_.threads(), threads_.threads() == 1 ? "" : "s");
  }
  int64_t ResidentBytes() const override { return resident_bytes_; }

 private:
  struct LoadedStage {
    std::vector<BoundOp> ops;
    std::vector<size_t> section_ends;  // one past the last operator of each section
    KvStore kv;
    int hidden = 0;  // width of the residual stream
  };
  struct Worker {  // scratch of one thread
    std::vector<kernels::KvBlock> blocks;
    std::vector<float> queries;     // as the attention kernel wants them
    std::vector<std::byte> stored;  // one head's K or V on its way to its page
  };

  // body(begin, end, thread) over [0, count): shared among the threads if the whole takes long enough.
  template <typename Body>
  void ForEach(int64_t count, double ns_each, const Body& body) {
    if (static_cast<double>(count) * ns_each < kWorthSharingNs) {
      if (count > 0) body(int64_t{0}, count, 0);
    } else {
      threads_.ParallelFor(count, body);
    }
  }

  Status CheckStage(const Stage& stage) const;
  Status CheckPass(const LoadedStage& stage, const Pass& pass) const;
  Status TakeInput(const LoadedStage& stage, int section, int rows, const Tensor& in);
  Tensor GiveOutput(const LoadedStage& stage, int section, const Pass& pass);

  void EmbedRows(const BoundOp& bound, const Pass& pass);
  void RunRowOperators(LoadedStage& stage, std::span<const BoundOp> chain, const Pass& pass);
  void ApplyToRow(LoadedStage& stage, const BoundOp& bound, const Pass& pass, int row, Worker& worker);
  void QuantizeRow(const BoundOp& bound, const Quantize& op, int row);
  void StoreRow(LoadedStage& stage, const BoundOp& bound, const StoreKv& op, const Pass& pass, int row, Worker& worker);
  void Multiply(const BoundOp& bound, const Linear& op, int rows);
  void AttendRows(LoadedStage& stage, const BoundOp& bound, const Attend& op, const Pass& pass);

  // Codes of n values at a static or dynamic scale; tells the recorder of a static quantiser what it met.
  void QuantizeRun(const float* x, int8_t* codes, float* scale, int n, int n_padded, const Format& to, float step,
                   const std::optional<WeightRef>& step_ref, int layer);

  const KernelTable& kernels_;
  ThreadPool& threads_;
  StepRecorder* recorder_;
  bool configured_ = false;
  std::vector<Stage> programs_;  // keeps the operators that BoundOp points to
  std::vector<LoadedStage> stages_;
  std::vector<RopeTable> ropes_;  // one a distinct rotary embedding
  RegisterFile registers_;
  std::vector<int> logit_rows_;
  AlignedBuffer gathered_, gathered_scales_;  // input rows of the output layer
  std::vector<Worker> workers_;
  AttentionPlan attention_;
  std::vector<float> partials_;  // of attention tiles that are cut
  int64_t resident_bytes_ = 0;
};

Status CpuExecutor::CheckStage(const Stage& stage) const {
  for (const Segment& segment : stage.program.segments) {
    if (segment.exited > 0)
      return Unsupported("the CPU executor runs every layer: early exit is estimated, not computed");
    for (const Op& op : segment.ops) {
      if (const auto* experts = std::get_if<Experts>(&op)) {
        return Unsupported(fmt::format(
            "the CPU executor has no mixture of {} experts: experts are estimated, not computed", experts->experts));
      }
      const auto* linear = std::get_if<Linear>(&op);
      if (linear != nullptr && (linear->sparsity.pattern != Sparsity::Pattern::kNone || linear->idle != 0)) {
        return Unsupported("the CPU executor has no sparse products: sparsity is estimated, not computed");
      }
      if (linear != nullptr && MatmulFor(kernels_, linear->input.code, linear->weights.code) == nullptr) {
        return Unsupported(fmt::format("the CPU executor has no matmul of {} inputs with {} weights",
                                       ToString(linear->input.code), ToString(linear->weights.code)));
      }
      const auto* attend = std::get_if<Attend>(&op);
      if (attend != nullptr && attend->materialised) {
        return Unsupported("the CPU executor keeps no scores: materialised softmax is estimated, not computed");
      }
      if (attend != nullptr && attend->query.code != attend->kv.code) {
        return Unsupported(fmt::format("the CPU executor has no attention of {} queries over {} KV",
                                       ToString(attend->query.code), ToString(attend->kv.code)));
      }
    }
  }
  return {};
}

Status CpuExecutor::Configure(std::span<const Stage> stages, const WeightSource& weights, int pages) {
  if (configured_) return Invalid("this executor is configured already");
  if (pages < 0) return Invalid(fmt::format("{} KV pages; expected 0 or more", pages));
  for (const Stage& stage : stages) LODESTONE_RETURN_IF_ERROR(CheckStage(stage));
  programs_.assign(stages.begin(), stages.end());
  LODESTONE_ASSIGN_OR_RETURN(StageWeights loaded, LoadWeights(programs_, weights, recorder_ != nullptr, threads_));
  resident_bytes_ = loaded.resident_bytes;
  for (size_t s = 0; s < programs_.size(); ++s) {
    LoadedStage stage;
    stage.ops = std::move(loaded.stages[s]);
    int kv_layers = 0;
    const StoreKv* store = nullptr;
    for (size_t i = 0; i < stage.ops.size(); ++i) {
      const Op& op = *stage.ops[i].op;
      if (std::holds_alternative<Collective>(op)) stage.section_ends.push_back(i + 1);
      if (const auto* s_kv = std::get_if<StoreKv>(&op)) {
        store = s_kv;
        ++kv_layers;
      }
      if (const auto* add = std::get_if<Add>(&op)) stage.hidden = add->n;
      if (const auto* embed = std::get_if<Embed>(&op)) stage.hidden = embed->n;
      if (const auto* norm = std::get_if<Norm>(&op); norm != nullptr && norm->in == Reg::kStream) {
        stage.hidden = norm->n;
      }
      if (const auto* rotate = std::get_if<Rotate>(&op)) {
        const bool known = std::any_of(ropes_.begin(), ropes_.end(),
                                       [&](const RopeTable& table) { return table.rope() == rotate->rope; });
        if (!known) ropes_.emplace_back(rotate->rope);
      }
    }
    if (stage.section_ends.empty() || stage.section_ends.back() != stage.ops.size()) {
      stage.section_ends.push_back(stage.ops.size());
    }
    if (store != nullptr) {
      LODESTONE_ASSIGN_OR_RETURN(stage.kv,
                                 KvStore::Make(kv_layers, store->kv_heads, store->head_dim, store->format, pages));
    }
    resident_bytes_ += stage.kv.bytes();
    stages_.push_back(std::move(stage));
    for (const Segment& segment : programs_[s].program.segments) registers_.Fit(segment.ops);
  }
  configured_ = true;
  return {};
}

Status CpuExecutor::CheckPass(const LoadedStage& stage, const Pass& pass) const {
  if (pass.rows.empty()) return Invalid("a pass without rows cannot be computed");
  const size_t sequences =
      pass.pages_per_sequence > 0 ? pass.page_table.size() / static_cast<size_t>(pass.pages_per_sequence) : 0;
  const bool uses_kv = stage.kv.bytes() > 0;
  for (const Row& row : pass.rows) {
    if (row.position < 0) return Invalid(fmt::format("pass {}: position {} is negative", pass.id, row.position));
    if (!uses_kv) continue;
    if (row.sequence >= sequences) {
      return Invalid(fmt::format("pass {}: sequence {} of a page table of {}", pass.id, row.sequence, sequences));
    }
    const int page_index = row.position / KvStore::kPageTokens;
    if (page_index >= pass.pages_per_sequence) {
      return Invalid(fmt::format("pass {}: position {} lies beyond the {} pages of its sequence", pass.id, row.position,
                                 pass.pages_per_sequence));
    }
    for (int p = 0; p <= page_index; ++p) {
      const int32_t page = pass.page_table[row.sequence * static_cast<size_t>(pass.pages_per_sequence) + p];
      if (page < 0 || page >= stage.kv.pages()) {
        return Invalid(fmt::format("pass {}: page {} of a store of {}", pass.id, page, stage.kv.pages()));
      }
    }
  }
  for (const PageCopy& copy : pass.page_copies) {
    for (const int32_t page : {copy.from, copy.to}) {
      if (uses_kv && (page < 0 || page >= stage.kv.pages())) {
        return Invalid(fmt::format("pass {}: copy of page {} to page {} in a store of {}", pass.id, copy.from, copy.to,
                                   stage.kv.pages()));
      }
    }
  }
  const auto* embed = std::get_if<Embed>(stage.ops.front().op);
  for (const Row& row : pass.rows) {
    if (embed == nullptr) break;
    if (row.token < 0 || row.token >= embed->vocab) {
      return Invalid(fmt::format("pass {}: token {} of a vocabulary of {}", pass.id, row.token, embed->vocab));
    }
    if (embed->positions && row.position >= embed->max_positions) {
      return Infeasible(fmt::format("pass {}: position {} of a model with {} positions", pass.id, row.position,
                                    embed->max_positions));
    }
  }
  return {};
}

Status CpuExecutor::TakeInput(const LoadedStage& stage, int section, int rows, const Tensor& in) {
  Reg reg = Reg::kStream;
  int width = stage.hidden;
  if (section > 0) {
    const auto& gather = std::get<Collective>(*stage.ops[stage.section_ends[section - 1] - 1].op);
    reg = gather.reg;
    width = gather.n;
  } else if (std::holds_alternative<Embed>(*stage.ops.front().op)) {
    return {};
  }
  if (in.rows != rows || in.width != width || in.data.size() != static_cast<size_t>(rows) * width) {
    return Invalid(fmt::format("stage input is [{}][{}]; expected [{}][{}]", in.rows, in.width, rows, width));
  }
  for (int r = 0; r < rows; ++r) {
    std::memcpy(registers_.Floats(reg, r), in.data.data() + static_cast<size_t>(r) * width, sizeof(float) * width);
  }
  return {};
}

Tensor CpuExecutor::GiveOutput(const LoadedStage& stage, int section, const Pass& pass) {
  const BoundOp& last = stage.ops[stage.section_ends[section] - 1];
  Reg reg = Reg::kStream;
  Tensor out{.rows = static_cast<int>(pass.rows.size()), .width = stage.hidden, .data = {}};
  if (const auto* gather = std::get_if<Collective>(last.op)) {
    reg = gather->reg;
    out.width = gather->n / gather->of;
  } else if (const auto* linear = std::get_if<Linear>(last.op); linear != nullptr && linear->last_rows_only) {
    reg = linear->out;
    out.rows = static_cast<int>(logit_rows_.size());
    out.width = linear->n;
  }
  out.data.resize(static_cast<size_t>(out.rows) * out.width);
  for (int r = 0; r < out.rows; ++r) {
    std::memcpy(out.data.data() + static_cast<size_t>(r) * out.width, registers_.Floats(reg, r),
                sizeof(float) * out.width);
  }
  return out;
}

Result<Tensor> CpuExecutor::Run(int stage_index, int section, const Pass& pass, Tensor in) {
  if (!configured_) return Invalid("this executor is not configured");
  if (stage_index < 0 || stage_index >= static_cast<int>(stages_.size()) || section < 0 ||
      section >= Sections(stage_index)) {
    return Invalid(fmt::format("no section {} of stage {}", section, stage_index));
  }
  LoadedStage& stage = stages_[stage_index];
  const int rows = static_cast<int>(pass.rows.size());
  if (section == 0) {
    LODESTONE_RETURN_IF_ERROR(CheckPass(stage, pass));
    LODESTONE_RETURN_IF_ERROR(registers_.Reserve(rows));
    int64_t positions = 0;
    logit_rows_.clear();
    for (int r = 0; r < rows; ++r) {
      positions = std::max(positions, int64_t{pass.rows[r].position} + 1);
      if (pass.rows[r].wants_logits) logit_rows_.push_back(r);
    }
    for (RopeTable& table : ropes_) table.Extend(positions);
  }
  LODESTONE_RETURN_IF_ERROR(TakeInput(stage, section, rows, in));
  if (section == 0) {
    for (const PageCopy& copy : pass.page_copies) stage.kv.Copy(copy.from, copy.to);
  }

  size_t i = section == 0 ? 0 : stage.section_ends[section - 1];
  const size_t end = stage.section_ends[section];
  while (i < end) {
    const BoundOp& bound = stage.ops[i];
    if (IsRowOperator(*bound.op)) {
      size_t next = i + 1;
      while (next < end && bound.fusion != 0 && stage.ops[next].fusion == bound.fusion &&
             stage.ops[next].layer == bound.layer && IsRowOperator(*stage.ops[next].op)) {
        ++next;
      }
      RunRowOperators(stage, std::span(stage.ops).subspan(i, next - i), pass);
      i = next;
      continue;
    }
    if (std::holds_alternative<Embed>(*bound.op)) {
      EmbedRows(bound, pass);
    } else if (const auto* linear = std::get_if<Linear>(bound.op)) {
      Multiply(bound, *linear, rows);
    } else if (const auto* attend = std::get_if<Attend>(bound.op)) {
      AttendRows(stage, bound, *attend, pass);
    } else {
      LODESTONE_CHECK(std::holds_alternative<Collective>(*bound.op));  // ends a section; the appliance carries it out
    }
    ++i;
  }
  return GiveOutput(stage, section, pass);
}

void CpuExecutor::EmbedRows(const BoundOp& bound, const Pass& pass) {
  const auto& op = std::get<Embed>(*bound.op);
  ForEach(static_cast<int64_t>(pass.rows.size()), op.n * 10 * kNsPerValue, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      float* out = registers_.Floats(op.out, r);
      for (int i = 0; i < op.n; ++i) {
        float value = op.multiplier * UnpackedValue(*bound.matrix, pass.rows[r].token, i);
        if (bound.positions) value += UnpackedValue(*bound.positions, pass.rows[r].position, i);
        out[i] = op.stream == Code::kBf16 ? Bf16ToFloat(FloatToBf16(value)) : value;
      }
    }
  });
}

void CpuExecutor::RunRowOperators(LoadedStage& stage, std::span<const BoundOp> chain, const Pass& pass) {
  int64_t values = 0;
  for (const BoundOp& bound : chain) values += bound.row_bytes_read / 4;
  ForEach(static_cast<int64_t>(pass.rows.size()), static_cast<double>(values) * kNsPerValue,
          [&](int64_t begin, int64_t end, int thread) {
            for (int64_t r = begin; r < end; ++r) {
              for (const BoundOp& bound : chain) {
                ApplyToRow(stage, bound, pass, static_cast<int>(r), workers_[thread]);
              }
            }
          });
}

void CpuExecutor::ApplyToRow(LoadedStage& stage, const BoundOp& bound, const Pass& pass, int row, Worker& worker) {
  std::visit(Overloaded{
                 [](const Embed&) {},
                 [&](const Norm& op) {
                   for (int g = 0; g < op.groups; ++g) {
                     const int64_t at = int64_t{g} * op.n;
                     kernels_.norm({.x = registers_.Floats(op.in, row) + at,
                                    .y = registers_.Floats(op.out, row) + at,
                                    .weight = bound.weight.data(),
                                    .bias = op.bias ? bound.bias.data() : nullptr,
                                    .eps = op.eps,
                                    .n = op.n,
                                    .layer_norm = op.kind == NormKind::kLayer});
                   }
                 },
                 [&](const Quantize& op) { QuantizeRow(bound, op, row); },
                 [](const Linear&) {},
                 [&](const Rotate& op) {
                   const auto table = std::find_if(ropes_.begin(), ropes_.end(),
                                                   [&](const RopeTable& t) { return t.rope() == op.rope; });
                   kernels_.rope({.x = registers_.Floats(op.x, row),
                                  .cos_sin = table->At(pass.rows[row].position),
                                  .heads = op.heads,
                                  .head_dim = op.head_dim,
                                  .rotary_dim = op.rope.rotary_dim});
                 },
                 [&](const StoreKv& op) { StoreRow(stage, bound, op, pass, row, worker); },
                 [](const Attend&) {},
                 [&](const Gate& op) {
                   kernels_.gate(registers_.Floats(op.gate, row), op.up ? registers_.Floats(*op.up, row) : nullptr,
                                 registers_.Floats(op.out, row), op.n, KernelActivation(op.activation));
                 },
                 [&](const Add& op) {
                   kernels_.add(registers_.Floats(op.stream, row), registers_.Floats(op.in, row), op.multiplier, op.n,
                                op.stream_code == Code::kBf16);
                 },
                 [](const Experts&) {},
                 [](const Collective&) {},
             },
             *bound.op);
}

void CpuExecutor::QuantizeRun(const float* x, int8_t* codes, float* scale, int n, int n_padded, const Format& to,
                              float step, const std::optional<WeightRef>& step_ref, int layer) {
  const auto max_code = static_cast<float>(MaxCode(to.code));
  const bool is_static = to.scales == Scales::kStatic && recorder_ == nullptr;
  if (is_static) *scale = step;
  kernels_.quantize({.x = x,
                     .codes = codes,
                     .scale = scale,
                     .n = n,
                     .n_padded = n_padded,
                     .max_code = max_code,
                     .is_static = is_static});
  if (recorder_ != nullptr && step_ref) recorder_->Observe({step_ref->kind, layer}, *scale * max_code);
}

void CpuExecutor::QuantizeRow(const BoundOp& bound, const Quantize& op, int row) {
  const float* x = registers_.Floats(op.in, row);
  if (!IsInteger(op.to.code)) {
    uint16_t* out = registers_.Halves(op.out, row);
    kernels_.to_bf16(x, out, op.n);
    if (op.n % 2 != 0) out[op.n] = 0;
    return;
  }
  const int each = op.n / op.heads;
  // Rows that feed a matmul are zero up to the packed depth; heads lie side by side.
  const int padded = op.heads > 1 ? each : (op.n + kKStep - 1) / kKStep * kKStep;
  for (int h = 0; h < op.heads; ++h) {
    QuantizeRun(x + int64_t{h} * each, registers_.Codes(op.out, row) + int64_t{h} * each,
                registers_.Scales(op.out, row) + h, each, padded, op.to, bound.step, op.step, bound.layer);
  }
}

void CpuExecutor::StoreRow(LoadedStage& stage, const BoundOp& bound, const StoreKv& op, const Pass& pass, int row,
                           Worker& worker) {
  const Row& r = pass.rows[row];
  const int32_t page = pass.page_table[r.sequence * static_cast<size_t>(pass.pages_per_sequence) +
                                       static_cast<size_t>(r.position / KvStore::kPageTokens)];
  const int slot = r.position % KvStore::kPageTokens;
  const auto code = KernelKvCode(op.format.code);
  worker.stored.resize(sizeof(uint16_t) * op.head_dim);
  // The values as they are stored, before they are scattered over the block.
  const auto convert = [&](const float* x, float* scale, float step, const std::optional<WeightRef>& step_ref) {
    if (code == kernels::KvCode::kF32) return static_cast<const void*>(x);
    if (code == kernels::KvCode::kBf16) {
      kernels_.to_bf16(x, reinterpret_cast<uint16_t*>(worker.stored.data()), op.head_dim);
    } else {
      QuantizeRun(x, reinterpret_cast<int8_t*>(worker.stored.data()), scale, op.head_dim, op.head_dim, op.format, step,
                  step_ref, bound.layer);
    }
    return static_cast<const void*>(worker.stored.data());
  };
  for (int h = 0; h < op.kv_heads; ++h) {
    const KvStore::Block block = stage.kv.At(bound.kv_layer, page, h);
    const int64_t at = int64_t{h} * op.head_dim;
    kernels::StoreKey(code, op.head_dim, slot,
                      convert(registers_.Floats(op.k, row) + at, block.k_scales + slot, bound.step, op.key_step),
                      block.k);
    kernels::StoreValue(
        code, op.head_dim, slot,
        convert(registers_.Floats(op.v, row) + at, block.v_scales + slot, bound.value_step, op.value_step), block.v);
  }
}

void CpuExecutor::Multiply(const BoundOp& bound, const Linear& op, int rows) {
  const PackedMatrix& w = *bound.matrix;
  const bool integer = IsInteger(op.input.code);
  const int64_t element = integer ? 1 : BitsOf(op.input.code) / 8;
  const std::byte* x = reinterpret_cast<const std::byte*>(registers_.Codes(op.in, 0));
  const float* scales = integer ? registers_.Scales(op.in, 0) : nullptr;
  const int64_t row_bytes = registers_.RowBytes(op.in);
  if (recorder_ != nullptr && op.input.code == Code::kF32) {
    recorder_->Observe(LinearInput{.weight = {op.weight.kind, bound.layer},
                                   .x = registers_.Floats(op.in, 0),
                                   .stride = row_bytes / element,
                                   .rows = rows,
                                   .k = op.k});
  }
  if (op.last_rows_only && static_cast<int>(logit_rows_.size()) != rows) {
    // Only some rows want logits: bring their inputs together.
    rows = static_cast<int>(logit_rows_.size());
    if (rows == 0) return;
    if (gathered_.size() < static_cast<size_t>(rows * row_bytes)) {
      gathered_ = AlignedBuffer(static_cast<size_t>(rows * row_bytes));
      gathered_scales_ = AlignedBuffer(sizeof(float) * static_cast<size_t>(rows));
      LODESTONE_CHECK(gathered_.size() > 0 && gathered_scales_.size() > 0);
    }
    auto* gathered_scales = reinterpret_cast<float*>(gathered_scales_.data());
    for (int r = 0; r < rows; ++r) {
      std::memcpy(gathered_.data() + r * row_bytes, x + logit_rows_[r] * row_bytes, static_cast<size_t>(row_bytes));
      if (integer) gathered_scales[r] = registers_.Scales(op.in, logit_rows_[r])[0];
    }
    x = gathered_.data();
    if (integer) scales = gathered_scales;
  }
  kernels::MatmulArgs args{};
  args.x = x;
  args.x_stride = row_bytes / element;
  args.x_scales = scales;
  args.x_scales_stride = integer && x != gathered_.data() ? registers_.ScalesPerRow(op.in) : 1;
  args.w = w.codes.data();
  args.w_scales = w.scales.size() > 0 ? reinterpret_cast<const float*>(w.scales.data()) : nullptr;
  args.w_groups = w.multipliers.size() > 0 ? reinterpret_cast<const uint8_t*>(w.multipliers.data()) : nullptr;
  args.bias = op.bias ? bound.bias.data() : nullptr;
  args.y = registers_.Floats(op.out, 0);
  args.y_stride = registers_.RowBytes(op.out) / static_cast<int64_t>(sizeof(float));
  args.multiplier = op.multiplier;
  args.rows = rows;
  args.n = op.n;
  args.k = op.k;
  args.k_padded = w.padded_k();
  args.group = w.format.group;
  const kernels::MatmulFn matmul = MatmulFor(kernels_, op.input.code, op.weights.code);
  ForEach(w.panels(), kPanel * kNsPerMatmulProduct * op.k * rows, [&](int64_t begin, int64_t end, int) {
    kernels::MatmulArgs piece = args;
    piece.panel_begin = static_cast<int32_t>(begin);
    piece.panel_end = static_cast<int32_t>(end);
    matmul(piece);
  });
}

void CpuExecutor::AttendRows(LoadedStage& stage, const BoundOp& bound, const Attend& op, const Pass& pass) {
  const bool is_static = op.probability.scales == Scales::kStatic && recorder_ == nullptr;
  const auto code = KernelKvCode(op.kv.code);
  const int group = op.heads / op.kv_heads;
  const int64_t element = BitsOf(op.query.code) <= 8 ? 1 : BitsOf(op.query.code) / 8;
  attention_.Plan(pass.rows, {.kv_heads = op.kv_heads,
                              .group = group,
                              .head_dim = op.head_dim,
                              .window = static_cast<int>(op.window),
                              .threads = threads_.threads()});
  const auto run = [&](const AttentionPlan::Piece& piece, kernels::AttendStep step, int thread) {
    Worker& worker = workers_[thread];
    const AttentionPlan::Tile& tile = attention_.tiles()[piece.tile];
    const Row& row = pass.rows[tile.row];
    worker.blocks.resize(std::max(worker.blocks.size(), static_cast<size_t>(tile.block_end)));
    for (int b = tile.block_begin; b < tile.block_end; ++b) {
      const int32_t page = pass.page_table[row.sequence * static_cast<size_t>(pass.pages_per_sequence) + b];
      const KvStore::Block block = stage.kv.At(bound.kv_layer, page, tile.head);
      worker.blocks[b] = {.k = block.k, .v = block.v, .k_scales = block.k_scales, .v_scales = block.v_scales};
    }
    const int64_t first_head = int64_t{tile.head} * group;
    kernels::AttendArgs args{};
    args.q = reinterpret_cast<const std::byte*>(registers_.Codes(op.q, tile.row)) + first_head * op.head_dim * element;
    args.q_stride = registers_.RowBytes(op.q) / element;
    if (IsInteger(op.query.code)) {
      args.q_scales = registers_.Scales(op.q, tile.row) + first_head;
      args.q_scales_stride = registers_.ScalesPerRow(op.q);
    }
    args.blocks = worker.blocks.data();
    args.code = code;
    args.rows = tile.rows;
    args.heads = group;
    args.head_dim = op.head_dim;
    args.context = row.position + 1;
    args.window = static_cast<int32_t>(op.window);
    args.scale = op.scale;
    args.p_max = static_cast<float>(MaxCode(op.probability.code));
    args.p_scale = is_static ? bound.step : 0.0f;
    args.out = registers_.Floats(op.out, tile.row) + first_head * op.head_dim;
    args.out_stride = registers_.RowBytes(op.out) / static_cast<int64_t>(sizeof(float));
    worker.queries.resize(std::max(worker.queries.size(), attention_.scratch_floats()));
    args.scratch = worker.queries.data();
    args.step = step;
    args.block_begin = piece.block_begin;
    args.block_end = piece.block_end;
    if (step != kernels::AttendStep::kAll) args.partials = partials_.data() + tile.partials;
    kernels_.attend(args);
  };
  partials_.resize(std::max(partials_.size(), attention_.partial_floats()));
  // A cut tile takes two or three loops; the others are done in the middle one.
  const auto run_pieces = [&](bool cut_only, kernels::AttendStep step) {
    const auto body = [&](int64_t begin, int64_t end, int thread) {
      for (int64_t share = begin; share < end; ++share) {
        for (const AttentionPlan::Piece& piece : attention_.Share(static_cast<int>(share))) {
          const bool cut = attention_.tiles()[piece.tile].partials >= 0;
          if (cut || !cut_only) run(piece, cut ? step : kernels::AttendStep::kAll, thread);
        }
      }
    };
    const int shares = attention_.shares();
    shares == 1 ? body(0, 1, 0) : threads_.ParallelFor(shares, body);
  };
  const std::span<const int> cut = attention_.cut_tiles();
  if (is_static && !cut.empty()) run_pieces(true, kernels::AttendStep::kStatistics);
  run_pieces(false, kernels::AttendStep::kBlocks);
  ForEach(static_cast<int64_t>(cut.size()), attention_.merge_ns(), [&](int64_t begin, int64_t end, int thread) {
    for (int64_t i = begin; i < end; ++i) run({.tile = cut[i]}, kernels::AttendStep::kMerge, thread);
  });
  // Probabilities lie in [0, 1] whatever the input.
  if (recorder_ != nullptr && op.probability_step) recorder_->Observe({op.probability_step->kind, bound.layer}, 1.0f);
}

Result<std::unique_ptr<Executor>> Make(ThreadPool& threads, StepRecorder* recorder) {
  LODESTONE_ASSIGN_OR_RETURN(const KernelTable* table, kernels::SelectFromEnvironment());
  return std::unique_ptr<Executor>(std::make_unique<CpuExecutor>(*table, threads, recorder));
}

}  // namespace

Result<std::unique_ptr<Executor>> MakeCpuExecutor(ThreadPool& threads) { return Make(threads, nullptr); }

Result<std::unique_ptr<Executor>> MakeCalibratingExecutor(ThreadPool& threads, StepRecorder& recorder) {
  return Make(threads, &recorder);
}

}  // namespace lodestone
