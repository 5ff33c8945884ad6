#include "learn/tape.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/overloaded.h"
#include "base/status.h"

namespace lodestone {
namespace {

constexpr int64_t kAlign = 16;  // floats of a cache line

int64_t RoundUp(int64_t width) { return (width + kAlign - 1) / kAlign * kAlign; }

// Names values by the registers that hold them at the moment.
class Namer {
 public:
  explicit Namer(Tape& tape) : tape_(tape) { held_.fill(-1); }

  void Visit(const Op& op) {
    std::visit(Overloaded{
                   [&](const Embed& o) { Node(op, {}, {Stream(o.out, o.n)}); },
                   [&](const Norm& o) {
                     if (o.in == Reg::kStream) EnterStream(o.n);
                     const int in = At(o.in);
                     Node(op, {in}, {New(o.out, int64_t{o.n} * o.groups)});
                   },
                   [&](const Quantize& o) {
                     const int in = At(o.in);
                     if (!IsInteger(o.to.code)) return Alias(o.out, in);
                     const int out = New(o.out, o.n);
                     tape_.values[out].step = o.step;
                     Node(op, {in}, {out});
                   },
                   [&](const Linear& o) {
                     const int in = At(o.in);
                     o.last_rows_only ? Node(op, {in}, {}) : Node(op, {in}, {New(o.out, o.n)});
                   },
                   [&](const Rotate& o) {
                     const int in = At(o.x);
                     Node(op, {in}, {New(o.x, int64_t{o.heads} * o.head_dim)});
                   },
                   [&](const StoreKv& o) {
                     stored_key_ = At(o.k);
                     stored_value_ = At(o.v);
                     if (!IsInteger(o.format.code)) return;
                     const int64_t width = int64_t{o.kv_heads} * o.head_dim;
                     const int key = New(o.k, width), value = New(o.v, width);
                     tape_.values[key].step = o.key_step;
                     tape_.values[value].step = o.value_step;
                     Node(op, {stored_key_, stored_value_}, {key, value});
                     stored_key_ = key;
                     stored_value_ = value;
                   },
                   [&](const Attend& o) {
                     const int q = At(o.q);
                     const int out = New(o.out, int64_t{o.heads} * o.head_dim);
                     Node(op, {q, stored_key_, stored_value_}, {out, Unnamed(o.heads)});
                   },
                   [&](const Gate& o) {
                     std::vector<int> reads = {At(o.gate)};
                     if (o.up) reads.push_back(At(*o.up));
                     Node(op, std::move(reads), {New(o.out, o.n)});
                   },
                   [&](const Add& o) {
                     EnterStream(o.n);
                     const int in = At(o.in), stream = At(o.stream);
                     Node(op, {in, stream}, {Stream(o.stream, o.n)});
                   },
                   [](const Experts&) { LODESTONE_CHECK(false); },
                   [](const Collective&) { LODESTONE_CHECK(false); },
               },
               op);
  }

 private:
  int& Held(Reg reg) { return held_[static_cast<size_t>(reg)]; }
  int At(Reg reg) {
    LODESTONE_CHECK(Held(reg) >= 0);
    return Held(reg);
  }
  int Unnamed(int64_t width) {
    tape_.values.push_back({.width = width});
    return static_cast<int>(tape_.values.size()) - 1;
  }
  int New(Reg reg, int64_t width) { return Held(reg) = Unnamed(width); }
  int Stream(Reg reg, int64_t width) {
    const int value = New(reg, width);
    tape_.values[value].stream = true;
    return value;
  }
  void EnterStream(int64_t width) {
    if (Held(Reg::kStream) >= 0) return;
    tape_.values[Stream(Reg::kStream, width)].place = Place::kFrame;
  }
  void Alias(Reg reg, int value) { Held(reg) = value; }
  void Node(const Op& op, std::vector<int> reads, std::vector<int> writes) {
    tape_.nodes.push_back({.op = &op, .reads = std::move(reads), .writes = std::move(writes)});
  }

  Tape& tape_;
  std::array<int, static_cast<size_t>(Reg::kCount)> held_;
  int stored_key_ = -1, stored_value_ = -1;
};

// The values that the backward of an operator reads, gradients aside.
std::vector<int> BackwardReads(const TapeNode& node) {
  std::vector<int> all = node.reads;
  all.insert(all.end(), node.writes.begin(), node.writes.end());
  return std::visit(Overloaded{
                        [](const Embed&) { return std::vector<int>(); },
                        [&](const Norm&) { return node.reads; },
                        [&](const Quantize&) { return node.reads; },
                        [&](const Linear&) { return node.reads; },
                        [](const Rotate&) { return std::vector<int>(); },
                        [&](const StoreKv&) { return node.reads; },
                        [&](const Attend&) { return all; },
                        [&](const Gate&) { return node.reads; },
                        [](const Add&) { return std::vector<int>(); },
                        [](const Experts&) { return std::vector<int>(); },
                        [](const Collective&) { return std::vector<int>(); },
                    },
                    *node.op);
}

bool IsHeavy(const Op& op) { return std::holds_alternative<Linear>(op) || std::holds_alternative<Attend>(op); }

// Settles what is kept and what is replayed.
void Keep(Tape& tape, bool recompute) {
  std::vector<bool> needed(tape.values.size(), false);
  for (const TapeNode& node : tape.nodes) {
    for (const int value : BackwardReads(node)) needed[value] = true;
  }
  for (size_t i = tape.nodes.size(); i-- > 0;) {
    TapeNode& node = tape.nodes[i];
    const bool wanted = std::any_of(node.writes.begin(), node.writes.end(), [&](int v) { return needed[v]; });
    if (!wanted) continue;
    if (IsHeavy(*node.op) && !recompute) {
      for (const int value : node.writes) tape.values[value].place = Place::kFrame;
    } else {
      node.replay = true;
      for (const int value : node.reads) needed[value] = true;
    }
  }
  const TapeNode& last = tape.nodes.back();
  if (!last.writes.empty()) {
    LODESTONE_CHECK(tape.values[last.writes[0]].stream);
    tape.values[last.writes[0]].place = Place::kNextFrame;
  }
  for (TapeValue& value : tape.values) {
    if (value.place != Place::kFrame) continue;
    value.offset = tape.frame_width;
    tape.frame_width += RoundUp(value.width);
  }
}

// A stretch of scratch that is in use from time `begin` to time `end`, both included.
struct Lease {
  int begin = std::numeric_limits<int>::max(), end = -1;
  int64_t width = 0;
  int64_t* offset = nullptr;

  void Cover(int time) {
    begin = std::min(begin, time);
    end = std::max(end, time);
  }
};

// Node i runs forward (or again) at time i and backward at time 2 n − 1 − i. A value lives from its node to its last
// reader, its gradient from the backward of its last reader to that of its node.
std::vector<Lease> Leases(Tape& tape) {
  const int n = static_cast<int>(tape.nodes.size());
  std::vector<Lease> values(tape.values.size()), gradients(tape.values.size());
  for (int i = 0; i < n; ++i) {
    const TapeNode& node = tape.nodes[i];
    const int back = 2 * n - 1 - i;
    for (const int value : node.writes) values[value].Cover(i);
    for (const int value : node.reads) values[value].Cover(i);
    for (const int value : BackwardReads(node)) values[value].Cover(back);
    for (const int value : node.writes) gradients[value].Cover(back);
    for (const int value : node.reads) gradients[value].Cover(back);
  }
  std::vector<Lease> leases;
  for (size_t v = 0; v < tape.values.size(); ++v) {
    TapeValue& value = tape.values[v];
    if (value.place == Place::kScratch) {
      leases.push_back(values[v]);
      leases.back().offset = &value.offset;
      leases.back().width = RoundUp(value.width);
    }
    if (!value.stream) {
      leases.push_back(gradients[v]);
      leases.back().offset = &value.gradient_offset;
      leases.back().width = RoundUp(value.width);
    }
  }
  return leases;
}

// The widest first, each at the lowest offset that is free while it lives.
int64_t Settle(std::vector<Lease> leases) {
  std::stable_sort(leases.begin(), leases.end(), [](const Lease& a, const Lease& b) { return a.width > b.width; });
  int64_t total = 0;
  for (size_t i = 0; i < leases.size(); ++i) {
    std::vector<const Lease*> beside;
    for (size_t j = 0; j < i; ++j) {
      if (leases[j].begin <= leases[i].end && leases[i].begin <= leases[j].end) beside.push_back(&leases[j]);
    }
    std::sort(beside.begin(), beside.end(), [](const Lease* a, const Lease* b) { return *a->offset < *b->offset; });
    int64_t at = 0;
    for (const Lease* other : beside) {
      if (*other->offset >= at + leases[i].width) break;
      at = std::max(at, *other->offset + other->width);
    }
    *leases[i].offset = at;
    total = std::max(total, at + leases[i].width);
  }
  return total;
}

}  // namespace

Tape MakeTape(std::span<const Op> ops, bool recompute) {
  Tape tape;
  Namer namer(tape);
  for (const Op& op : ops) namer.Visit(op);
  Keep(tape, recompute);
  tape.scratch_width = Settle(Leases(tape));
  return tape;
}

}  // namespace lodestone
