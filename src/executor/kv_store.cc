#include "executor/kv_store.h"

#include <fmt/format.h>

#include <cstring>

#include "base/units.h"
#include "kernels/kv_layout.h"

namespace lodestone {

kernels::KvCode KernelKvCode(Code code) {
  switch (code) {
    case Code::kF32:
      return kernels::KvCode::kF32;
    case Code::kInt8:
      return kernels::KvCode::kInt8;
    case Code::kInt4:
      return kernels::KvCode::kInt4;
    default:
      return kernels::KvCode::kBf16;
  }
}

Result<KvStore> KvStore::Make(int layers, int kv_heads, int head_dim, const Format& format, int pages) {
  KvStore store;
  store.pages_ = pages;
  store.scaled_ = IsInteger(format.code);
  store.key_bytes_ = kernels::KeyBlockBytes(KernelKvCode(format.code), head_dim);
  store.value_bytes_ = kernels::ValueBlockBytes(KernelKvCode(format.code), head_dim);
  const int64_t scales = store.scaled_ ? int64_t{kPageTokens} * 4 : 0;
  store.head_bytes_ = store.key_bytes_ + store.value_bytes_ + 2 * scales;
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
  Block block{.k = base, .v = base + key_bytes_, .k_scales = nullptr, .v_scales = nullptr};
  if (scaled_) {
    block.k_scales = reinterpret_cast<float*>(block.v + value_bytes_);
    block.v_scales = block.k_scales + kPageTokens;
  }
  return block;
}

void KvStore::Copy(int32_t from, int32_t to) {
  if (from == to) return;
  for (AlignedBuffer& layer : layers_) {
    std::memcpy(layer.data() + to * page_bytes_, layer.data() + from * page_bytes_, static_cast<size_t>(page_bytes_));
  }
}

int64_t KvStore::bytes() const { return page_bytes_ * pages_ * static_cast<int64_t>(layers_.size()); }

}  // namespace lodestone
