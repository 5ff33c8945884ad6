#include "timing/link_bytes.h"

#include <optional>

#include "base/overloaded.h"
#include "numerics/format.h"

namespace lodestone {

LinkBytes LinkBytesOf(const Program& program) {
  int64_t hidden = 0, logits = 0;
  // The stream is rounded where it is written. An output layer on a card of its own only reads it: f32 if its recipe
  // computes in f32, otherwise bf16 (recipe.h).
  std::optional<Code> written;
  Code read = Code::kBf16;
  const auto write = [&](Code code, int n) {
    written = code;
    hidden = n;
  };
  for (const Segment& segment : program.segments) {
    for (const Op& op : segment.ops) {
      std::visit(Overloaded{
                     [&](const Embed& embed) { write(embed.stream, embed.n); },
                     [&](const Add& add) { write(add.stream_code, add.n); },
                     [&](const Norm& norm) {
                       if (norm.in == Reg::kStream) hidden = norm.n * norm.groups;
                     },
                     [&](const Linear& linear) {
                       if (linear.out != Reg::kLogits) return;
                       logits = linear.n;
                       if (linear.input.code == Code::kF32) read = Code::kF32;
                     },
                     [](const Quantize&) {},
                     [](const Rotate&) {},
                     [](const StoreKv&) {},
                     [](const Attend&) {},
                     [](const Gate&) {},
                     [](const Experts&) {},
                     [](const Collective&) {},
                 },
                 op);
    }
  }
  LinkBytes bytes;
  bytes.in_per_row = CodeBytes(written.value_or(read), 1, hidden);
  if (logits > 0) {
    bytes.out_per_logit_row = CodeBytes(Code::kF32, 1, logits);
  } else {
    bytes.out_per_row = bytes.in_per_row;
  }
  return bytes;
}

}  // namespace lodestone
