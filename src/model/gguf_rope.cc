#include <fmt/format.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "base/quote.h"
#include "model/config_check.h"
#include "model/gguf_internal.h"

namespace lodestone {
namespace {

// Llama 3's scaling (Dubey et al. 2024; Rope in config.h) is stored as what it divides each frequency by. Every
// published model of the family has these constants; only the factor differs.
constexpr double kLowFactor = 1, kHighFactor = 4;
constexpr int64_t kOriginalPositions = 8192;

double Llama3Divisor(double wavelength, double factor) {
  if (wavelength < static_cast<double>(kOriginalPositions) / kHighFactor) return 1;
  if (wavelength > static_cast<double>(kOriginalPositions) / kLowFactor) return factor;
  const double smooth =
      (static_cast<double>(kOriginalPositions) / wavelength - kLowFactor) / (kHighFactor - kLowFactor);
  return 1 / ((1 - smooth) / factor + smooth);
}

// Sets llama3_factor from the stored divisors; all 1 is no scaling.
Status ReadDivisors(const GgufFile& file, const GgufTensor& tensor, Rope* rope) {
  if (tensor.shape != std::vector<int64_t>{rope->rotary_dim / 2}) {
    return Invalid(fmt::format("{}: tensor {} has {} values, expected {}, one a pair of rotating dimensions", file.name,
                               Quoted(tensor.name), tensor.shape.back(), rope->rotary_dim / 2));
  }
  if (tensor.code->block_values != 1) {
    return Unsupported(
        fmt::format("{}: tensor {} is stored as {}, expected F32", file.name, Quoted(tensor.name), tensor.code->name));
  }
  std::vector<float> divisors(static_cast<size_t>(tensor.shape[0]));
  tensor.Read(0, divisors);
  const double factor = divisors.back();  // of the longest wave
  for (size_t i = 0; i < divisors.size(); ++i) {
    const double exponent = 2 * static_cast<double>(i) / rope->rotary_dim;
    const double expected = Llama3Divisor(2 * std::numbers::pi * std::pow(rope->theta, exponent), factor);
    if (!(std::abs(divisors[i] - expected) <= 1e-4 * expected)) {
      return Unsupported(fmt::format(
          "{}: tensor {} divides frequency {} by {}, expected {}: only the scaling of Llama 3 (low {}, "
          "high {}, {} positions) is supported",
          file.name, Quoted(tensor.name), i, divisors[i], expected, kLowFactor, kHighFactor, kOriginalPositions));
    }
  }
  if (factor == 1) return {};
  rope->llama3_factor = factor;
  rope->low_freq_factor = kLowFactor;
  rope->high_freq_factor = kHighFactor;
  rope->original_positions = kOriginalPositions;
  return {};
}

}  // namespace

Rope ReadGgufRope(ObjectReader& reader, std::string_view architecture, const GgufFile& file, int head_dim) {
  const auto key = [&](std::string_view name) { return fmt::format("{}.rope.{}", architecture, name); };
  Rope rope;
  rope.theta = reader.OptionalNumber(key("freq_base"), 10000, 1, 1e15);
  rope.rotary_dim = static_cast<int>(reader.OptionalInt(key("dimension_count"), head_dim, 2, kMaxHeadDim));
  const double older = reader.OptionalNumber(key("scale_linear"), 1, 1e-6, 1e6);  // of files before scaling.type
  const double factor = reader.OptionalNumber(key("scaling.factor"), older, 0, 1e6);
  const std::string type = reader.OptionalString(key("scaling.type"), older == 1 ? "none" : "linear");
  reader.Ignore(key("scaling.original_context_length"));  // counts for yarn alone, which is refused
  if (type == "linear") {
    if (factor > 0) rope.linear_factor = factor;  // 0 is written for "none"
  } else if (type != "none") {
    reader.Fail(key("scaling.type"),
                fmt::format("the scaling {} is not supported; supported are none and linear", Quoted(type)),
                ErrorCode::kUnsupported);
  }
  // Granite's converter states by it whether positions rotate at all.
  if (!reader.OptionalBool(key("scaling.finetuned"), true) && architecture == "granite") {
    reader.Fail(key("scaling.finetuned"), "false means no positions, which is not supported", ErrorCode::kUnsupported);
  }
  if (const GgufTensor* tensor = file.Find(kGgufRopeFactors); tensor != nullptr && reader.status().ok()) {
    if (const Status status = ReadDivisors(file, *tensor, &rope); !status.ok()) {
      reader.Fail(kGgufRopeFactors, status.error().message, status.error().code);
    }
  }
  return rope;
}

}  // namespace lodestone
