// AVX2, AVX-512 and AMX in assembly alone. A compiler moves, merges and spills what it is free to, and then it is not
// the unit that is measured; and written so, the file needs no instruction-set flags.
#include "lab/limits/probes.h"

namespace lodestone::limits {
namespace {

#define LODESTONE_VECTOR_REGISTERS                                                                                    \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", \
      "xmm14", "xmm15"

// Eight loads a turn, each into a register of its own; two a cycle from L1, and the prefetchers' business beyond.
uint64_t ReadAvx2(const std::byte* data, size_t bytes) {
  uint64_t result;
  asm volatile(
      ".irp r, 0,1,2,3,4,5,6,7\n"
      "vpxor %%xmm\\r, %%xmm\\r, %%xmm\\r\n"
      ".endr\n"
      "1:\n"
      ".irp r, 0,1,2,3,4,5,6,7\n"
      "vpor 32*\\r(%[data]), %%ymm\\r, %%ymm\\r\n"
      ".endr\n"
      "add $256, %[data]\n"
      "sub $256, %[bytes]\n"
      "jnz 1b\n"
      ".irp r, 1,2,3,4,5,6,7\n"
      "vpor %%ymm\\r, %%ymm0, %%ymm0\n"
      ".endr\n"
      "vextracti128 $1, %%ymm0, %%xmm1\n"
      "vpor %%xmm1, %%xmm0, %%xmm0\n"
      "vpshufd $0x4e, %%xmm0, %%xmm1\n"
      "vpor %%xmm1, %%xmm0, %%xmm0\n"
      "vmovq %%xmm0, %[result]\n"
      "vzeroupper\n"
      : [result] "=r"(result), [data] "+r"(data), [bytes] "+r"(bytes)
      :
      : "cc", "memory", LODESTONE_VECTOR_REGISTERS);
  return result;
}

uint64_t ReadAvx512(const std::byte* data, size_t bytes) {
  uint64_t result;
  asm volatile(
      ".irp r, 0,1,2,3,4,5,6,7\n"
      "vpxor %%xmm\\r, %%xmm\\r, %%xmm\\r\n"
      ".endr\n"
      "1:\n"
      ".irp r, 0,1,2,3,4,5,6,7\n"
      "vporq 64*\\r(%[data]), %%zmm\\r, %%zmm\\r\n"
      ".endr\n"
      "add $512, %[data]\n"
      "sub $512, %[bytes]\n"
      "jnz 1b\n"
      ".irp r, 1,2,3,4,5,6,7\n"
      "vporq %%zmm\\r, %%zmm0, %%zmm0\n"
      ".endr\n"
      "vextracti64x4 $1, %%zmm0, %%ymm1\n"
      "vpor %%ymm1, %%ymm0, %%ymm0\n"
      "vextracti128 $1, %%ymm0, %%xmm1\n"
      "vpor %%xmm1, %%xmm0, %%xmm0\n"
      "vpshufd $0x4e, %%xmm0, %%xmm1\n"
      "vpor %%xmm1, %%xmm0, %%xmm0\n"
      "vmovq %%xmm0, %[result]\n"
      "vzeroupper\n"
      : [result] "=r"(result), [data] "+r"(data), [bytes] "+r"(bytes)
      :
      : "cc", "memory", LODESTONE_VECTOR_REGISTERS);
  return result;
}

// Ten independent sums: latency 4 or 5 cycles, two a cycle. All values are zero, which no unit is faster at.
void MultiplyF32Avx2(int64_t rounds) {
  asm volatile(
      ".irp r, 0,1,2,3,4,5,6,7,8,9,15\n"
      "vpxor %%xmm\\r, %%xmm\\r, %%xmm\\r\n"
      ".endr\n"
      "1:\n"
      ".irp r, 0,1,2,3,4,5,6,7,8,9\n"
      "vfmadd231ps %%ymm15, %%ymm15, %%ymm\\r\n"
      ".endr\n"
      "dec %[rounds]\n"
      "jnz 1b\n"
      "vzeroupper\n"
      : [rounds] "+r"(rounds)
      :
      : "cc", LODESTONE_VECTOR_REGISTERS);
}

// The steady state of int8·int4 in kernels/avx2 without its loads: 32 inputs of 8 outputs for each of 4 rows in 16 bits
// (ymm0 to 3), then widened to 32 bits (ymm4 to 7). ymm8 are weights, ymm9 to 12 the rows, ymm13 ones.
void MultiplyInt8Avx2(int64_t rounds) {
  asm volatile(
      ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13\n"
      "vpxor %%xmm\\r, %%xmm\\r, %%xmm\\r\n"
      ".endr\n"
      "1:\n"
      "vpmaddubsw %%ymm9, %%ymm8, %%ymm0\n"
      "vpmaddubsw %%ymm10, %%ymm8, %%ymm1\n"
      "vpmaddubsw %%ymm11, %%ymm8, %%ymm2\n"
      "vpmaddubsw %%ymm12, %%ymm8, %%ymm3\n"
      ".rept 7\n"
      "vpmaddubsw %%ymm9, %%ymm8, %%ymm14\n"
      "vpaddw %%ymm14, %%ymm0, %%ymm0\n"
      "vpmaddubsw %%ymm10, %%ymm8, %%ymm15\n"
      "vpaddw %%ymm15, %%ymm1, %%ymm1\n"
      "vpmaddubsw %%ymm11, %%ymm8, %%ymm14\n"
      "vpaddw %%ymm14, %%ymm2, %%ymm2\n"
      "vpmaddubsw %%ymm12, %%ymm8, %%ymm15\n"
      "vpaddw %%ymm15, %%ymm3, %%ymm3\n"
      ".endr\n"
      "vpmaddwd %%ymm13, %%ymm0, %%ymm14\n"
      "vpaddd %%ymm14, %%ymm4, %%ymm4\n"
      "vpmaddwd %%ymm13, %%ymm1, %%ymm15\n"
      "vpaddd %%ymm15, %%ymm5, %%ymm5\n"
      "vpmaddwd %%ymm13, %%ymm2, %%ymm14\n"
      "vpaddd %%ymm14, %%ymm6, %%ymm6\n"
      "vpmaddwd %%ymm13, %%ymm3, %%ymm15\n"
      "vpaddd %%ymm15, %%ymm7, %%ymm7\n"
      "dec %[rounds]\n"
      "jnz 1b\n"
      "vzeroupper\n"
      : [rounds] "+r"(rounds)
      :
      : "cc", LODESTONE_VECTOR_REGISTERS);
}

void MultiplyF32Avx512(int64_t rounds) {
  asm volatile(
      ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,15\n"
      "vpxor %%xmm\\r, %%xmm\\r, %%xmm\\r\n"
      ".endr\n"
      "1:\n"
      ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11\n"
      "vfmadd231ps %%zmm15, %%zmm15, %%zmm\\r\n"
      ".endr\n"
      "dec %[rounds]\n"
      "jnz 1b\n"
      "vzeroupper\n"
      : [rounds] "+r"(rounds)
      :
      : "cc", LODESTONE_VECTOR_REGISTERS);
}

void MultiplyInt8Avx512(int64_t rounds) {
  asm volatile(
      ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,15\n"
      "vpxor %%xmm\\r, %%xmm\\r, %%xmm\\r\n"
      ".endr\n"
      "1:\n"
      ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11\n"
      "vpdpbusd %%zmm15, %%zmm15, %%zmm\\r\n"
      ".endr\n"
      "dec %[rounds]\n"
      "jnz 1b\n"
      "vzeroupper\n"
      : [rounds] "+r"(rounds)
      :
      : "cc", LODESTONE_VECTOR_REGISTERS);
}

// Palette 1: eight tiles of 16 rows of 64 bytes.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

// Tiles 0 to 3 are sums: a product takes 16 cycles of the unit and 52 until its sum can be used again. The operand is
// all 64 bytes of the configuration, which clears the tiles too.
void MultiplyInt8Amx(int64_t rounds) {
  const TileConfig config;
  asm volatile(
      "ldtilecfg %[config]\n"
      "1:\n"
      "tdpbssd %%tmm6, %%tmm4, %%tmm0\n"
      "tdpbssd %%tmm7, %%tmm4, %%tmm1\n"
      "tdpbssd %%tmm6, %%tmm5, %%tmm2\n"
      "tdpbssd %%tmm7, %%tmm5, %%tmm3\n"
      "dec %[rounds]\n"
      "jnz 1b\n"
      "tilerelease\n"
      : [rounds] "+r"(rounds)
      : [config] "m"(config)
      : "cc");
}

void MultiplyBf16Amx(int64_t rounds) {
  const TileConfig config;
  asm volatile(
      "ldtilecfg %[config]\n"
      "1:\n"
      "tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n"
      "tdpbf16ps %%tmm7, %%tmm4, %%tmm1\n"
      "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\n"
      "tdpbf16ps %%tmm7, %%tmm5, %%tmm3\n"
      "dec %[rounds]\n"
      "jnz 1b\n"
      "tilerelease\n"
      : [rounds] "+r"(rounds)
      : [config] "m"(config)
      : "cc");
}

}  // namespace

const ReadFn kReadAvx2 = ReadAvx2;
const ReadFn kReadAvx512 = ReadAvx512;
const UnitProbe kF32Avx2 = {MultiplyF32Avx2, 10 * 8 * 2.0};
const UnitProbe kInt8Avx2 = {MultiplyInt8Avx2, 4 * 8 * 32 * 2.0};
const UnitProbe kF32Avx512 = {MultiplyF32Avx512, 12 * 16 * 2.0};
const UnitProbe kInt8Avx512 = {MultiplyInt8Avx512, 12 * 64 * 2.0};
const UnitProbe kInt8Amx = {MultiplyInt8Amx, 4 * 16 * 16 * 64 * 2.0};
const UnitProbe kBf16Amx = {MultiplyBf16Amx, 4 * 16 * 16 * 32 * 2.0};

}  // namespace lodestone::limits
