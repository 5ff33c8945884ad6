#include "base/units.h"

#include <fmt/format.h>

#include <cmath>

namespace lodestone {
namespace {

// The decimals that show a value of this size with three significant digits: 2 for 1.23, 0 for 123, 4 for 0.0123.
// The size is taken after rounding, so that 9.999 counts as 10.0.
int DecimalsForThreeDigits(double magnitude) {
  const std::string rounded = fmt::format("{:.2e}", magnitude);
  const int exponent = std::stoi(rounded.substr(rounded.find('e') + 1));
  return exponent >= 2 ? 0 : 2 - exponent;
}

std::string Grouped(double magnitude) {
  const std::string digits = fmt::format("{:.0f}", magnitude);
  std::string grouped;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

// A finite value that is not negative.
std::string FormatMagnitude(double magnitude) {
  if (magnitude == 0) return "0";
  if (magnitude < 1e-3 || magnitude >= 1e15) return fmt::format("{:.2e}", magnitude);
  if (magnitude >= 999.5) return Grouped(magnitude);
  if (magnitude == std::floor(magnitude)) return fmt::format("{:.0f}", magnitude);
  return fmt::format("{:.{}f}", magnitude, DecimalsForThreeDigits(magnitude));
}

}  // namespace

std::string FormatBytes(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes > -kKiB && bytes < kKiB) return fmt::format("{} B", bytes);
  double value = std::abs(static_cast<double>(bytes));
  size_t unit = 0;
  // 1023.95 would be shown as 1024.0 of the smaller unit.
  while (value >= 1023.95 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{}{:.1f} {}", bytes < 0 ? "-" : "", value, kUnits[unit]);
}

std::string FormatSeconds(double seconds) {
  if (!std::isfinite(seconds)) return fmt::format("{} s", seconds);
  if (seconds < 0) return fmt::format("-{}", FormatSeconds(-seconds));
  if (seconds == 0) return "0 s";
  struct Unit {
    double from_s, scale;
    const char* name;
  };
  // Each unit starts where the unit below it would round up to four digits; milliseconds reach down to 0.1 ms, because
  // times a token are compared in them.
  constexpr Unit kUnits[] = {{0.9995, 1, "s"}, {0.99949e-4, 1e3, "ms"}, {0.9995e-6, 1e6, "µs"}, {0.9995e-9, 1e9, "ns"}};
  for (const Unit& unit : kUnits) {
    if (seconds < unit.from_s) continue;
    const double value = seconds * unit.scale;
    if (value >= 999.5) return fmt::format("{} {}", Grouped(value), unit.name);
    return fmt::format("{:.{}f} {}", value, DecimalsForThreeDigits(value), unit.name);
  }
  return fmt::format("{} ps", FormatMagnitude(seconds * 1e12));
}

std::string FormatNumber(double value) {
  if (!std::isfinite(value)) return fmt::format("{}", value);
  return fmt::format("{}{}", value < 0 ? "-" : "", FormatMagnitude(std::abs(value)));
}

}  // namespace lodestone
