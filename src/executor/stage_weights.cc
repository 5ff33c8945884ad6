#include "executor/stage_weights.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <optional>
#include <tuple>

#include "base/overloaded.h"
#include "program/registers.h"

namespace lodestone {
namespace {

// What makes two matrices the same bytes.
struct MatrixKey {
  WeightId id;
  int first_row, rows, columns;
  Format format;

  auto Tie() const {
    return std::tuple(id.kind, id.layer, first_row, rows, columns, format.code, format.scales, format.group);
  }
  friend bool operator<(const MatrixKey& a, const MatrixKey& b) { return a.Tie() < b.Tie(); }
};

class Loader {
 public:
  Loader(const WeightSource& source, bool calibrating) : source_(source), calibrating_(calibrating) {}

  Result<std::vector<BoundOp>> Bind(const Stage& stage) {
    std::vector<BoundOp> bound;
    int kv_layer = -1;
    for (const Segment& segment : stage.program.segments) {
      for (int run = 0; run < segment.repeat; ++run) {
        const int layer = segment.first_layer < 0 ? -1 : segment.first_layer + run;
        for (size_t i = 0; i < segment.ops.size(); ++i) {
          BoundOp op{.op = &segment.ops[i], .layer = layer, .fusion = segment.fusion[i]};
          if (std::holds_alternative<StoreKv>(*op.op)) ++kv_layer;
          op.kv_layer = kv_layer;
          const RegisterUses uses = UsesOf(*op.op);
          for (const RegisterUse& use : uses.reads()) op.row_bytes_read += use.bytes_per_row;
          LODESTONE_RETURN_IF_ERROR(BindOne(op));
          bound.push_back(std::move(op));
        }
      }
    }
    return bound;
  }

  // Fills every matrix that was asked for, its panels divided among the threads as a multiplication divides them, so
  // that each page lies on the memory node of the thread that will stream it.
  Status PackAll(ThreadPool& threads) {
    std::vector<std::optional<Error>> errors(static_cast<size_t>(threads.threads()));
    for (auto& entry : matrices_) {  // no structured binding: clang 14 does not let lambdas capture one
      const MatrixKey& key = entry.first;
      PackedMatrix& matrix = *entry.second;
      const auto named = [&](const Error& error) {
        return Error{error.code, fmt::format("{}: {}", ToString(key.id), error.message)};
      };
      auto allocated = AllocatePacked({key.format, key.rows, key.columns});
      if (!allocated.ok()) return named(allocated.error());
      matrix = *std::move(allocated);
      threads.ParallelFor(matrix.panels(), [&](int64_t begin, int64_t end, int thread) {
        const Status status =
            source_.ReadPanels(key.id, key.first_row, static_cast<int>(begin), static_cast<int>(end), matrix);
        if (!status.ok()) errors[static_cast<size_t>(thread)] = status.error();
      });
      for (const auto& error : errors) {
        if (error) return named(*error);
      }
      bytes_ += matrix.bytes();
    }
    return {};
  }

  int64_t bytes() const { return bytes_; }

 private:
  Status BindOne(BoundOp& bound) {
    const int layer = bound.layer;
    return std::visit(
        Overloaded{
            [&](const Embed& e) -> Status {
              const Format format{.code = e.code};
              bound.matrix = Matrix({e.table.kind, -1}, 0, static_cast<int>(e.vocab), e.n, format);
              if (e.positions) {
                bound.positions = Matrix({e.positions->kind, -1}, 0, static_cast<int>(e.max_positions), e.n, format);
              }
              return {};
            },
            [&](const Norm& n) -> Status {
              LODESTONE_RETURN_IF_ERROR(ReadVector(n.weight, layer, n.n, bound.weight));
              return n.bias ? ReadVector(*n.bias, layer, n.n, bound.bias) : Status();
            },
            [&](const Quantize& q) { return ReadStep(q.step, layer, bound.step); },
            [&](const Linear& l) -> Status {
              // The output layer may share the embedding's tensor, which belongs to no layer.
              bound.matrix = Matrix({l.weight.kind, layer}, l.weight.first_row, l.n, l.k, l.weights);
              return l.bias ? ReadVector(*l.bias, layer, l.n, bound.bias) : Status();
            },
            [](const Rotate&) { return Status(); },
            [&](const StoreKv& s) -> Status {
              LODESTONE_RETURN_IF_ERROR(ReadStep(s.key_step, layer, bound.step));
              return ReadStep(s.value_step, layer, bound.value_step);
            },
            [&](const Attend& a) { return ReadStep(a.probability_step, layer, bound.step); },
            [](const Gate&) { return Status(); },
            [](const Add&) { return Status(); },
            [](const Experts&) { return Status(Unsupported("experts are estimated, not computed")); },
            [](const Collective&) { return Status(); },
        },
        *bound.op);
  }

  std::shared_ptr<const PackedMatrix> Matrix(const WeightId& id, int first_row, int rows, int columns,
                                             const Format& format) {
    auto& slot = matrices_[MatrixKey{id, first_row, rows, columns, format}];
    if (!slot) slot = std::make_shared<PackedMatrix>();
    return slot;
  }

  // Elements [first_row, first_row + n) of a vector, which a source reads whole.
  Status ReadVector(const WeightRef& ref, int layer, int n, std::vector<float>& out) {
    const WeightId id{ref.kind, layer};
    std::vector<float> whole(static_cast<size_t>(ref.total > 0 ? ref.total : n));
    LODESTONE_RETURN_IF_ERROR(source_.ReadRow(id, 0, whole));
    out.assign(whole.begin() + ref.first_row, whole.begin() + ref.first_row + n);
    for (size_t i = 0; i < out.size(); ++i) {
      if (!std::isfinite(out[i])) return Invalid(fmt::format("{}: element {} is not finite", ToString(id), i));
    }
    bytes_ += int64_t{4} * n;
    return {};
  }

  Status ReadStep(const std::optional<WeightRef>& ref, int layer, float& step) {
    if (!ref || calibrating_) return {};
    const WeightId id{ref->kind, layer};
    LODESTONE_RETURN_IF_ERROR(source_.ReadRow(id, 0, std::span(&step, 1)));
    if (!(step > 0) || !std::isfinite(step)) {
      return Invalid(fmt::format("{}: step size {} is not a positive number", ToString(id), step));
    }
    return {};
  }

  const WeightSource& source_;
  bool calibrating_;
  std::map<MatrixKey, std::shared_ptr<PackedMatrix>> matrices_;
  int64_t bytes_ = 0;
};

}  // namespace

Result<StageWeights> LoadWeights(std::span<const Stage> stages, const WeightSource& source, bool calibrating,
                                 ThreadPool& threads) {
  Loader loader(source, calibrating);
  StageWeights weights;
  for (const Stage& stage : stages) {
    LODESTONE_ASSIGN_OR_RETURN(std::vector<BoundOp> bound, loader.Bind(stage));
    weights.stages.push_back(std::move(bound));
  }
  LODESTONE_RETURN_IF_ERROR(loader.PackAll(threads));
  weights.resident_bytes = loader.bytes();
  return weights;
}

}  // namespace lodestone
