// The one hash of the engine: of random keys and of page contents.
#pragma once

#include <cstdint>

namespace lodestone {

// A bijection of 64 bits whose output bits depend on every input bit: the finaliser of SplitMix64 (Steele, Lea and
// Flood, OOPSLA 2014). The increment keeps zero from being a fixed point.
constexpr uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace lodestone
