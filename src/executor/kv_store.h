// The bytes of K and V: pages of 64 positions for every layer of a stage.
//
// A page of a layer holds, for each KV head, K [64][d], V [64][d] and for integer formats 64 scales of each, so that
// one head's part of a page is contiguous. int4 codes are held one a byte.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "kernels/kernel_table.h"
#include "numerics/format.h"
#include "numerics/packed_matrix.h"

namespace lodestone {

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
  int element_bytes() const { return element_bytes_; }
  int pages() const { return pages_; }
  int64_t bytes() const;

 private:
  int64_t head_bytes_ = 0, page_bytes_ = 0;
  int head_dim_ = 0, element_bytes_ = 0, pages_ = 0;
  bool scaled_ = false;
  std::vector<AlignedBuffer> layers_;
};

}  // namespace lodestone
