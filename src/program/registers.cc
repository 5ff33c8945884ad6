#include "program/registers.h"

#include "base/overloaded.h"

namespace lodestone {
namespace {

int64_t FloatBytes(int64_t width) { return 4 * width; }
int64_t FormatBytes(const Format& format, int64_t width, int64_t heads) {
  return CodeBytes(format.code, 1, width) + ActivationScaleBytes(format, 1, heads);
}

RegisterUses Uses(std::initializer_list<RegisterUse> reads, std::initializer_list<RegisterUse> writes) {
  RegisterUses uses;
  for (const RegisterUse& use : reads) uses.read_storage[uses.reads_count++] = use;
  for (const RegisterUse& use : writes) uses.write_storage[uses.writes_count++] = use;
  return uses;
}

}  // namespace

RegisterUses UsesOf(const Op& op) {
  return std::visit(Overloaded{
                        [](const Embed& e) {
                          return Uses({}, {{e.out, FloatBytes(e.n)}});
                        },
                        [](const Norm& o) {
                          const int64_t bytes = FloatBytes(int64_t{o.n} * o.groups);
                          return Uses({{o.in, bytes}}, {{o.out, bytes}});
                        },
                        [](const Quantize& q) {
                          return Uses({{q.in, FloatBytes(q.n)}}, {{q.out, FormatBytes(q.to, q.n, q.heads)}});
                        },
                        [](const Linear& l) {
                          return Uses({{l.in, FormatBytes(l.input, l.k, 1)}}, {{l.out, FloatBytes(l.n)}});
                        },
                        [](const Rotate& r) {
                          const int64_t bytes = FloatBytes(int64_t{r.heads} * r.head_dim);
                          return Uses({{r.x, bytes}}, {{r.x, bytes}});
                        },
                        [](const StoreKv& s) {
                          const int64_t bytes = FloatBytes(int64_t{s.kv_heads} * s.head_dim);
                          return Uses({{s.k, bytes}, {s.v, bytes}}, {});
                        },
                        [](const Attend& a) {
                          const int64_t width = int64_t{a.heads} * a.head_dim;
                          return Uses({{a.q, FormatBytes(a.query, width, a.heads)}}, {{a.out, FloatBytes(width)}});
                        },
                        [](const Gate& g) {
                          const int64_t bytes = FloatBytes(g.n);
                          return g.up ? Uses({{g.gate, bytes}, {*g.up, bytes}}, {{g.out, bytes}})
                                      : Uses({{g.gate, bytes}}, {{g.out, bytes}});
                        },
                        [](const Add& a) {
                          const int64_t bytes = FloatBytes(a.n);
                          return Uses({{a.in, bytes}, {a.stream, bytes}}, {{a.stream, bytes}});
                        },
                        [](const Experts& e) {
                          return Uses({{e.in, FormatBytes(e.input, e.n, 1)}}, {{e.out, FloatBytes(e.n)}});
                        },
                        [](const Collective& c) {
                          return Uses({{c.reg, FloatBytes(c.n / c.of)}}, {{c.reg, FloatBytes(c.n)}});
                        },
                    },
                    op);
}

std::vector<RegSet> LiveAfter(std::span<const Op> ops) {
  std::vector<RegSet> live(ops.size());
  RegSet alive;
  for (size_t i = ops.size(); i-- > 0;) {
    live[i] = alive;
    const RegisterUses uses = UsesOf(ops[i]);
    for (const RegisterUse& use : uses.writes()) alive.reset(static_cast<size_t>(use.reg));
    for (const RegisterUse& use : uses.reads()) {
      if (use.reg != Reg::kStream) alive.set(static_cast<size_t>(use.reg));
    }
  }
  return live;
}

bool IsRowOperator(const Op& op) {
  return std::visit(Overloaded{
                        [](const Embed&) { return false; },
                        [](const Norm&) { return true; },
                        [](const Quantize&) { return true; },
                        [](const Linear&) { return false; },
                        [](const Rotate&) { return true; },
                        [](const StoreKv&) { return true; },
                        [](const Attend&) { return false; },
                        [](const Gate&) { return true; },
                        [](const Add&) { return true; },
                        [](const Experts&) { return false; },
                        [](const Collective&) { return false; },
                    },
                    op);
}

const char* ToString(Reg reg) {
  switch (reg) {
    case Reg::kStream:
      return "stream";
    case Reg::kNormed:
      return "normed";
    case Reg::kNormedIn:
      return "normed_in";
    case Reg::kQ:
      return "q";
    case Reg::kK:
      return "k";
    case Reg::kV:
      return "v";
    case Reg::kQIn:
      return "q_in";
    case Reg::kAttended:
      return "attended";
    case Reg::kAttendedIn:
      return "attended_in";
    case Reg::kProjected:
      return "projected";
    case Reg::kGate:
      return "gate";
    case Reg::kUp:
      return "up";
    case Reg::kHidden:
      return "hidden";
    case Reg::kHiddenIn:
      return "hidden_in";
    case Reg::kMlpOut:
      return "mlp_out";
    case Reg::kLogits:
      return "logits";
    case Reg::kCount:
      break;
  }
  return "?";
}

const char* NameOf(const Op& op) {
  return std::visit(Overloaded{
                        [](const Embed&) { return "embed"; },
                        [](const Norm&) { return "norm"; },
                        [](const Quantize&) { return "quantize"; },
                        [](const Linear&) { return "linear"; },
                        [](const Rotate&) { return "rotate"; },
                        [](const StoreKv&) { return "store_kv"; },
                        [](const Attend&) { return "attend"; },
                        [](const Gate&) { return "gate"; },
                        [](const Add&) { return "add"; },
                        [](const Experts&) { return "experts"; },
                        [](const Collective&) { return "collective"; },
                    },
                    op);
}

}  // namespace lodestone
