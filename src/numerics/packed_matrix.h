// The one packed layout of a weight matrix W[n][k] (n outputs, k inputs), read by every instruction set.
//
// Outputs come in panels of 16 (a 512-bit register of f32 accumulators); n is rounded up to 16 with zero rows. Inside a
// panel the inputs run slowest, so that a kernel streams one contiguous run of memory per panel:
//
//   f32   [panel][k][16]                 4 B a weight
//   bf16  [panel][k/2][16][2]            pairs of inputs side by side, as bf16 dot products and AMX want them
//   int8  [panel][k/4][16][4]            quadruples side by side: one 32-bit lane of VNNI and AMX; stored as code + 128
//   int4  [panel][k/8][16][4 B]          byte j of a lane holds input 8g+j in its low and 8g+4+j in its high nibble, so
//   that one
//                                        AND and one shift yield two int8 vectors in the layout above; stored as code +
//                                        8
//
// k is rounded up to 64 with zero codes for integers (an AMX tile is 64 bytes deep), to 2 for bf16.
// Offset binary (code + 8, code + 128) makes a weight the unsigned operand of u8·s8 dot products; the kernel
// subtracts offset × Σ activation codes. With |codes| ≤ 127 the sum 255 × 127 × k stays in int32 for k ≤ kMaxK.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "numerics/format.h"

namespace lodestone {

inline constexpr int kPanel = 16;  // outputs a panel
inline constexpr int kKStep = 64;  // inputs are rounded up to this for integer codes
inline constexpr int kMaxK = 65536;
static_assert(255LL * 127 * kMaxK < (1LL << 31));

// 64-byte aligned memory, huge pages advised for large sizes, zero-filled. Size 0 where the system refuses the memory.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t bytes);
  AlignedBuffer(AlignedBuffer&&) noexcept = default;
  AlignedBuffer& operator=(AlignedBuffer&&) noexcept = default;

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t size_ = 0;
};

struct PackedMatrix {
  Format format;        // code f32, bf16, int8 or int4; scales none, channel or group
  int n = 0, k = 0;     // as given, without padding
  AlignedBuffer codes;  // the layout above
  AlignedBuffer
      scales;  // f32 [panels × 16]: value of output o = scales[o] × Σ multiplier × code × x. Empty for f32, bf16
  AlignedBuffer multipliers;  // u8 [panel][k_padded / group, rounded up][16]. Empty unless scales are kGroup

  int panels() const { return (n + kPanel - 1) / kPanel; }
  int padded_k() const;
  int64_t panel_bytes() const;  // bytes of codes of one panel
};

// Fills `row` (k values) with row `o` of the matrix.
using RowReader = std::function<Status(int o, std::span<float> row)>;

// Rounds to nearest even at the channel's (or group's) largest magnitude and packs. Refuses k > kMaxK and non-finite
// weights, naming output and input, and formats other than f32, bf16, int8·channel, int4·channel and int4·group. A zero
// channel (or one whose scale would be subnormal) has scale 0 and codes 0. Two-level scales: with s_g = max|w_g| / 7
// and s = max s_g / 18, multiplier m_g = clamp(round(s_g / s), 1, 18) and code = clamp(round(w / (m_g s)), ±7). The
// last group may be partial; groups that only pad have multiplier 1. Safe to call from several threads on several
// matrices.
Result<PackedMatrix> Pack(const Format& format, int n, int k, const RowReader& read_row);

// The value that weight (o, i) has after packing: code × multiplier × scale. For the reference and for tests.
float UnpackedValue(const PackedMatrix& matrix, int o, int i);
// The int8 that the matmul consumes: code × multiplier. Integer formats only.
int UnpackedCode(const PackedMatrix& matrix, int o, int i);

}  // namespace lodestone
