#include "report/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lodestone {
namespace {

constexpr int kMaxTicks = 50;

// 10^n, exact where a double can be.
double Power10(int exponent) { return std::pow(10.0, exponent); }

// The smallest of 1, 2, 5 × 10^n that is not below `value`.
double NiceAbove(double value) {
  const int exponent = static_cast<int>(std::floor(std::log10(value)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * Power10(exponent) >= value * (1 - 1e-9)) return factor * Power10(exponent);
  }
  return Power10(exponent + 1);
}

AxisTicks LinearTicks(double low, double high, int target) {
  AxisTicks axis{.scale = Scale::kLinear, .low = low, .high = high, .step = 0, .labelled = {}, .minor = {}};
  axis.step = NiceAbove((high - low) / std::max(1, target));
  const double first = std::floor(low / axis.step + 1e-9), last = std::ceil(high / axis.step - 1e-9);
  for (int i = 0; i <= std::min<double>(kMaxTicks, last - first); ++i) axis.labelled.push_back((first + i) * axis.step);
  axis.low = axis.labelled.front();
  axis.high = axis.labelled.back();
  return axis;
}

AxisTicks LogTicks(double low, double high, int target) {
  AxisTicks axis{.scale = Scale::kLog, .low = low, .high = high, .step = 0, .labelled = {}, .minor = {}};
  const int first = static_cast<int>(std::floor(std::log10(low) + 1e-9));
  const int last = static_cast<int>(std::ceil(std::log10(high) - 1e-9));
  const int every = std::max(1, (last - first) / std::max(1, target) + ((last - first) % std::max(1, target) ? 1 : 0));
  const bool between = high <= low * 1e3;  // so few decades that 2 and 5 are labelled too
  // The range ends at the labelled ticks around the data.
  axis.low = Power10(first);
  axis.high = Power10(std::max(last, first + 1));
  if (between) {
    for (int decade = first; decade <= last; ++decade) {
      for (const double factor : {1.0, 2.0, 5.0}) {
        const double tick = factor * Power10(decade);
        if (tick <= low * (1 + 1e-9)) axis.low = std::max(axis.low, tick);
        if (tick >= high * (1 - 1e-9)) axis.high = std::min(axis.high, tick);
      }
    }
  }
  for (int decade = first; decade <= last; ++decade) {
    for (int factor = 1; factor < 10; ++factor) {
      const double tick = factor * Power10(decade);
      if (tick < axis.low * (1 - 1e-9) || tick > axis.high * (1 + 1e-9)) continue;
      const bool label = factor == 1 ? (decade - first) % every == 0 : between && (factor == 2 || factor == 5);
      if (label) {
        axis.labelled.push_back(tick);
      } else if (every == 1) {
        axis.minor.push_back(tick);
      }
    }
  }
  return axis;
}

std::string Superscript(int exponent) {
  constexpr const char* kDigits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string out = exponent < 0 ? "⁻" : "";
  for (const char c : std::to_string(std::abs(exponent))) out += kDigits[c - '0'];
  return out;
}

std::string Grouped(const std::string& number) {
  const size_t begin = number[0] == '-' ? 1 : 0;
  const size_t point = std::min(number.find('.'), number.size());
  std::string out = number.substr(0, begin);
  for (size_t i = begin; i < point; ++i) {
    if (i > begin && (point - i) % 3 == 0) out += ',';
    out += number[i];
  }
  return out + number.substr(point);
}

std::string Scientific(double value) {
  int exponent = static_cast<int>(std::floor(std::log10(std::abs(value)) + 1e-9));
  const double factor = value / Power10(exponent);
  const std::string power = "10" + Superscript(exponent);
  return std::abs(factor - 1) < 1e-6 ? power : fmt::format("{:.3g}×{}", factor, power);
}

}  // namespace

double AxisTicks::At(double value) const {
  if (scale == Scale::kLinear) return (value - low) / (high - low);
  return std::log(value / low) / std::log(high / low);
}

AxisTicks TicksFor(Scale scale, double low, double high, int target) {
  if (!std::isfinite(low) || !std::isfinite(high)) low = high = 1;
  if (low > high) std::swap(low, high);
  if (scale == Scale::kLog) {
    constexpr double kSmallest = 1e-300, kLargest = 1e300;
    if (high <= 0) high = 1;
    if (low <= 0) low = high / 1e3;
    low = std::clamp(low, kSmallest, kLargest);
    high = std::clamp(high, low, kLargest);
    if (high < low * 1.001) {
      low /= 2;
      high *= 2;
    }
    return LogTicks(low, high, target);
  }
  constexpr double kLargest = 1e300;
  low = std::clamp(low, -kLargest, kLargest);
  high = std::clamp(high, -kLargest, kLargest);
  const double size = std::max(std::abs(low), std::abs(high));
  if (high - low <= size * 1e-9) {
    const double half = size > 0 ? size / 2 : 0.5;
    low -= half;
    high += half;
  }
  return LinearTicks(low, high, target);
}

std::string TickLabel(const AxisTicks& axis, double tick) {
  const double size = std::abs(tick);
  if (axis.scale == Scale::kLog) {
    if (size < 0.9e-3 || size >= 0.9e6) return Scientific(tick);
    return Grouped(fmt::format("{:g}", tick));
  }
  const double largest = std::max(std::abs(axis.low), std::abs(axis.high));
  if (size < axis.step * 1e-6) return "0";
  if (largest < 0.9e-3 || largest >= 0.9e7) return Scientific(tick);
  const int decimals = std::max(0, -static_cast<int>(std::floor(std::log10(axis.step) + 1e-9)));
  return Grouped(fmt::format("{:.{}f}", tick, decimals));
}

}  // namespace lodestone
