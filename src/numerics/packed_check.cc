// Whether bytes from elsewhere are such as Pack writes.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "numerics/packed_matrix.h"
#include "numerics/rounding.h"

namespace lodestone {
namespace {

using Bytes = std::span<const std::byte>;

// The loops have no early exit, so that they vectorise: a check costs less than the read that brought the bytes.
bool HasZeroByte(Bytes bytes) {
  unsigned char found = 0;
  for (const std::byte byte : bytes) found |= static_cast<unsigned char>(byte == std::byte{0});
  return found != 0;
}

bool HasZeroNibble(Bytes bytes) {
  unsigned char found = 0;
  for (const std::byte byte : bytes) {
    const auto b = static_cast<unsigned char>(byte);
    found |= static_cast<unsigned char>((b & 15) == 0) | static_cast<unsigned char>(b < 16);
  }
  return found != 0;
}

template <typename T>
bool AllFinite(Bytes bytes, T exponent_mask) {
  bool finite = true;
  for (size_t i = 0; i + sizeof(T) <= bytes.size(); i += sizeof(T)) {
    T bits;
    std::memcpy(&bits, bytes.data() + i, sizeof bits);
    finite &= (bits & exponent_mask) != exponent_mask;
  }
  return finite;
}

}  // namespace

// Offset binary stores −MaxCode − 1, which symmetric codes leave out, as zero.
Status CheckPackedCodes(const Format& format, std::span<const std::byte> codes) {
  switch (format.code) {
    case Code::kInt8:
      return HasZeroByte(codes) ? Status(Invalid("an int8 code is -128, expected -127 to 127")) : Status();
    case Code::kInt4:
      return HasZeroNibble(codes) ? Status(Invalid("an int4 code is -8, expected -7 to 7")) : Status();
    case Code::kBf16:
      return AllFinite<uint16_t>(codes, 0x7f80) ? Status() : Status(Invalid("a bf16 weight is not finite"));
    default:
      return AllFinite<uint32_t>(codes, 0x7f800000) ? Status() : Status(Invalid("an f32 weight is not finite"));
  }
}

Status CheckMultipliers(std::span<const std::byte> multipliers) {
  for (const std::byte multiplier : multipliers) {
    const auto value = static_cast<int>(multiplier);
    if (value < 1 || value > kMaxGroupMultiplier) {
      return Invalid(fmt::format("a group's multiplier is {}, expected 1 to {}", value, kMaxGroupMultiplier));
    }
  }
  return {};
}

Status CheckScales(std::span<const std::byte> scales) {
  for (size_t i = 0; i + sizeof(float) <= scales.size(); i += sizeof(float)) {
    float scale;
    std::memcpy(&scale, scales.data() + i, sizeof scale);
    if (!(scale >= 0) || !std::isfinite(scale)) {
      return Invalid(fmt::format("a scale is {}, expected a finite number that is not negative", scale));
    }
  }
  return {};
}

}  // namespace lodestone
