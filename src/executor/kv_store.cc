#include "executor/kv_store.h"

namespace lodestone {

KvStore::KvStore(int layers, int kv_heads, int head_dim, const Format& format, int pages)
    : head_dim_(head_dim),
      element_bytes_(IsInteger(format.code) ? 1 : BitsOf(format.code) / 8),
      pages_(pages),
      scaled_(IsInteger(format.code)) {
  const int64_t values = int64_t{kPageTokens} * head_dim * element_bytes_;
  const int64_t scales = scaled_ ? int64_t{kPageTokens} * 4 : 0;
  head_bytes_ = (2 * values + 2 * scales + 63) / 64 * 64;
  page_bytes_ = head_bytes_ * kv_heads;
  for (int layer = 0; layer < layers; ++layer) layers_.emplace_back(static_cast<size_t>(page_bytes_ * pages));
}

KvStore::Block KvStore::At(int layer, int32_t page, int head) {
  std::byte* base = layers_[layer].data() + page * page_bytes_ + head * head_bytes_;
  const int64_t values = int64_t{kPageTokens} * head_dim_ * element_bytes_;
  Block block{.k = base, .v = base + values, .k_scales = nullptr, .v_scales = nullptr};
  if (scaled_) {
    block.k_scales = reinterpret_cast<float*>(base + 2 * values);
    block.v_scales = block.k_scales + kPageTokens;
  }
  return block;
}

int64_t KvStore::bytes() const { return page_bytes_ * pages_ * static_cast<int64_t>(layers_.size()); }

}  // namespace lodestone
