// The one packed layout of a weight matrix W[n][k] (n outputs, k inputs), read by every instruction set.
//
// Outputs come in panels of 16 (a 512-bit register of f32 accumulators); n is rounded up to 16 with zero rows. Inside a
// panel the inputs run slowest, so that a kernel streams one contiguous run of memory per panel:
//
//   f32   [panel][k][16]                 4 B a weight
//   bf16  [panel][k/2][16][2]            pairs of inputs side by side, as bf16 dot products and AMX want them
//   int8  [panel][k/4][16][4]            quadruples side by side: one 32-bit lane of VNNI and AMX; stored as code + 128
//   int4  [panel][k/8][16][4 B]          byte j of a lane holds input 8g+j in its low and 8g+4+j in its high
//                                        nibble, so that one AND and one shift yield two int8 vectors in the layout
//                                        above; stored as code + 8
//
// k is rounded up to 64 with zero codes for integers (an AMX tile is 64 bytes deep), to 2 for bf16.
// Offset binary (code + 8, code + 128) makes a weight the unsigned operand of u8·s8 dot products; the kernel
// subtracts offset × Σ activation codes. With |codes| ≤ 127 the sum 255 × 127 × k stays in int32 for k ≤ kMaxK.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "base/status.h"
#include "numerics/aligned_buffer.h"
#include "numerics/format.h"
#include "numerics/quantized_row.h"

namespace lodestone {

inline constexpr int kPanel = 16;  // outputs a panel
inline constexpr int kKStep = 64;  // inputs are rounded up to this for integer codes
inline constexpr int kMaxK = 65536;
static_assert(255LL * 127 * kMaxK < (1LL << 31));

// The sizes of a packed matrix, wherever its bytes lie.
struct PackedShape {
  Format format;     // code f32, bf16, int8 or int4; scales none, channel or group
  int n = 0, k = 0;  // as given, without padding

  int panels() const { return (n + kPanel - 1) / kPanel; }
  int padded_k() const;
  int groups() const;                      // of a row, padding included; 0 unless scales are kGroup
  int64_t panel_bytes() const;             // bytes of codes of one panel
  int64_t panel_scale_bytes() const;       // 64, or 0 for f32 and bf16
  int64_t panel_multiplier_bytes() const;  // 16 a group
};

struct PackedMatrix : PackedShape {
  AlignedBuffer codes;        // the layout above
  AlignedBuffer scales;       // f32 [panels][16]: value of output o = scales[o] × Σ multiplier × code × x; or empty
  AlignedBuffer multipliers;  // u8 [panel][k_padded / group, rounded up][16]; empty unless scales are kGroup

  int64_t bytes() const { return static_cast<int64_t>(codes.size() + scales.size() + multipliers.size()); }
};

// Bytes in the same layout that somebody else holds, such as a file; they need no alignment.
struct PackedView : PackedShape {
  PackedView(const PackedShape& shape, const std::byte* code_bytes, const std::byte* scale_bytes,
             const std::byte* multiplier_bytes)
      : PackedShape(shape), codes(code_bytes), scales(scale_bytes), multipliers(multiplier_bytes) {}
  PackedView(const PackedMatrix& matrix)  // NOLINT(google-explicit-constructor)
      : PackedView(matrix, matrix.codes.data(), matrix.scales.data(), matrix.multipliers.data()) {}

  const std::byte *codes, *scales, *multipliers;
};

// Fills `row` (k values) with row `o` of the matrix.
using RowReader = std::function<Status(int o, std::span<float> row)>;
// Fills `row` with the codes of row `o`.
using CodeReader = std::function<Status(int o, QuantizedRow& row)>;

// Refuses k > kMaxK, and formats other than f32, bf16, int8·channel, int4·channel and int4·group.
Status CheckPackedShape(const PackedShape& shape);

// A matrix whose panels are to be filled, each exactly once and different ones from any number of threads, so that its
// memory is first touched by the threads that will use it. kInfeasible where the system refuses the memory.
Result<PackedMatrix> AllocatePacked(const PackedShape& shape);
// Panels [begin, end) from rows, rounded by RoundRow. Refuses non-finite weights, naming output and input.
Status PackPanels(int begin, int end, const RowReader& read_row, PackedMatrix& matrix);
// Panels [begin, end) from codes made elsewhere, checked by CheckQuantizedRow. Integer formats only.
Status PackCodePanels(int begin, int end, const CodeReader& read_codes, PackedMatrix& matrix);

// The whole matrix in the calling thread. PackCodes of RoundRow's rows equals Pack.
Result<PackedMatrix> Pack(const Format& format, int n, int k, const RowReader& read_row);
Result<PackedMatrix> PackCodes(const Format& format, int n, int k, const CodeReader& read_codes);

// Row `o` as it was packed, without padding: codes of an integer format, or values of any.
void UnpackCodes(const PackedView& matrix, int o, QuantizedRow& out);
void UnpackRow(const PackedView& matrix, int o, std::span<float> out);
// The value that weight (o, i) has after packing: code × multiplier × scale. For the reference and for tests.
float UnpackedValue(const PackedView& matrix, int o, int i);
// The int8 that the matmul consumes: code × multiplier. Integer formats only.
int UnpackedCode(const PackedView& matrix, int o, int i);

// Refuses bytes that no Pack writes, in whole panels of codes and multipliers as read from a file: an integer code
// beyond ±MaxCode, a multiplier outside 1..18, a scale that is negative or not finite. Kernels rely on all three.
Status CheckPackedCodes(const Format& format, std::span<const std::byte> codes);
Status CheckMultipliers(std::span<const std::byte> multipliers);
Status CheckScales(std::span<const std::byte> scales);

}  // namespace lodestone
