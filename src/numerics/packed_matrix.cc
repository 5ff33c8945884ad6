#include "numerics/packed_matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "numerics/rounding.h"

namespace lodestone {
namespace {

constexpr int64_t RoundUp(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

Status CheckFinite(std::span<const float> row, int o) {
  if (std::isfinite(LargestMagnitude(row))) return {};
  const auto bad = std::find_if(row.begin(), row.end(), [](float value) { return !std::isfinite(value); });
  return Invalid(
      fmt::format("weight of output {}, input {} is {}; expected a finite number", o, bad - row.begin(), *bad));
}

template <typename T>
T Load(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

// The rows of one panel, side by side, before they are interleaved. Whole rows are quantised at a time, but a panel's
// cache lines hold all its rows: gathering them first writes every line once instead of 16 times (3 times as fast).
class PanelRows {
 public:
  // Row bytes are those of int8 codes for int4, which is packed on the way out. A cache line more keeps rows whose
  // length is a power of two from falling into one cache set.
  explicit PanelRows(PackedMatrix& matrix)
      : matrix_(matrix),
        row_bytes_(static_cast<size_t>(matrix.padded_k() * std::max(BitsOf(matrix.format.code), 8) / 8)),
        stride_(row_bytes_ + kCacheLine),
        offset_(MaxCode(matrix.format.code) + 1),
        rows_(stride_ * kPanel) {}

  // Zeros, which in offset binary is a byte that is not: rows and inputs that only pad are written too.
  void Clear() { std::fill(rows_.begin(), rows_.end(), IsInteger(matrix_.format.code) ? Byte(offset_) : Byte(0)); }

  void Set(int o, const QuantizedRow& row) {
    std::byte* out = Row(o);
    for (size_t i = 0; i < row.codes.size(); ++i) out[i] = Byte(row.codes[i] + offset_);
    reinterpret_cast<float*>(matrix_.scales.data())[o] = row.scale;
    std::byte* multipliers = Multipliers(o / kPanel) + o % kPanel;
    for (size_t g = 0; g < row.multipliers.size(); ++g) multipliers[g * kPanel] = Byte(row.multipliers[g]);
  }
  void Set(int o, std::span<const float> row) {
    if (matrix_.format.code == Code::kF32) {
      std::memcpy(Row(o), row.data(), row.size_bytes());
      return;
    }
    auto* out = reinterpret_cast<Bf16*>(Row(o));
    for (size_t i = 0; i < row.size(); ++i) out[i] = FloatToBf16(row[i]);
  }

  // Into the layout of the header's table: units of 4 bytes, of 8 codes for int4.
  void Store(int panel) const {
    auto* out = reinterpret_cast<uint32_t*>(matrix_.codes.data() + panel * matrix_.panel_bytes());
    if (matrix_.format.code == Code::kInt4) {
      for (size_t i = 0; i < row_bytes_; i += 8) {
        for (size_t lane = 0; lane < kPanel; ++lane) {
          const std::byte* codes = rows_.data() + lane * stride_ + i;
          *out++ = Load<uint32_t>(codes) | (Load<uint32_t>(codes + 4) << 4);
        }
      }
      return;
    }
    for (size_t i = 0; i < row_bytes_; i += 4) {
      for (size_t lane = 0; lane < kPanel; ++lane) *out++ = Load<uint32_t>(rows_.data() + lane * stride_ + i);
    }
  }

  void ClearMultipliers(int panel) {
    if (matrix_.multipliers.size() == 0) return;
    std::memset(Multipliers(panel), 1, static_cast<size_t>(matrix_.panel_multiplier_bytes()));
  }

 private:
  static constexpr size_t kCacheLine = 64;
  static std::byte Byte(int value) { return static_cast<std::byte>(value); }

  std::byte* Row(int o) { return rows_.data() + static_cast<size_t>(o % kPanel) * stride_; }
  std::byte* Multipliers(int panel) { return matrix_.multipliers.data() + panel * matrix_.panel_multiplier_bytes(); }

  PackedMatrix& matrix_;
  size_t row_bytes_, stride_;
  int offset_;
  std::vector<std::byte> rows_;  // [16][stride]
};

// Panels [begin, end); `set(o, rows)` puts row o into its panel.
template <typename SetRow>
Status FillPanels(int begin, int end, PackedMatrix& m, const SetRow& set) {
  PanelRows rows(m);
  for (int panel = begin; panel < end; ++panel) {
    rows.Clear();
    rows.ClearMultipliers(panel);
    for (int o = panel * kPanel; o < std::min((panel + 1) * kPanel, m.n); ++o) {
      LODESTONE_RETURN_IF_ERROR(set(o, rows));
    }
    rows.Store(panel);
  }
  return {};
}

}  // namespace

int PackedShape::padded_k() const {
  if (IsInteger(format.code)) return static_cast<int>(RoundUp(k, kKStep));
  return format.code == Code::kBf16 ? static_cast<int>(RoundUp(k, 2)) : k;
}

int PackedShape::groups() const {
  return format.scales == Scales::kGroup ? (padded_k() + format.group - 1) / format.group : 0;
}

int64_t PackedShape::panel_bytes() const { return CodeBytes(format.code, kPanel, padded_k()); }

int64_t PackedShape::panel_scale_bytes() const {
  return IsInteger(format.code) ? int64_t{kPanel} * static_cast<int64_t>(sizeof(float)) : 0;
}

int64_t PackedShape::panel_multiplier_bytes() const { return int64_t{kPanel} * groups(); }

Status CheckPackedShape(const PackedShape& shape) {
  const auto& [format, n, k] = shape;
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
  if (format.code == Code::kInt2) {
    return Unsupported(
        "int2 weights are computed nowhere yet: 'plan', 'simulate', 'traffic' and 'sweep' know them, tokens need int4 "
        "or "
        "more");
  }
  return Unsupported(
      fmt::format("weights in {}; expected f32, bf16, int8·channel, int4·channel or int4·group32, group64 or group128",
                  ToString(format)));
}

Result<PackedMatrix> AllocatePacked(const PackedShape& shape) {
  LODESTONE_RETURN_IF_ERROR(CheckPackedShape(shape));
  PackedMatrix m{shape, {}, {}, {}};
  const auto sized = [&](int64_t bytes_per_panel, AlignedBuffer& buffer) {
    const auto bytes = static_cast<size_t>(bytes_per_panel * m.panels());
    buffer = AlignedBuffer(bytes);
    return buffer.size() == bytes;
  };
  if (!sized(m.panel_bytes(), m.codes) || !sized(m.panel_scale_bytes(), m.scales) ||
      !sized(m.panel_multiplier_bytes(), m.multipliers)) {
    return Infeasible(fmt::format("no memory for {} bytes of weight codes of a {} x {} matrix",
                                  m.panel_bytes() * m.panels(), m.n, m.k));
  }
  return m;
}

Status PackCodePanels(int begin, int end, const CodeReader& read_codes, PackedMatrix& m) {
  LODESTONE_CHECK(IsInteger(m.format.code));
  QuantizedRow row;
  return FillPanels(begin, end, m, [&](int o, PanelRows& rows) -> Status {
    LODESTONE_RETURN_IF_ERROR(read_codes(o, row));
    LODESTONE_RETURN_IF_ERROR(CheckQuantizedRow(m.format, m.k, o, row));
    rows.Set(o, row);
    return {};
  });
}

Status PackPanels(int begin, int end, const RowReader& read_row, PackedMatrix& m) {
  const bool integer = IsInteger(m.format.code);
  std::vector<float> row(static_cast<size_t>(m.k));
  QuantizedRow quantized;
  return FillPanels(begin, end, m, [&](int o, PanelRows& rows) -> Status {
    LODESTONE_RETURN_IF_ERROR(read_row(o, row));
    LODESTONE_RETURN_IF_ERROR(CheckFinite(row, o));
    if (!integer) {
      rows.Set(o, row);
      return {};
    }
    RoundRow(m.format, row, quantized);
    rows.Set(o, quantized);
    return {};
  });
}

Result<PackedMatrix> Pack(const Format& format, int n, int k, const RowReader& read_row) {
  LODESTONE_ASSIGN_OR_RETURN(PackedMatrix m, AllocatePacked({format, n, k}));
  LODESTONE_RETURN_IF_ERROR(PackPanels(0, m.panels(), read_row, m));
  return m;
}

Result<PackedMatrix> PackCodes(const Format& format, int n, int k, const CodeReader& read_codes) {
  if (!IsInteger(format.code)) return Unsupported(fmt::format("codes of {}; expected an integer", ToString(format)));
  LODESTONE_ASSIGN_OR_RETURN(PackedMatrix m, AllocatePacked({format, n, k}));
  LODESTONE_RETURN_IF_ERROR(PackCodePanels(0, m.panels(), read_codes, m));
  return m;
}

void UnpackCodes(const PackedView& m, int o, QuantizedRow& out) {
  const int panel = o / kPanel, lane = o % kPanel;
  const std::byte* codes = m.codes + panel * m.panel_bytes() + lane * 4;
  out.codes.resize(static_cast<size_t>(m.k));
  if (m.format.code == Code::kInt8) {
    for (int i = 0; i < m.k; ++i) {
      out.codes[static_cast<size_t>(i)] =
          static_cast<int8_t>(static_cast<int>(codes[int64_t{i / 4} * kPanel * 4 + i % 4]) - 128);
    }
  } else {
    for (int i = 0; i < m.k; ++i) {
      const int byte = static_cast<int>(codes[int64_t{i / 8} * kPanel * 4 + i % 4]);
      out.codes[static_cast<size_t>(i)] = static_cast<int8_t>((i % 8 < 4 ? byte & 15 : byte >> 4) - 8);
    }
  }
  out.multipliers.resize(m.format.scales == Scales::kGroup ? static_cast<size_t>((m.k - 1) / m.format.group + 1) : 0);
  for (size_t g = 0; g < out.multipliers.size(); ++g) {
    out.multipliers[g] = static_cast<uint8_t>(
        m.multipliers[panel * m.panel_multiplier_bytes() + static_cast<int64_t>(g) * kPanel + lane]);
  }
  out.scale = Load<float>(m.scales + int64_t{o} * static_cast<int64_t>(sizeof(float)));
}

void UnpackRow(const PackedView& m, int o, std::span<float> out) {
  if (IsInteger(m.format.code)) {
    QuantizedRow row;
    UnpackCodes(m, o, row);
    return Dequantize(m.format, row, out);
  }
  for (int i = 0; i < m.k; ++i) out[static_cast<size_t>(i)] = UnpackedValue(m, o, i);
}

int UnpackedCode(const PackedView& m, int o, int i) {
  const int panel = o / kPanel, lane = o % kPanel;
  const std::byte* codes = m.codes + panel * m.panel_bytes();
  if (m.format.code == Code::kInt8) {
    return static_cast<int>(codes[(int64_t{i / 4} * kPanel + lane) * 4 + i % 4]) - 128;
  }
  const int byte = static_cast<int>(codes[(int64_t{i / 8} * kPanel + lane) * 4 + i % 4]);
  const int code = (i % 8 < 4 ? byte & 15 : byte >> 4) - 8;
  if (m.format.scales != Scales::kGroup) return code;
  return code * static_cast<int>(m.multipliers[(int64_t{panel} * m.groups() + i / m.format.group) * kPanel + lane]);
}

float UnpackedValue(const PackedView& m, int o, int i) {
  const int panel = o / kPanel, lane = o % kPanel;
  const std::byte* codes = m.codes + panel * m.panel_bytes();
  if (m.format.code == Code::kF32) return Load<float>(codes + (int64_t{i} * kPanel + lane) * 4);
  if (m.format.code == Code::kBf16) {
    return Bf16ToFloat(Load<Bf16>(codes + ((int64_t{i / 2} * kPanel + lane) * 2 + i % 2) * 2));
  }
  return static_cast<float>(UnpackedCode(m, o, i)) * Load<float>(m.scales + int64_t{o} * 4);
}

}  // namespace lodestone
