// The layout of K and V in a block of 64 positions of one head: what attention kernels read and a KV store writes.
//
// In both products of attention the summed index runs slowest, in words of 32 bits that hold as many terms as fit, so
// that a vector holds 16 results and one lane of a dot-product instruction (VNNI, AMX) holds terms of one result:
//
//   K  q · k sums over elements d, 64 results a block        V  Σ p v sums over tokens t, one result a column d
//   f32   [d][64 tokens]                                     [64 t][columns]
//   bf16  [d/2][64][2]                                       [64/2][columns][2]
//   int8  [d/4][64][4]                                       [64/4][columns][4]
//   int4  [d/8][64][4 B]: byte j of a word holds elements    [64/4][columns/2][4 B]: word 16 i + c holds columns
//         8g+j in its low and 8g+4+j in its high nibble      32 i + c in its low and 32 i + 16 + c in its high nibbles
//
// int8 is stored as it is, int4 as code + 8. A byte belongs to one token alone, so threads may store different tokens
// at the same time. Elements of K are rounded up to whole words, columns of V to 16 (int4: 32); what pads may be
// anything. The int8 K is, at a stride of 256 bytes, the B operand of AMX tiles of 16 tokens × 64 elements.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernel_table.h"

namespace lodestone::kernels {

int64_t KeyBlockBytes(KvCode code, int head_dim);    // of K, a multiple of 64
int64_t ValueBlockBytes(KvCode code, int head_dim);  // of V, a multiple of 64

// Writes one token (0..63) of a block. `values` are head_dim f32, bf16 or int8 codes (±7 for kInt4).
void StoreKey(KvCode code, int head_dim, int token, const void* values, std::byte* k);
void StoreValue(KvCode code, int head_dim, int token, const void* values, std::byte* v);

}  // namespace lodestone::kernels
