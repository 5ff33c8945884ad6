// Physical quantities whose unit must not be guessed: virtual time, bytes.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <string>

namespace lodestone {

// A point on, or a span of, a timeline in integer picoseconds: sums are exact and order-free, so a simulation gives the
// same result on every machine. The range is ±106 days.
struct Time {
  int64_t ps = 0;

  static constexpr Time Seconds(double s) { return {static_cast<int64_t>(s * 1e12 + (s < 0 ? -0.5 : 0.5))}; }
  constexpr double seconds() const { return static_cast<double>(ps) * 1e-12; }

  friend constexpr Time operator+(Time a, Time b) { return {a.ps + b.ps}; }
  friend constexpr Time operator-(Time a, Time b) { return {a.ps - b.ps}; }
  constexpr Time& operator+=(Time other) {
    ps += other.ps;
    return *this;
  }
  friend constexpr auto operator<=>(Time, Time) = default;
};

// Energy in integer picojoules, so that the parts of a sum are the sum. The range is ±9.2 MJ, a card for days; sums
// beyond it stay at its end.
struct Energy {
  int64_t pj = 0;

  static constexpr Energy Joules(double j) { return {static_cast<int64_t>(j * 1e12 + (j < 0 ? -0.5 : 0.5))}; }
  constexpr double joules() const { return static_cast<double>(pj) * 1e-12; }

  friend constexpr Energy operator+(Energy a, Energy b) {
    int64_t sum = 0;
    if (!__builtin_add_overflow(a.pj, b.pj, &sum)) return {sum};
    return {b.pj > 0 ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::min()};
  }
  constexpr Energy& operator+=(Energy other) { return *this = *this + other; }
  friend constexpr auto operator<=>(Energy, Energy) = default;
};

inline constexpr int64_t kKiB = int64_t{1} << 10;
inline constexpr int64_t kMiB = int64_t{1} << 20;
inline constexpr int64_t kGiB = int64_t{1} << 30;

// "104.0 MiB", "1.9 GiB", "512 B".
std::string FormatBytes(int64_t bytes);
// "0.987 ms", "1.01 s", "70.5 µs": three significant digits.
std::string FormatSeconds(double seconds);
// "28,356", "1.23", "8.06e-08": grouped above 1,000, otherwise three significant digits.
std::string FormatNumber(double value);

}  // namespace lodestone
