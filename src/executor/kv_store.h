// The bytes of K and V: pages of 64 positions for every layer of a stage.
//
// A page of a layer holds, for each KV head, a block of K, one of V (layout: kernels/kv_layout.h) and for integer
// formats 64 scales of each, so that one head's part of a page is contiguous.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "kernels/kernel_table.h"
#include "numerics/format.h"
#include "numerics/packed_matrix.h"

namespace lodestone {

kernels::KvCode KernelKvCode(Code code);

class KvStore {
 public:
  static constexpr int kPageTokens = kernels::kBlockTokens;

  // kInfeasible, with the bytes, where the host refuses the memory.
  static Result<KvStore> Make(int layers, int kv_heads, int head_dim, const Format& format, int pages);
  KvStore() = default;  // of a stage without attention

  // What one head of one page holds, writable.
  struct Block {
    std::byte* k;
    std::byte* v;
    float* k_scales;  // null for floating point
    float* v_scales;
  };
  Block At(int layer, int32_t page, int head);
  // All layers and heads of a page.
  void Copy(int32_t from, int32_t to);
  int pages() const { return pages_; }
  int64_t bytes() const;

 private:
  int64_t key_bytes_ = 0, value_bytes_ = 0, head_bytes_ = 0, page_bytes_ = 0;
  int pages_ = 0;
  bool scaled_ = false;
  std::vector<AlignedBuffer> layers_;
};

}  // namespace lodestone
