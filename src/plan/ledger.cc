#include "plan/ledger.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/units.h"

namespace lodestone {

int64_t SaturatedProduct(int64_t a, int64_t b) {
  int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return kSaturatedBytes;
  return std::min(product, kSaturatedBytes);
}

int64_t SaturatedSum(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return kSaturatedBytes;
  return std::min(sum, kSaturatedBytes);
}

Residency Together(const Residency& a, const Residency& b) {
  Residency sum;
  sum.code_bytes = SaturatedSum(a.code_bytes, b.code_bytes);
  sum.scale_bytes = SaturatedSum(a.scale_bytes, b.scale_bytes);
  sum.norm_bias_bytes = SaturatedSum(a.norm_bias_bytes, b.norm_bias_bytes);
  sum.kv_code_bytes_per_token = SaturatedSum(a.kv_code_bytes_per_token, b.kv_code_bytes_per_token);
  sum.kv_scale_bytes_per_token = SaturatedSum(a.kv_scale_bytes_per_token, b.kv_scale_bytes_per_token);
  sum.host_bytes = SaturatedSum(a.host_bytes, b.host_bytes);
  sum.activation_bytes_per_row = std::max(a.activation_bytes_per_row, b.activation_bytes_per_row);
  return sum;
}

Residency Repeated(const Residency& layer, int times) {
  Residency sum = layer;
  sum.code_bytes = SaturatedProduct(layer.code_bytes, times);
  sum.scale_bytes = SaturatedProduct(layer.scale_bytes, times);
  sum.norm_bias_bytes = SaturatedProduct(layer.norm_bias_bytes, times);
  sum.kv_code_bytes_per_token = SaturatedProduct(layer.kv_code_bytes_per_token, times);
  sum.kv_scale_bytes_per_token = SaturatedProduct(layer.kv_scale_bytes_per_token, times);
  sum.host_bytes = SaturatedProduct(layer.host_bytes, times);
  return sum;
}

Ledger LedgerOf(const Residency& residency, const Demand& demand, int64_t capacity) {
  const int64_t positions =
      SaturatedProduct(demand.users, SaturatedProduct(PagesPerUser(demand.context), kPagePositions));
  Ledger ledger;
  ledger.weight_codes = residency.code_bytes;
  ledger.weight_scales = residency.scale_bytes;
  ledger.norms_biases = residency.norm_bias_bytes;
  ledger.kv_codes = SaturatedProduct(positions, residency.kv_code_bytes_per_token);
  ledger.kv_scales = SaturatedProduct(positions, residency.kv_scale_bytes_per_token);
  ledger.buffers = SaturatedProduct(demand.rows_per_pass, residency.activation_bytes_per_row);
  ledger.capacity = capacity;
  return ledger;
}

int64_t KvBytesPerUser(const Residency& residency, int64_t context) {
  const int64_t per_token = SaturatedSum(residency.kv_code_bytes_per_token, residency.kv_scale_bytes_per_token);
  return SaturatedProduct(SaturatedProduct(PagesPerUser(context), kPagePositions), per_token);
}

std::string FormatLines(const Ledger& ledger) {
  std::vector<std::string> lines;
  const auto add = [&](const char* name, int64_t bytes) {
    if (bytes != 0) lines.push_back(fmt::format("{} {}", name, FormatBytes(bytes)));
  };
  add("weight codes", ledger.weight_codes);
  add("weight scales", ledger.weight_scales);
  add("norms and biases", ledger.norms_biases);
  add("KV codes", ledger.kv_codes);
  add("KV scales", ledger.kv_scales);
  add("buffers", ledger.buffers);
  return fmt::format("{}", fmt::join(lines, ", "));
}

}  // namespace lodestone
