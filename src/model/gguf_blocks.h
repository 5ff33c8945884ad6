// How a GGUF tensor stores values: blocks that share scales, expanded to f32. Private to model/.
//
// Each expansion is exact or rounded once: a scale (f16, 11 bits) times an integer scale (up to 8 bits) times a code
// (up to 6 bits) fits an f32's 24 bits, so only the subtraction or addition of an offset rounds, and no order of
// evaluation gives other bits. The formats are defined by `ggml-common.h` and `ggml-quants.c` of ggml.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace lodestone {

struct GgufCode {
  uint32_t id;           // as the file writes it
  const char* name;      // "Q4_0"
  int64_t block_values;  // consecutive values of a row that form one block; 1 for plain numbers
  int64_t block_bytes;
  // Writes blocks × block_values values; `in` has any alignment.
  void (*expand)(const std::byte* in, int64_t blocks, float* out);
};

// Null where the type is not read.
const GgufCode* FindGgufCode(uint32_t id);
// "Q3_K" for the types that are known but not read, "type 99" for others.
std::string GgufTypeName(uint32_t id);
// "F32, F16, …".
std::string ReadableGgufTypes();

// gguf_plain_blocks.cc
void ExpandF32(const std::byte* in, int64_t values, float* out);
void ExpandF16(const std::byte* in, int64_t values, float* out);
void ExpandBf16(const std::byte* in, int64_t values, float* out);

// gguf_simple_blocks.cc: 32 values with one f16 scale d, and in the _1 types an f16 offset m; little-endian, no
// padding. Value i < 16 is the low half of byte i of `codes`, value i + 16 its high half; bit i of `high` is the fifth
// bit.
//   Q4_0  d, codes[16]                 (q − 8) d           18 bytes
//   Q4_1  d, m, codes[16]              q d + m             20 bytes
//   Q5_0  d, high: u32, codes[16]      (q − 16) d          22 bytes
//   Q5_1  d, m, high: u32, codes[16]   q d + m             24 bytes
//   Q8_0  d, codes: i8[32]             q d                 34 bytes
void ExpandQ4_0(const std::byte* in, int64_t blocks, float* out);
void ExpandQ4_1(const std::byte* in, int64_t blocks, float* out);
void ExpandQ5_0(const std::byte* in, int64_t blocks, float* out);
void ExpandQ5_1(const std::byte* in, int64_t blocks, float* out);
void ExpandQ8_0(const std::byte* in, int64_t blocks, float* out);

// gguf_super_blocks.cc: 256 values in groups with integer scales, which an f16 scale d multiplies.
//   Q4_K  d, dmin, scales[12], codes[128]             8 groups of 32: (d s) q − (dmin m); s and m of 6 bits   144 bytes
//   Q5_K  d, dmin, scales[12], high[32], codes[128]   the same with a fifth bit a code                        176 bytes
//   Q6_K  low[128], high[64], scales: i8[16], d       16 groups of 16: (d s) (q − 32)                         210 bytes
void ExpandQ4_K(const std::byte* in, int64_t blocks, float* out);
void ExpandQ5_K(const std::byte* in, int64_t blocks, float* out);
void ExpandQ6_K(const std::byte* in, int64_t blocks, float* out);

}  // namespace lodestone
