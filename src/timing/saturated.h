// Sums and products of counts that may be absurd (a load of 10¹⁵ positions): they stay at a bound instead of wrapping.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace lodestone {

// More cycles, bytes or steps than any machine has; eight of them still sum in 63 bits.
inline constexpr int64_t kSaturated = int64_t{1} << 60;

// Of numbers that are not negative.
constexpr int64_t Times(int64_t a, int64_t b) {
  int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? kSaturated : std::min(product, kSaturated);
}
template <typename... More>
constexpr int64_t Times(int64_t a, int64_t b, int64_t c, More... more) {
  return Times(Times(a, b), c, more...);
}

constexpr int64_t Plus(int64_t a, int64_t b) { return std::min(a + b, kSaturated); }  // both at most kSaturated

constexpr int64_t CeilDiv(int64_t a, int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }

// Divides by the same number again and again: by a shift where it is a power of two, as the sizes of chips mostly are.
class Divisor {
 public:
  constexpr Divisor() = default;
  constexpr explicit Divisor(int64_t d)
      : d_(d),
        shift_(std::has_single_bit(static_cast<uint64_t>(d)) ? std::countr_zero(static_cast<uint64_t>(d)) : -1) {}
  constexpr int64_t value() const { return d_; }
  constexpr int64_t Floor(int64_t a) const { return shift_ >= 0 ? a >> shift_ : a / d_; }  // a ≥ 0
  constexpr int64_t Ceil(int64_t a) const { return Floor(a + d_ - 1); }                    // a ≤ kSaturated

 private:
  int64_t d_ = 1;
  int shift_ = 0;
};

// Of `total` things dealt to `parts` in turn, how many part `index` gets: the first parts get one more.
constexpr int64_t ShareOf(int64_t total, int64_t parts, int64_t index) {
  return total / parts + (index < total % parts ? 1 : 0);
}

}  // namespace lodestone
