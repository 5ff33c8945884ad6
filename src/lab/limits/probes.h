// Loops that do nothing but read memory or multiply from registers: what one instruction set can reach at most.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lodestone::limits {

// Reads every byte once, front to back; `bytes` is a positive multiple of kReadStep. The result depends on what was
// read, so that nothing is left out.
inline constexpr size_t kReadStep = 1024;
using ReadFn = uint64_t (*)(const std::byte* data, size_t bytes);

// Repeats a fixed group of independent multiply-accumulates, as many as hide their latency; `rounds` ≥ 1.
using UnitFn = void (*)(int64_t rounds);

extern const ReadFn kReadPlain, kReadAvx2, kReadAvx512;

// Each with the operations of a round: a multiplication and an addition are two.
struct UnitProbe {
  UnitFn run;
  double ops_per_round;
};
extern const UnitProbe kF32Avx2, kF32Avx512;
extern const UnitProbe kInt8Avx2;    // vpmaddubsw, sums of 16 bits widened every eighth time as in kernels/avx2
extern const UnitProbe kInt8Avx512;  // vpdpbusd
extern const UnitProbe kInt8Amx;     // tdpbssd; this and the next only after RequestAmxTiles
extern const UnitProbe kBf16Amx;     // tdpbf16ps

}  // namespace lodestone::limits
