#include "numerics/packed_matrix.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "numerics/rounding.h"

namespace lodestone {
namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kHugePage = size_t{2} << 20;

constexpr int64_t RoundUp(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

// A scale below the smallest normal f32 would have an infinite reciprocal; such a channel is stored as zero.
constexpr float kSmallestScale = std::numeric_limits<float>::min();

Status CheckFormat(const Format& format, int n, int k) {
  if (n < 1 || k < 1) return Invalid(fmt::format("a weight matrix needs outputs and inputs, found {} x {}", n, k));
  if (k > kMaxK) {
    return Unsupported(fmt::format("a weight matrix of {} inputs; at most {} keep integer sums in 32 bits", k, kMaxK));
  }
  const bool floating = format.code == Code::kF32 || format.code == Code::kBf16;
  const bool integer = format.code == Code::kInt8 || format.code == Code::kInt4;
  const bool groups = format.code == Code::kInt4 && format.scales == Scales::kGroup &&
                      (format.group == 32 || format.group == 64 || format.group == 128);
  if ((floating && format.scales == Scales::kNone) || (integer && format.scales == Scales::kChannel) || groups)
    return {};
  return Unsupported(
      fmt::format("weights in {}; expected f32, bf16, int8·channel, int4·channel or int4·group32, group64 or group128",
                  ToString(format)));
}

// Bits of the largest magnitude. Magnitudes of floats order as integers, and a NaN lies above infinity, so that one
// integer maximum is both the amplitude and the check for non-finite values.
int32_t LargestMagnitudeBits(std::span<const float> values) {
  int32_t bits = 0;
  for (const float value : values) bits = std::max(bits, std::bit_cast<int32_t>(value) & 0x7fffffff);
  return bits;
}

Status CheckFinite(std::span<const float> row, int o) {
  constexpr int32_t kInfinity = 0x7f800000;
  if (LargestMagnitudeBits(row) < kInfinity) return {};
  const auto bad = std::find_if(row.begin(), row.end(), [](float value) { return !std::isfinite(value); });
  return Invalid(
      fmt::format("weight of output {}, input {} is {}; expected a finite number", o, bad - row.begin(), *bad));
}

// One row as codes plus offset, and its scale and multipliers.
struct QuantizedRow {
  std::vector<uint8_t> codes;        // [padded k], offset binary
  std::vector<uint8_t> multipliers;  // [groups]
  float scale = 0;
};

void QuantizeSpan(std::span<const float> values, float scale, float max_code, int offset, uint8_t* codes) {
  const float inverse = 1.0f / scale;
  for (size_t i = 0; i < values.size(); ++i) {
    codes[i] = static_cast<uint8_t>(QuantizeValue(values[i], inverse, max_code) + offset);
  }
}

void QuantizeRow(const Format& format, std::span<const float> row, QuantizedRow& out) {
  const int max_code = MaxCode(format.code);
  const int offset = max_code + 1;
  const float max = static_cast<float>(max_code);
  std::fill(out.codes.begin(), out.codes.end(), static_cast<uint8_t>(offset));
  std::fill(out.multipliers.begin(), out.multipliers.end(), uint8_t{1});
  const float amplitude = std::bit_cast<float>(LargestMagnitudeBits(row));
  const bool groups = format.scales == Scales::kGroup;
  out.scale = amplitude / (groups ? max * kMaxGroupMultiplier : max);
  if (out.scale < kSmallestScale) {
    out.scale = 0;
    return;
  }
  if (!groups) return QuantizeSpan(row, out.scale, max, offset, out.codes.data());
  for (size_t begin = 0, g = 0; begin < row.size(); begin += format.group, ++g) {
    const std::span<const float> part = row.subspan(begin, std::min<size_t>(format.group, row.size() - begin));
    const float group_scale = std::bit_cast<float>(LargestMagnitudeBits(part)) / max;
    const float ratio = std::clamp(RoundToEven(group_scale / out.scale), 1.0f, static_cast<float>(kMaxGroupMultiplier));
    out.multipliers[g] = static_cast<uint8_t>(ratio);
    QuantizeSpan(part, ratio * out.scale, max, offset, out.codes.data() + begin);
  }
}

uint32_t Load32(const uint8_t* p) {
  uint32_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

// Writes one row into its lane of the panel; element sizes are those of the header's layout table.
void ScatterInt8(const uint8_t* codes, int padded_k, uint32_t* lane) {
  for (int i = 0; i < padded_k; i += 4, lane += kPanel) *lane = Load32(codes + i);
}
void ScatterInt4(const uint8_t* codes, int padded_k, uint32_t* lane) {
  for (int i = 0; i < padded_k; i += 8, lane += kPanel) *lane = Load32(codes + i) | (Load32(codes + i + 4) << 4);
}
void ScatterF32(std::span<const float> row, float* lane) {
  for (size_t i = 0; i < row.size(); ++i, lane += kPanel) *lane = row[i];
}
void ScatterBf16(std::span<const float> row, uint32_t* lane) {
  for (size_t i = 0; i < row.size(); i += 2, lane += kPanel) {
    const uint32_t odd = i + 1 < row.size() ? FloatToBf16(row[i + 1]) : 0;
    *lane = FloatToBf16(row[i]) | (odd << 16);
  }
}

int GroupsOf(const PackedMatrix& m) { return (m.padded_k() + m.format.group - 1) / m.format.group; }

// Offset binary makes zero a non-zero byte: rows and inputs that only pad must be written too.
uint8_t ZeroByte(Code code) { return code == Code::kInt4 ? 0x88 : (code == Code::kInt8 ? 0x80 : 0); }

}  // namespace

AlignedBuffer::AlignedBuffer(size_t bytes) {
  if (bytes == 0) return;
  const size_t alignment = bytes >= kHugePage ? kHugePage : kCacheLine;
  const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  if (rounded < bytes) return;
  data_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, rounded)));
  if (data_ == nullptr) return;
  // Advice before the first touch; a kernel without huge pages refuses it, and nothing is lost.
  if (alignment == kHugePage) madvise(data_.get(), rounded, MADV_HUGEPAGE);
  std::memset(data_.get(), 0, rounded);
  size_ = bytes;
}

void AlignedBuffer::Free::operator()(std::byte* p) const { std::free(p); }

int PackedMatrix::padded_k() const {
  if (IsInteger(format.code)) return static_cast<int>(RoundUp(k, kKStep));
  return format.code == Code::kBf16 ? static_cast<int>(RoundUp(k, 2)) : k;
}

int64_t PackedMatrix::panel_bytes() const { return CodeBytes(format.code, kPanel, padded_k()); }

Result<PackedMatrix> Pack(const Format& format, int n, int k, const RowReader& read_row) {
  LODESTONE_RETURN_IF_ERROR(CheckFormat(format, n, k));
  PackedMatrix m;
  m.format = format;
  m.n = n;
  m.k = k;
  const bool integer = IsInteger(format.code);
  const size_t code_bytes = static_cast<size_t>(m.panel_bytes() * m.panels());
  m.codes = AlignedBuffer(code_bytes);
  if (m.codes.size() != code_bytes) {
    return Infeasible(fmt::format("no memory for {} bytes of weight codes of a {} x {} matrix", code_bytes, n, k));
  }
  QuantizedRow quantized;
  if (integer) {
    std::memset(m.codes.data(), ZeroByte(format.code), code_bytes);
    m.scales = AlignedBuffer(sizeof(float) * kPanel * static_cast<size_t>(m.panels()));
    quantized.codes.resize(static_cast<size_t>(m.padded_k()));
  }
  if (format.scales == Scales::kGroup) {
    quantized.multipliers.resize(static_cast<size_t>(GroupsOf(m)));
    m.multipliers = AlignedBuffer(quantized.multipliers.size() * kPanel * static_cast<size_t>(m.panels()));
    if (m.multipliers.size() != 0) std::memset(m.multipliers.data(), 1, m.multipliers.size());
  }
  if ((integer && m.scales.size() == 0) || (format.scales == Scales::kGroup && m.multipliers.size() == 0)) {
    return Infeasible(fmt::format("no memory for the scales of a {} x {} matrix", n, k));
  }

  std::vector<float> row(static_cast<size_t>(k));
  for (int o = 0; o < n; ++o) {
    LODESTONE_RETURN_IF_ERROR(read_row(o, row));
    LODESTONE_RETURN_IF_ERROR(CheckFinite(row, o));
    const int panel = o / kPanel, lane = o % kPanel;
    std::byte* codes = m.codes.data() + panel * m.panel_bytes();
    if (integer) {
      QuantizeRow(format, row, quantized);
      reinterpret_cast<float*>(m.scales.data())[o] = quantized.scale;
      auto* lanes = reinterpret_cast<uint32_t*>(codes) + lane;
      format.code == Code::kInt8 ? ScatterInt8(quantized.codes.data(), m.padded_k(), lanes)
                                 : ScatterInt4(quantized.codes.data(), m.padded_k(), lanes);
    } else if (format.code == Code::kBf16) {
      ScatterBf16(row, reinterpret_cast<uint32_t*>(codes) + lane);
    } else {
      ScatterF32(row, reinterpret_cast<float*>(codes) + lane);
    }
    if (format.scales == Scales::kGroup) {
      auto* multipliers =
          reinterpret_cast<uint8_t*>(m.multipliers.data()) + int64_t{panel} * GroupsOf(m) * kPanel + lane;
      for (size_t g = 0; g < quantized.multipliers.size(); ++g) multipliers[g * kPanel] = quantized.multipliers[g];
    }
  }
  return m;
}

int UnpackedCode(const PackedMatrix& m, int o, int i) {
  const int panel = o / kPanel, lane = o % kPanel;
  const auto* codes = reinterpret_cast<const uint8_t*>(m.codes.data()) + panel * m.panel_bytes();
  if (m.format.code == Code::kInt8) return codes[(int64_t{i / 4} * kPanel + lane) * 4 + i % 4] - 128;
  const uint8_t byte = codes[(int64_t{i / 8} * kPanel + lane) * 4 + i % 4];
  const int code = (i % 8 < 4 ? byte & 15 : byte >> 4) - 8;
  if (m.format.scales != Scales::kGroup) return code;
  const auto* multipliers = reinterpret_cast<const uint8_t*>(m.multipliers.data());
  return code * multipliers[(int64_t{panel} * GroupsOf(m) + i / m.format.group) * kPanel + lane];
}

float UnpackedValue(const PackedMatrix& m, int o, int i) {
  const int panel = o / kPanel, lane = o % kPanel;
  const std::byte* codes = m.codes.data() + panel * m.panel_bytes();
  if (m.format.code == Code::kF32) return reinterpret_cast<const float*>(codes)[int64_t{i} * kPanel + lane];
  if (m.format.code == Code::kBf16) {
    return Bf16ToFloat(reinterpret_cast<const Bf16*>(codes)[(int64_t{i / 2} * kPanel + lane) * 2 + i % 2]);
  }
  return static_cast<float>(UnpackedCode(m, o, i)) * reinterpret_cast<const float*>(m.scales.data())[o];
}

}  // namespace lodestone
