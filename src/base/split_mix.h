// The one bijection that hashes and random streams are made of: SplitMix64 (G. Steele, D. Lea and C. Flood, Fast
// splittable pseudorandom number generators, OOPSLA 2014).
#pragma once

#include <cstdint>

namespace lodestone {

// 2^64 / golden ratio, odd: consecutive counters lie far apart.
inline constexpr uint64_t kSplitMixGamma = 0x9e3779b97f4a7c15;

// The finaliser: every input bit flips every output bit with probability near one half. Zero is a fixed point.
constexpr uint64_t SplitMixFinal(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// A step of the generator from state `x`; zero is not a fixed point.
constexpr uint64_t Mix(uint64_t x) { return SplitMixFinal(x + kSplitMixGamma); }

}  // namespace lodestone
