#include "numerics/format.h"

#include <fmt/format.h>

namespace lodestone {

int64_t WeightScaleBytes(const Format& format, int64_t n, int64_t k) {
  switch (format.scales) {
    case Scales::kChannel:
      return 4 * n;
    case Scales::kGroup:
      return 4 * n + (format.group > 0 ? n * ((k + format.group - 1) / format.group) : 0);
    case Scales::kStatic:
      return 4;
    case Scales::kNone:
    case Scales::kToken:
    case Scales::kHead:
      return 0;
  }
  return 0;
}

int64_t ActivationScaleBytes(const Format& format, int64_t rows, int64_t heads) {
  switch (format.scales) {
    case Scales::kToken:
      return 4 * rows;
    case Scales::kHead:
      return 4 * rows * heads;
    case Scales::kNone:
    case Scales::kStatic:
    case Scales::kChannel:
    case Scales::kGroup:
      return 0;
  }
  return 0;
}

std::string_view ToString(Code code) {
  switch (code) {
    case Code::kF32:
      return "f32";
    case Code::kF16:
      return "f16";
    case Code::kBf16:
      return "bf16";
    case Code::kInt8:
      return "int8";
    case Code::kInt4:
      return "int4";
    case Code::kInt2:
      return "int2";
    case Code::kUint8:
      return "uint8";
    case Code::kUint4:
      return "uint4";
    case Code::kFp8:
      return "fp8";
  }
  return "?";
}

std::string_view ToString(Scales scales) {
  switch (scales) {
    case Scales::kNone:
      return "none";
    case Scales::kStatic:
      return "static";
    case Scales::kToken:
      return "token";
    case Scales::kHead:
      return "head";
    case Scales::kChannel:
      return "channel";
    case Scales::kGroup:
      return "group";
  }
  return "?";
}

std::string ToString(const Format& format) {
  if (format.scales == Scales::kNone) return std::string(ToString(format.code));
  if (format.scales == Scales::kGroup) return fmt::format("{}·group{}", ToString(format.code), format.group);
  return fmt::format("{}·{}", ToString(format.code), ToString(format.scales));
}

}  // namespace lodestone
