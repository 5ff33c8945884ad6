// Tensor parallelism as this project allows it: output columns and heads are split and activations gathered, so that
// every sum is made whole by one rank and sharded bits equal unsharded ones.
#include <fmt/format.h>

#include <algorithm>
#include <bitset>

#include "base/overloaded.h"
#include "numerics/packed_matrix.h"
#include "program/program.h"
#include "program/registers.h"

namespace lodestone {
namespace {

class Sharder {
 public:
  Sharder(int rank, int of) : rank_(rank), of_(of) {}

  Status Visit(const Op& op) {
    return std::visit(Overloaded{
                          [&](const Embed& e) { return Keep(e); },
                          [&](const Norm& n) { return VisitNorm(n); },
                          [&](const Quantize& q) { return VisitQuantize(q); },
                          [&](const Linear& l) { return VisitLinear(l); },
                          [&](const Rotate& r) { return VisitRotate(r); },
                          [&](const StoreKv& s) { return VisitStoreKv(s); },
                          [&](const Attend& a) { return VisitAttend(a); },
                          [&](const Gate& g) { return VisitGate(g); },
                          [&](const Add& a) {
                            Gather(a.in, a.n);
                            return Keep(a);
                          },
                          [](const Experts& e) -> Status {
                            return Unsupported(fmt::format(
                                "{} experts cannot be split by columns here; whole experts can lie on ranks "
                                "(expert parallelism), and estimates split them",
                                e.experts));
                          },
                          [&](const Collective&) -> Status { return Invalid("the program is sharded already"); },
                      },
                      op);
  }

  std::vector<Op> Take() { return std::move(ops_); }

 private:
  Status Keep(const Op& op) {
    ops_.push_back(op);
    return {};
  }
  bool IsSplit(Reg reg) const { return split_[static_cast<size_t>(reg)]; }
  void SetSplit(Reg reg, bool split) { split_[static_cast<size_t>(reg)] = split; }

  void Gather(Reg reg, int n) {
    if (!IsSplit(reg)) return;
    ops_.push_back(Collective{.reg = reg, .n = n, .of = of_});
    SetSplit(reg, false);
  }

  Result<int> Divide(int n, const char* what) const {
    if (n % of_ != 0) return Unsupported(fmt::format("{} {} do not divide by {} ranks", n, what, of_));
    return n / of_;
  }

  Status VisitNorm(Norm norm) {
    if (IsSplit(norm.in) && norm.groups > 1) {  // a norm of each head, heads being split
      LODESTONE_ASSIGN_OR_RETURN(norm.groups, Divide(norm.groups, "heads"));
      SetSplit(norm.out, true);
      return Keep(norm);
    }
    Gather(norm.in, norm.n * norm.groups);
    SetSplit(norm.out, false);
    return Keep(norm);
  }

  Status VisitQuantize(Quantize quantize) {
    if (IsSplit(quantize.in) && quantize.heads > 1) {
      LODESTONE_ASSIGN_OR_RETURN(quantize.heads, Divide(quantize.heads, "heads"));
      quantize.n /= of_;
      SetSplit(quantize.out, true);
      return Keep(quantize);
    }
    Gather(quantize.in, quantize.n);  // a token's scale needs the whole row
    SetSplit(quantize.out, false);
    return Keep(quantize);
  }

  Status VisitLinear(Linear linear) {
    Gather(linear.in, linear.k);
    linear.weight.total = linear.n;
    if (linear.out == Reg::kLogits) {
      const int panels = (linear.n + kPanel - 1) / kPanel;
      const int each = (panels + of_ - 1) / of_ * kPanel;
      const int begin = std::min(rank_ * each, linear.n);
      const int end = std::min(begin + each, linear.n);
      if (begin == end) {
        return Unsupported(
            fmt::format("an output layer of {} columns leaves nothing for rank {} of {}", linear.n, rank_ + 1, of_));
      }
      linear.weight.first_row = begin;
      linear.n = end - begin;
    } else {
      LODESTONE_ASSIGN_OR_RETURN(linear.n, Divide(linear.n, "output columns"));
      linear.weight.first_row = rank_ * linear.n;
    }
    if (linear.bias) {
      linear.bias->first_row = linear.weight.first_row;
      linear.bias->total = linear.weight.total;
    }
    SetSplit(linear.out, true);
    return Keep(linear);
  }

  Status VisitRotate(Rotate rotate) {
    LODESTONE_ASSIGN_OR_RETURN(rotate.heads, Divide(rotate.heads, "heads"));
    return Keep(rotate);
  }

  Status VisitStoreKv(StoreKv store) {
    LODESTONE_ASSIGN_OR_RETURN(store.kv_heads, Divide(store.kv_heads, "KV heads"));
    return Keep(store);
  }

  Status VisitAttend(Attend attend) {
    LODESTONE_ASSIGN_OR_RETURN(attend.heads, Divide(attend.heads, "heads"));
    LODESTONE_ASSIGN_OR_RETURN(attend.kv_heads, Divide(attend.kv_heads, "KV heads"));
    SetSplit(attend.out, true);
    return Keep(attend);
  }

  Status VisitGate(Gate gate) {
    LODESTONE_ASSIGN_OR_RETURN(gate.n, Divide(gate.n, "MLP columns"));
    SetSplit(gate.out, true);
    return Keep(gate);
  }

  int rank_, of_;
  std::bitset<static_cast<size_t>(Reg::kCount)> split_;
  std::vector<Op> ops_;
};

}  // namespace

Result<Program> Shard(const Program& program, int rank, int of) {
  if (of < 1 || rank < 0 || rank >= of) return Invalid(fmt::format("rank {} of {} ranks", rank, of));
  if (of == 1) return program;
  Program result;
  for (const Segment& segment : program.segments) {
    Sharder sharder(rank, of);
    for (const Op& op : segment.ops) LODESTONE_RETURN_IF_ERROR(sharder.Visit(op));
    Segment sharded{.first_layer = segment.first_layer,
                    .repeat = segment.repeat,
                    .exited = segment.exited,
                    .ops = sharder.Take(),
                    .fusion = {}};
    sharded.fusion.assign(sharded.ops.size(), 0);
    result.segments.push_back(std::move(sharded));
  }
  // Gathers moved the operators, so fusion is worked out anew where the input was fused.
  bool fused = false;
  for (const Segment& segment : program.segments) {
    for (uint16_t id : segment.fusion) fused |= id != 0;
  }
  return fused ? Fuse(std::move(result)) : result;
}

Result<Program> ShardExperts(Program program, int rank, int of) {
  if (of < 1 || rank < 0 || rank >= of) return Invalid(fmt::format("rank {} of {} ranks", rank, of));
  bool any = false;
  for (Segment& segment : program.segments) {
    for (Op& op : segment.ops) {
      auto* experts = std::get_if<Experts>(&op);
      if (experts == nullptr) continue;
      any = true;
      if (experts->held % of != 0) {
        return Unsupported(fmt::format("{} experts do not divide by {} ranks", experts->held, of));
      }
      experts->held /= of;
    }
  }
  if (!any) return Unsupported("expert parallelism: the model has no experts");
  return program;
}

}  // namespace lodestone
