#include <cmath>
#include <limits>

#include "cases.h"

namespace lodestone::kernels {
namespace {

constexpr double kUnit = 0x1p-24;  // relative error of one rounding to f32
const float kInfinity = std::numeric_limits<float>::infinity();

// Lengths around every vector and tail.
std::vector<int> Lengths() {
  std::vector<int> lengths;
  for (int n = 1; n <= 70; ++n) lengths.push_back(n);
  for (const int n : {127, 128, 129, 300, 1000}) lengths.push_back(n);
  return lengths;
}

class RowOpsProperty : public EachIsa {};
INSTANTIATE_TEST_SUITE_P(Isa, RowOpsProperty, AllIsas(), IsaName);

std::vector<float> RunNorm(const KernelTable& table, bool layer_norm, const std::vector<float>& x,
                           const std::vector<float>& weight, const std::vector<float>* bias) {
  std::vector<float> y(x.size() + 16, kUntouched);
  table.norm({x.data(), y.data(), weight.data(), bias != nullptr ? bias->data() : nullptr, 1e-5f,
              static_cast<int32_t>(x.size()), layer_norm});
  for (size_t i = x.size(); i < y.size(); ++i) EXPECT_EQ(y[i], kUntouched);
  y.resize(x.size());
  return y;
}

TEST_P(RowOpsProperty, NormEqualsTheReferenceAndADoubleWithinRounding) {
  Random random(1);
  for (const int n : Lengths()) {
    const std::vector<float> x = random.Normals(static_cast<size_t>(n)),
                             weight = random.Normals(static_cast<size_t>(n)),
                             bias = random.Normals(static_cast<size_t>(n));
    for (const bool layer_norm : {false, true}) {
      const std::vector<float> y = RunNorm(table(), layer_norm, x, weight, layer_norm ? &bias : nullptr);
      ASSERT_TRUE(SameBits(y, RunNorm(Reference(), layer_norm, x, weight, layer_norm ? &bias : nullptr))) << n;
      double mean = 0, magnitude = 0, square = 0;
      for (const float value : x) mean += value, magnitude += std::abs(value);
      mean = layer_norm ? mean / n : 0;
      for (const float value : x) square += (value - mean) * (value - mean);
      const double inverse = 1 / std::sqrt(square / n + double{1e-5f});
      // A lane sums n / 16 + 1 terms and four folds follow. The mean's absolute error reaches every difference, and the
      // sum of squares twice; the inverse root halves the relative error of its argument and adds three roundings.
      const double steps = n / 16.0 + 6;
      const double mean_error = layer_norm ? steps * kUnit * magnitude / n : 0;
      const double relative = steps * kUnit + 6 * kUnit + 2 * mean_error * inverse;
      WorstError worst;
      for (size_t i = 0; i < x.size(); ++i) {
        const double value = (x[i] - mean) * inverse * weight[i];
        const double shifted = value + (layer_norm ? bias[i] : 0.0f);
        const double bound = std::abs(value) * relative + 2 * mean_error * inverse * std::abs(weight[i]) +
                             2 * kUnit * (std::abs(shifted) + std::abs(value)) +
                             2 * kUnit * std::abs(mean * inverse * weight[i]);
        worst.Check(i, y[i], shifted, bound);
      }
      ASSERT_TRUE(worst.ok()) << "n " << n << ", layer_norm " << layer_norm << ": " << worst.line();
    }
  }
}

struct Quantized {
  std::vector<int8_t> codes;
  float scale;
};
Quantized RunQuantize(const KernelTable& table, const std::vector<float>& x, int n_padded, float max_code,
                      float scale) {
  Quantized q{std::vector<int8_t>(static_cast<size_t>(n_padded) + 16, int8_t{99}), scale};
  table.quantize({x.data(), q.codes.data(), &q.scale, static_cast<int32_t>(x.size()), n_padded, max_code, scale != 0});
  for (size_t i = static_cast<size_t>(n_padded); i < q.codes.size(); ++i) EXPECT_EQ(q.codes[i], 99);
  q.codes.resize(static_cast<size_t>(n_padded));
  return q;
}

TEST_P(RowOpsProperty, QuantizeEqualsTheReferenceAndErrsByHalfAScale) {
  Random random(2);
  for (const int n : Lengths()) {
    for (const float max_code : {127.0f, 7.0f}) {
      for (const float fixed : {0.0f, 0.01f}) {
        const std::vector<float> x = random.Normals(static_cast<size_t>(n));
        const int n_padded = n + random.Int(0, 70);
        const Quantized q = RunQuantize(table(), x, n_padded, max_code, fixed);
        const Quantized expected = RunQuantize(Reference(), x, n_padded, max_code, fixed);
        ASSERT_EQ(q.codes, expected.codes) << n;
        ASSERT_EQ(q.scale, expected.scale) << n;
        float largest = 0;
        for (const float value : x) largest = std::max(largest, std::abs(value));
        ASSERT_EQ(q.scale, fixed != 0 ? fixed : largest / max_code);
        for (int i = 0; i < n_padded; ++i) {
          const int code = q.codes[static_cast<size_t>(i)];
          if (i >= n) {
            ASSERT_EQ(code, 0);
            continue;
          }
          // Beyond the largest code, which only a static scale meets, the code is the largest.
          const float value = x[static_cast<size_t>(i)];
          const double clamped = std::clamp<double>(value, -q.scale * double{max_code}, q.scale * double{max_code});
          ASSERT_LE(std::abs(code * double{q.scale} - clamped), q.scale * (0.5 + 4 * kUnit * max_code));
          ASSERT_LE(std::abs(code), max_code);
          ASSERT_EQ(code, QuantizeValue(value, 1 / q.scale, max_code));
        }
      }
    }
  }
}

TEST_P(RowOpsProperty, QuantizeOfRowsWithoutAUsableScale) {
  const std::vector<float> zero(40, 0.0f);
  Quantized q = RunQuantize(table(), zero, 64, 127, 0);
  EXPECT_EQ(q.scale, 0.0f);
  EXPECT_EQ(q.codes, std::vector<int8_t>(64, 0));
  std::vector<float> tiny(40, 1e-40f);
  q = RunQuantize(table(), tiny, 64, 127, 0);
  EXPECT_EQ(q.scale, 0.0f);
  EXPECT_EQ(q.codes, std::vector<int8_t>(64, 0));
  for (const float bad : {std::nanf(""), -std::nanf(""), kInfinity, -kInfinity}) {
    for (const size_t at : {size_t{3}, size_t{39}}) {
      std::vector<float> x(40, 1.0f);
      x[at] = bad;
      q = RunQuantize(table(), x, 64, 7, 0);
      EXPECT_TRUE(std::isnan(q.scale)) << bad;
      EXPECT_EQ(q.codes, std::vector<int8_t>(64, 0));
      q = RunQuantize(table(), x, 64, 7, 0.5f);
      EXPECT_EQ(q.codes[at], bad > 0 ? 7 : -7);
    }
  }
}

TEST_P(RowOpsProperty, ToBf16RoundsAsTheOneRule) {
  Random random(3);
  for (const int n : Lengths()) {
    std::vector<float> x = random.Normals(static_cast<size_t>(n));
    const float specials[] = {std::nanf(""), kInfinity, -0.0f, 1e-40f, 3.4e38f, 1.00390625f, 1.01171875f};
    for (size_t i = 0; i < x.size(); i += 3) x[i] = specials[(i / 3) % 7];
    std::vector<uint16_t> y(x.size() + 16, 0xabcd);
    table().to_bf16(x.data(), y.data(), n);
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(y[i], FloatToBf16(x[i])) << x[i];
    for (size_t i = x.size(); i < y.size(); ++i) ASSERT_EQ(y[i], 0xabcd);
  }
}

TEST_P(RowOpsProperty, AddRoundsOnceOrTwice) {
  Random random(4);
  for (const int n : Lengths()) {
    const std::vector<float> stream = random.Normals(static_cast<size_t>(n)),
                             x = random.Normals(static_cast<size_t>(n));
    for (const bool round : {false, true}) {
      std::vector<float> y = stream;
      table().add(y.data(), x.data(), 0.22f, n, round);
      for (size_t i = 0; i < y.size(); ++i) {
        const float product = 0.22f * x[i];
        const float sum = stream[i] + product;
        ASSERT_EQ(y[i], round ? Bf16ToFloat(FloatToBf16(sum)) : sum);
      }
    }
  }
}

TEST_P(RowOpsProperty, RopeRotatesPairsOfEachHead) {
  Random random(5);
  for (int rotary = 2; rotary <= 130; rotary += 2) {
    const int heads = random.Int(1, 4), head_dim = rotary + random.Int(0, 9);
    const int half = rotary / 2;
    const std::vector<float> x = random.Normals(static_cast<size_t>(heads * head_dim));
    std::vector<float> angles(static_cast<size_t>(rotary));
    for (int i = 0; i < half; ++i) {
      const float angle = random.Normal();
      angles[static_cast<size_t>(i)] = std::cos(angle);
      angles[static_cast<size_t>(half + i)] = std::sin(angle);
    }
    std::vector<float> y = x, expected = x;
    table().rope({y.data(), angles.data(), heads, head_dim, rotary});
    Reference().rope({expected.data(), angles.data(), heads, head_dim, rotary});
    ASSERT_TRUE(SameBits(y, expected)) << rotary;
    for (int h = 0; h < heads; ++h) {
      for (int i = 0; i < head_dim; ++i) {
        const auto at = [&](int j) { return double{x[static_cast<size_t>(h * head_dim + j)]}; };
        const float actual = y[static_cast<size_t>(h * head_dim + i)];
        if (i >= rotary) {
          ASSERT_EQ(actual, x[static_cast<size_t>(h * head_dim + i)]);
          continue;
        }
        const int pair = i % half;
        const double c = angles[static_cast<size_t>(pair)], s = angles[static_cast<size_t>(half + pair)];
        const double rotated = i < half ? at(pair) * c - at(pair + half) * s : at(pair + half) * c + at(pair) * s;
        ASSERT_NEAR(actual, rotated, 3 * kUnit * (std::abs(at(pair)) + std::abs(at(pair + half))));
      }
    }
  }
}

double Phi(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

struct GateCase {
  Activation act;
  double (*exact)(double);
  // Relative error of the activation at x.
  double (*relative)(double);
};

// Silu and tanh-GELU are x / (1 + e): e has 2 ulp of the exponential and its argument's roundings times the argument.
// For the GELU by erf: 4.3e-8 of the polynomial, some 20 roundings of it and of t, and z² rounded thrice ahead of the
// exponential.
const GateCase kGates[] = {
    {Activation::kSilu, [](double x) { return x / (1 + std::exp(-x)); },
     [](double x) { return (8 + 2 * std::abs(x)) * kUnit; }},
    {Activation::kGeluTanh,
     [](double x) { return x / (1 + std::exp(-2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); },
     [](double x) { return (8 + 8 * 1.6 * std::abs(x + 0.044715 * x * x * x)) * kUnit; }},
    {Activation::kGeluErf, [](double x) { return x * Phi(x); },
     [](double x) { return 4.3e-8 + (24 + 2 * x * x) * kUnit; }},
};

TEST_P(RowOpsProperty, GateEqualsTheReferenceAndTheFormula) {
  for (const GateCase& gate : kGates) {
    std::vector<float> x;
    for (double at = -30; at <= 30; at += 0.00137) x.push_back(static_cast<float>(at));
    std::vector<float> y(x.size()), expected(x.size());
    const int n = static_cast<int>(x.size());
    table().gate(x.data(), nullptr, y.data(), n, gate.act);
    Reference().gate(x.data(), nullptr, expected.data(), n, gate.act);
    ASSERT_TRUE(SameBits(y, expected));
    WorstError worst;
    for (size_t i = 0; i < x.size(); ++i) {
      const double exact = gate.exact(x[i]);
      // Where the exponential leaves its range the result is 0 or nearly so: |x| times its smallest value.
      const double underflow = std::abs(x[i]) * 1.2e-38;
      worst.Check(i, y[i], exact, std::abs(exact) * gate.relative(x[i]) + underflow);
    }
    EXPECT_TRUE(worst.ok()) << "activation " << static_cast<int>(gate.act) << ": " << worst.line();
  }
}

TEST_P(RowOpsProperty, GateMultipliesByUpAndKeepsToItsRow) {
  Random random(6);
  for (const int n : Lengths()) {
    const std::vector<float> gate = random.Normals(static_cast<size_t>(n)), up = random.Normals(static_cast<size_t>(n));
    for (const GateCase& c : kGates) {
      std::vector<float> alone(gate.size()), y(gate.size() + 16, kUntouched);
      table().gate(gate.data(), nullptr, alone.data(), n, c.act);
      table().gate(gate.data(), up.data(), y.data(), n, c.act);
      for (size_t i = 0; i < gate.size(); ++i) ASSERT_EQ(y[i], alone[i] * up[i]);
      for (size_t i = gate.size(); i < y.size(); ++i) ASSERT_EQ(y[i], kUntouched);
    }
  }
}

TEST_P(RowOpsProperty, NanStaysNan) {
  std::vector<float> x(20, 1.0f);
  x[17] = std::nanf("");
  const std::vector<float> weight(20, 1.0f);
  EXPECT_TRUE(std::isnan(RunNorm(table(), false, x, weight, nullptr)[0]));
  for (const GateCase& c : kGates) {
    std::vector<float> y(20);
    table().gate(x.data(), nullptr, y.data(), 20, c.act);
    EXPECT_TRUE(std::isnan(y[17]));
    EXPECT_FALSE(std::isnan(y[16]));
  }
}

}  // namespace
}  // namespace lodestone::kernels
