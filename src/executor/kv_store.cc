#include "executor/kv_store.h"

#include <fmt/format.h>

#include "base/units.h"

namespace lodestone {

Result<KvStore> KvStore::Make(int layers, int kv_heads, int head_dim, const Format& format, int pages) {
  KvStore store;
  store.head_dim_ = head_dim;
  store.element_bytes_ = IsInteger(format.code) ? 1 : BitsOf(format.code) / 8;
  store.pages_ = pages;
  store.scaled_ = IsInteger(format.code);
  const int64_t values = int64_t{kPageTokens} * head_dim * store.element_bytes_;
  const int64_t scales = store.scaled_ ? int64_t{kPageTokens} * 4 : 0;
  store.head_bytes_ = (2 * values + 2 * scales + 63) / 64 * 64;
  store.page_bytes_ = store.head_bytes_ * kv_heads;
  const auto layer_bytes = static_cast<size_t>(store.page_bytes_ * pages);
  for (int layer = 0; layer < layers; ++layer) {
    store.layers_.emplace_back(layer_bytes);
    if (store.layers_.back().size() < layer_bytes) {
      return Infeasible(
          fmt::format("the host refuses {} of memory for the KV of {} pages in {} layers; fewer users or a "
                      "shorter context need less",
                      FormatBytes(static_cast<int64_t>(layer_bytes) * layers), pages, layers));
    }
  }
  return store;
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
