// Number formats: what a stored value is, where its scale lives, and how many bytes both take.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lodestone {

// What one stored value is. Integers are symmetric: the most negative two's-complement value is never produced, so that
// −x is representable and int8·int8 pairs sum in 16 bits without saturating (2 × 127² < 2¹⁵).
enum class Code : uint8_t {
  kF32,
  kF16,    // storage of checkpoints only; no recipe computes in it
  kBf16,   // upper half of an f32
  kInt8,   // −127..127
  kInt4,   // −7..7, two a byte in packed weights
  kInt2,   // −1..1, weights of simulated cards only: no kernel of this host reads them
  kUint8,  // 0..255: softmax output
  kUint4,  // 0..15: softmax output
  kFp8,  // floating point of 8 bits (E4M3, P. Micikevicius et al., arXiv 2209.05433): estimates of other machines only
};

// How codes become values: value = code × scale.
enum class Scales : uint8_t {
  kNone,     // floating point
  kStatic,   // one f32 a tensor, known before the run (as LSQ trains it; NorthPole's way)
  kToken,    // one f32 a row, from the row's largest magnitude
  kHead,     // one f32 a row and head, likewise
  kChannel,  // one f32 an output channel of a weight
  kGroup,  // a channel's f32 times a small integer multiplier a group of `group` inputs: code × multiplier is an int8,
           // so products still sum exactly in int32
};

struct Format {
  Code code = Code::kF32;
  Scales scales = Scales::kNone;
  uint16_t group = 0;  // inputs a group, for kGroup only: 32, 64 or 128

  friend bool operator==(const Format&, const Format&) = default;
};

// Group multipliers lie in 1..18, so that 7 × 18 = 126 fits an int8.
inline constexpr int kMaxGroupMultiplier = 18;

constexpr int BitsOf(Code code) {
  switch (code) {
    case Code::kF32:
      return 32;
    case Code::kF16:
    case Code::kBf16:
      return 16;
    case Code::kInt8:
    case Code::kUint8:
    case Code::kFp8:
      return 8;
    case Code::kInt4:
    case Code::kUint4:
      return 4;
    case Code::kInt2:
      return 2;
  }
  return 0;
}

constexpr bool IsInteger(Code code) { return BitsOf(code) <= 8 && code != Code::kFp8; }
// Whether values are codes × scale: integers, and fp8, whose range is too narrow for values as they are.
constexpr bool IsScaled(Code code) { return BitsOf(code) <= 8; }

// The largest code: 127, 7, 1, 255, 15; 0 for floating point.
constexpr int MaxCode(Code code) {
  switch (code) {
    case Code::kInt8:
      return 127;
    case Code::kInt4:
      return 7;
    case Code::kInt2:
      return 1;
    case Code::kUint8:
      return 255;
    case Code::kUint4:
      return 15;
    default:
      return 0;
  }
}
static_assert(MaxCode(Code::kInt4) * kMaxGroupMultiplier <= MaxCode(Code::kInt8));

// Bytes of `rows` rows of `width` values: codes alone, a row rounded up to whole bytes.
constexpr int64_t CodeBytes(Code code, int64_t rows, int64_t width) { return rows * ((width * BitsOf(code) + 7) / 8); }

// Bytes of the scales of a weight of `n` channels and `k` inputs: 4 a channel; with groups also 1 a channel and group.
int64_t WeightScaleBytes(const Format& format, int64_t n, int64_t k);
// Bytes of the scales of `rows` activation rows of `heads` heads: 4 a token, 4 a token and head, 0 if static or none
// (a static scale is a constant of the stage, counted with its norms).
int64_t ActivationScaleBytes(const Format& format, int64_t rows, int64_t heads);

std::string_view ToString(Code code);        // "f32", "bf16", "int8", "int4", "int2", "uint8", "uint4", "fp8"
std::string_view ToString(Scales scales);    // "none", "static", "token", "head", "channel", "group"
std::string ToString(const Format& format);  // "int4·channel", "int4·group128", "bf16"

}  // namespace lodestone
