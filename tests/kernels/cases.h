// Random operands for kernel tests and the tables to run them on.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/dispatch.h"
#include "numerics/packed_matrix.h"
#include "numerics/rounding.h"

namespace lodestone::kernels {

inline const KernelTable& Reference() { return **Select("reference"); }

// One test a candidate of the dispatcher; those that cannot run here are skipped with the dispatcher's reason.
class EachIsa : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    const Candidate& candidate = Candidates()[GetParam()];
    if (!candidate.declined.empty()) GTEST_SKIP() << candidate.table->isa << ": " << candidate.declined;
    table_ = candidate.table;
  }
  const KernelTable& table() const { return *table_; }

 private:
  const KernelTable* table_ = nullptr;
};
inline auto AllIsas() { return ::testing::Range(size_t{0}, Candidates().size()); }
inline std::string IsaName(const ::testing::TestParamInfo<size_t>& info) { return Candidates()[info.param].table->isa; }

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  int Int(int min, int max) { return min + static_cast<int>(engine_() % static_cast<uint32_t>(max - min + 1)); }
  float Normal() { return normal_(engine_); }
  std::vector<float> Normals(size_t n) {
    std::vector<float> values(n);
    for (float& value : values) value = Normal();
    return values;
  }

 private:
  std::mt19937 engine_;
  std::normal_distribution<float> normal_;
};

enum class Product { kF32, kBf16, kBf16Int4, kBf16Int8, kInt8Int4, kInt8Int8 };
inline constexpr Product kProducts[] = {Product::kF32,      Product::kBf16,     Product::kBf16Int4,
                                        Product::kBf16Int8, Product::kInt8Int4, Product::kInt8Int8};

inline MatmulFn FunctionOf(const KernelTable& table, Product product) {
  switch (product) {
    case Product::kF32:
      return table.matmul_f32;
    case Product::kBf16:
      return table.matmul_bf16;
    case Product::kBf16Int4:
      return table.matmul_bf16_int4;
    case Product::kBf16Int8:
      return table.matmul_bf16_int8;
    case Product::kInt8Int4:
      return table.matmul_int8_int4;
    case Product::kInt8Int8:
      return table.matmul_int8_int8;
  }
  return nullptr;
}
inline bool TakesGroups(Product product) { return product == Product::kBf16Int4 || product == Product::kInt8Int4; }
inline bool IntegerRows(Product product) { return product >= Product::kInt8Int4; }

inline Format WeightFormat(Product product, int group) {
  switch (product) {
    case Product::kF32:
      return {Code::kF32};
    case Product::kBf16:
      return {Code::kBf16};
    case Product::kBf16Int4:
    case Product::kInt8Int4:
      return group != 0 ? Format{Code::kInt4, Scales::kGroup, static_cast<uint16_t>(group)}
                        : Format{Code::kInt4, Scales::kChannel};
    case Product::kBf16Int8:
    case Product::kInt8Int8:
      return {Code::kInt8, Scales::kChannel};
  }
  return {};
}

// Values that no kernel writes, to find out what it wrote.
inline constexpr float kUntouched = -12345.5f;

// One product with everything it needs. Rows begin `shift` elements after an aligned address.
struct MatmulCase {
  Product product = Product::kF32;
  int rows = 1, n = 1, k = 1, group = 0, shift = 0;
  bool has_bias = false;
  float multiplier = 1;
  PackedMatrix matrix;
  int64_t x_stride = 0;
  std::vector<float> x_f32, x_scales, bias;
  std::vector<uint16_t> x_bf16;
  std::vector<int8_t> x_int8;

  // Weights from `weight`, rows of normals or random codes.
  template <typename Weight>
  void Build(Random& random, const Weight& weight) {
    auto packed = Pack(WeightFormat(product, group), n, k, [&](int o, std::span<float> row) {
      for (size_t i = 0; i < row.size(); ++i) row[i] = weight(o, static_cast<int>(i));
      return Status();
    });
    ASSERT_TRUE(packed.ok()) << packed.error().message;
    matrix = *std::move(packed);
    x_stride = (IntegerRows(product) ? matrix.padded_k() : k) + random.Int(0, 5);
    const size_t size = static_cast<size_t>(shift + rows * x_stride);
    x_f32 = random.Normals(size);
    x_bf16.resize(size);
    x_int8.assign(size, 0);
    for (size_t i = 0; i < size; ++i) x_bf16[i] = FloatToBf16(x_f32[i]);
    for (int r = 0; r < rows; ++r) {
      for (int i = 0; i < k; ++i)
        x_int8[static_cast<size_t>(shift + r * x_stride + i)] = static_cast<int8_t>(random.Int(-127, 127));
    }
    x_scales.resize(static_cast<size_t>(rows));
    for (float& scale : x_scales) scale = 0.001f * static_cast<float>(random.Int(1, 99));
    bias = random.Normals(static_cast<size_t>(n));
  }
  void Build(Random& random) {
    Build(random, [&](int, int) { return random.Normal(); });
  }

  MatmulArgs Args() const {
    MatmulArgs a{};
    switch (product) {
      case Product::kF32:
        a.x = x_f32.data() + shift;
        break;
      case Product::kBf16:
      case Product::kBf16Int4:
      case Product::kBf16Int8:
        a.x = x_bf16.data() + shift;
        break;
      case Product::kInt8Int4:
      case Product::kInt8Int8:
        a.x = x_int8.data() + shift;
        a.x_scales = x_scales.data();
        a.x_scales_stride = 1;
        break;
    }
    a.x_stride = x_stride;
    a.w = matrix.codes.data();
    if (matrix.scales.size() != 0) a.w_scales = reinterpret_cast<const float*>(matrix.scales.data());
    if (matrix.multipliers.size() != 0) a.w_groups = reinterpret_cast<const uint8_t*>(matrix.multipliers.data());
    a.bias = has_bias ? bias.data() : nullptr;
    a.y_stride = n;
    a.multiplier = multiplier;
    a.rows = rows;
    a.n = n;
    a.k = k;
    a.k_padded = matrix.padded_k();
    a.group = group;
    a.panel_end = matrix.panels();
    return a;
  }

  // Y with `gap` untouched values after each row.
  std::vector<float> Run(const KernelTable& table, int gap = 0) const {
    MatmulArgs a = Args();
    std::vector<float> y(static_cast<size_t>(rows * (n + gap)), kUntouched);
    a.y = y.data();
    a.y_stride = n + gap;
    FunctionOf(table, product)(a);
    return y;
  }

  std::string Name() const {
    return fmt::format("product {}, rows {}, n {}, k {}, group {}, shift {}, bias {}, multiplier {}",
                       static_cast<int>(product), rows, n, k, group, shift, has_bias, multiplier);
  }
};

// Equal bits, NaN equal to NaN of any payload. Prints the first difference.
inline ::testing::AssertionResult SameBits(std::span<const float> actual, std::span<const float> expected) {
  if (actual.size() != expected.size()) return ::testing::AssertionFailure() << "sizes differ";
  for (size_t i = 0; i < actual.size(); ++i) {
    const bool nans = std::isnan(actual[i]) && std::isnan(expected[i]);
    if (!nans && std::bit_cast<uint32_t>(actual[i]) != std::bit_cast<uint32_t>(expected[i])) {
      return ::testing::AssertionFailure()
             << fmt::format("index {}: actual {:a}, expected {:a}", i, actual[i], expected[i]);
    }
  }
  return ::testing::AssertionSuccess();
}

// Keeps the value that exceeds its bound by the largest factor.
class WorstError {
 public:
  void Check(size_t index, double actual, double expected, double bound) {
    const double error = std::abs(actual - expected);
    const double ratio = error == 0 ? 0 : error / bound;
    if (!(ratio <= ratio_)) {
      ratio_ = std::isnan(ratio) ? 1e30 : ratio;
      line_ = fmt::format("index {}: actual {:.9g}, expected {:.9g}, error {:.3g}, bound {:.3g}", index, actual,
                          expected, error, bound);
    }
  }
  bool ok() const { return ratio_ <= 1; }
  double ratio() const { return ratio_; }
  const std::string& line() const { return line_; }

 private:
  double ratio_ = 0;
  std::string line_;
};

}  // namespace lodestone::kernels
