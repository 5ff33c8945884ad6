#include "executor/register_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "program/registers.h"

namespace lodestone {
namespace {

constexpr int64_t kLine = 64;  // rows start on a cache line
constexpr int64_t RoundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

}  // namespace

void RegisterFile::Widen(Reg reg, int64_t row_bytes, int64_t scales) {
  Register& r = registers_[static_cast<size_t>(reg)];
  r.row_bytes = std::max(r.row_bytes, RoundUp(row_bytes, kLine));
  r.scales_per_row = std::max(r.scales_per_row, scales);
}

void RegisterFile::Fit(std::span<const Op> ops) {
  for (const Op& op : ops) {
    if (const auto* quantize = std::get_if<Quantize>(&op)) {
      // Integer rows are padded with zero codes to the depth of the packed weights.
      const int64_t bytes = IsInteger(quantize->to.code) ? RoundUp(quantize->n, kKStep) : int64_t{2} * quantize->n + 2;
      Widen(quantize->out, bytes, quantize->heads);
      continue;
    }
    const RegisterUses uses = UsesOf(op);
    for (const RegisterUse& use : uses.reads()) Widen(use.reg, use.bytes_per_row, 0);
    for (const RegisterUse& use : uses.writes()) Widen(use.reg, use.bytes_per_row, 0);
  }
  rows_ = 0;
}

Status RegisterFile::Reserve(int rows) {
  if (rows <= rows_) return {};
  rows_ = 0;
  for (Register& r : registers_) {
    if (r.row_bytes == 0) continue;
    const auto values = static_cast<size_t>(r.row_bytes * rows);
    const auto scales = static_cast<size_t>(r.scales_per_row * rows) * sizeof(float);
    r.values = AlignedBuffer(values);
    r.scales = AlignedBuffer(scales);
    if (r.values.size() < values || r.scales.size() < scales) {
      return Infeasible(
          fmt::format("the host refuses memory for the activations of {} rows; a smaller prefill chunk or "
                      "more micro-batches need less",
                      rows));
    }
  }
  rows_ = rows;
  return {};
}

}  // namespace lodestone
