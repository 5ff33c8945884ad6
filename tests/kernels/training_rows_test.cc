// The backward of the row operators, the loss and the optimizer's step: against differences of a forward in double,
// within computed bounds, and against the reference bit for bit.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "cases.h"
#include "kernels/training_table.h"

namespace lodestone::kernels {
namespace {

constexpr double kUnit = 0x1p-24;  // relative error of one rounding to f32
const float kInfinity = std::numeric_limits<float>::infinity();

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

// Lengths around every vector and tail.
const int kLengths[] = {1, 2, 7, 15, 16, 17, 31, 32, 33, 47, 64, 70, 130, 300};

// f'(x) to about 1e-11, for f of order 1: differences over h and 2h, whose errors of order h² cancel.
template <typename Function>
double Derivative(const Function& f, double x) {
  constexpr double h = 1e-3;
  return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h);
}
constexpr double kDifferences = 1e-10;

Floats WithMargin(const Floats& x) {
  Floats y = x;
  y.resize(x.size() + 16, kUntouched);
  return y;
}
void ExpectMargin(const Floats& x, size_t n) {
  for (size_t i = n; i < x.size(); ++i) ASSERT_EQ(x[i], kUntouched);
}

class TrainingRowsProperty : public EachIsa {
 protected:
  const TrainingTable& training() const { return TrainingTableFor(table()); }
};
INSTANTIATE_TEST_SUITE_P(Isa, TrainingRowsProperty, AllIsas(), IsaName);

TEST(TrainingTable, IsOfTheInstructionSetThatTheDispatcherChose) {
  for (const Candidate& candidate : Candidates()) {
    EXPECT_STREQ(TrainingTableFor(*candidate.table).isa, candidate.table->isa);
  }
}

struct NormCase {
  bool layer_norm;
  Floats x, dy, weight;
  double eps = double{1e-5f};

  double Forward(const Doubles& at) const {
    const double n = static_cast<double>(at.size());
    double mean = 0, square = 0, sum = 0;
    for (const double value : at) mean += value / n;
    if (!layer_norm) mean = 0;
    for (const double value : at) square += (value - mean) * (value - mean) / n;
    for (size_t i = 0; i < at.size(); ++i) sum += dy[i] * weight[i] * (at[i] - mean) / std::sqrt(square + eps);
    return sum;
  }
};
struct NormResult {
  Floats dx, dweight, dbias;
};
NormResult RunNorm(const TrainingTable& table, const NormCase& c, const NormResult& before, bool accumulate) {
  NormResult r{WithMargin(before.dx), WithMargin(before.dweight), WithMargin(before.dbias)};
  const auto n = static_cast<int32_t>(c.x.size());
  table.norm_backward({c.x.data(), c.dy.data(), c.weight.data(), r.dx.data(), r.dweight.data(),
                       c.layer_norm ? r.dbias.data() : nullptr, 1e-5f, n, c.layer_norm, accumulate});
  for (Floats* values : {&r.dx, &r.dweight, &r.dbias}) {
    ExpectMargin(*values, c.x.size());
    values->resize(c.x.size());
  }
  return r;
}

TEST_P(TrainingRowsProperty, NormBackwardIsTheDerivativeOfTheNorm) {
  Random random(1);
  for (const int n : kLengths) {
    const auto size = static_cast<size_t>(n);
    for (const bool layer_norm : {false, true}) {
      // One value alone has no deviation from its mean, and a derivative of the order of 1/√ε.
      if (layer_norm && n == 1) continue;
      const NormCase c{layer_norm, random.Normals(size), random.Normals(size), random.Normals(size)};
      const NormResult before{random.Normals(size), random.Normals(size), random.Normals(size)};
      const NormResult r = RunNorm(training(), c, before, false);
      const NormResult reference = RunNorm(TrainingTableFor(Reference()), c, before, false);
      ASSERT_TRUE(SameBits(r.dx, reference.dx));
      ASSERT_TRUE(SameBits(r.dweight, reference.dweight));
      ASSERT_TRUE(SameBits(r.dbias, reference.dbias));

      double mean = 0, square = 0, magnitude = 0, products = 0, sums = 0;
      for (const float x : c.x) mean += double{x} / n, magnitude += std::abs(double{x}) / n;
      if (!layer_norm) mean = 0;
      for (const float x : c.x) square += (x - mean) * (x - mean) / n;
      const double inverse = 1 / std::sqrt(square + c.eps);
      for (size_t i = 0; i < size; ++i) {
        products += std::abs(c.dy[i] * c.weight[i] * (c.x[i] - mean) * inverse) / n;
        sums += layer_norm ? std::abs(double{c.dy[i]} * c.weight[i]) / n : 0;
      }
      // Sums of n / 16 terms a lane and four folds; the mean's error reaches every difference.
      const double steps = (n / 16.0 + 16) * kUnit;
      const double mean_error = layer_norm ? steps * magnitude * inverse : 0;
      WorstError dx, dweight;
      Doubles at(c.x.begin(), c.x.end());
      for (size_t i = 0; i < size; ++i) {
        const double expected = Derivative(
            [&](double x) {
              const double keep = std::exchange(at[i], x);
              const double f = c.Forward(at);
              at[i] = keep;
              return f;
            },
            at[i]);
        const double normalised = (c.x[i] - mean) * inverse, h = std::abs(c.dy[i] * c.weight[i]);
        const double bound = 2 * inverse * steps * (h + sums + std::abs(normalised) * products) +
                             inverse * mean_error * (2 * products + std::abs(normalised) * (sums + 2 * products));
        dx.Check(i, r.dx[i], expected, bound + kDifferences * n * (1 + inverse * inverse * inverse));
        const double term = c.dy[i] * normalised;
        dweight.Check(i, r.dweight[i], before.dweight[i] + term,
                      std::abs(term) * steps + std::abs(c.dy[i]) * mean_error +
                          2 * kUnit * (std::abs(before.dweight[i]) + std::abs(term)) +
                          2 * kUnit * std::abs(c.dy[i] * mean * inverse));
        ASSERT_EQ(r.dbias[i], layer_norm ? before.dbias[i] + c.dy[i] : before.dbias[i]);
      }
      ASSERT_TRUE(dx.ok()) << "dx, n " << n << ", layer_norm " << layer_norm << ": " << dx.line();
      ASSERT_TRUE(dweight.ok()) << "dweight, n " << n << ", layer_norm " << layer_norm << ": " << dweight.line();

      const NormResult added = RunNorm(training(), c, before, true);
      for (size_t i = 0; i < size; ++i) ASSERT_EQ(added.dx[i], before.dx[i] + r.dx[i]);
    }
  }
}

struct GateCase {
  Activation act;
  double (*forward)(double);
  // Error of the slope at x: that of σ or Φ, once and with the factor x.
  double (*bound)(double);
};
// σ = 1 / (1 + e) where e errs by its 2 ulp and by its argument's roundings.
double SigmoidBound(double x, double sigmoid, double argument_error, double inner) {
  const double error = sigmoid * ((1 - sigmoid) * (4 * kUnit + argument_error) + 2 * kUnit);
  return error + std::abs(x) * inner * (error + 6 * kUnit * sigmoid * (1 - sigmoid)) + 2 * kUnit;
}
double Inner(double x) { return 2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x); }
const GateCase kGates[] = {
    {Activation::kSilu, [](double x) { return x / (1 + std::exp(-x)); },
     [](double x) { return SigmoidBound(x, 1 / (1 + std::exp(-x)), 0, 1); }},
    {Activation::kGeluTanh, [](double x) { return x / (1 + std::exp(-Inner(x))); },
     [](double x) {
       return SigmoidBound(x, 1 / (1 + std::exp(-Inner(x))), 5 * kUnit * std::abs(Inner(x)), 1.6 + 0.22 * x * x);
     }},
    {Activation::kGeluErf, [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); },
     [](double x) {
       const double tail = 0.5 * std::erfc(std::abs(x) / std::sqrt(2.0)), density = std::exp(-x * x / 2);
       return tail * (4.3e-8 + (24 + 2 * x * x) * kUnit) + std::abs(x) * density * (8 + 2 * x * x) * kUnit + 2 * kUnit;
     }},
};

TEST_P(TrainingRowsProperty, GateBackwardIsTheDerivativeOfTheGate) {
  for (const GateCase& gate : kGates) {
    Floats x;
    for (double at = -25; at <= 25; at += 0.0137) x.push_back(static_cast<float>(at));
    const auto n = static_cast<int32_t>(x.size());
    const Floats ones(x.size(), 1.0f);
    Floats slope(x.size()), reference(x.size());
    training().gate_backward({x.data(), nullptr, ones.data(), slope.data(), nullptr, n, gate.act});
    TrainingTableFor(Reference())
        .gate_backward({x.data(), nullptr, ones.data(), reference.data(), nullptr, n, gate.act});
    ASSERT_TRUE(SameBits(slope, reference));
    WorstError worst;
    for (size_t i = 0; i < x.size(); ++i) {
      worst.Check(i, slope[i], Derivative(gate.forward, x[i]), gate.bound(x[i]) + kDifferences);
    }
    EXPECT_TRUE(worst.ok()) << "activation " << static_cast<int>(gate.act) << ": " << worst.line();
  }
}

TEST_P(TrainingRowsProperty, GateBackwardSharesBetweenGateAndUp) {
  Random random(2);
  for (const int n : kLengths) {
    const auto size = static_cast<size_t>(n);
    const Floats gate = random.Normals(size), up = random.Normals(size), dout = random.Normals(size);
    for (const GateCase& c : kGates) {
      const Floats ones(size, 1.0f);
      Floats slope(size), value(size), dgate = WithMargin(gate), dup = WithMargin(up);
      training().gate_backward({gate.data(), nullptr, ones.data(), slope.data(), nullptr, n, c.act});
      table().gate(gate.data(), nullptr, value.data(), n, c.act);
      training().gate_backward({dgate.data(), dup.data(), dout.data(), dgate.data(), dup.data(), n, c.act});
      for (size_t i = 0; i < size; ++i) {
        ASSERT_EQ(dgate[i], dout[i] * up[i] * slope[i]);
        ASSERT_EQ(dup[i], dout[i] * value[i]);
      }
      ExpectMargin(dgate, size);
      ExpectMargin(dup, size);
    }
  }
}

TEST_P(TrainingRowsProperty, GateBackwardOfWhatIsLargeIsZeroOrOne) {
  const Floats x = {1e30f, kInfinity, 200, -1e30f, -kInfinity, -200, std::nanf("")};
  for (const GateCase& c : kGates) {
    const Floats ones(x.size(), 1.0f);
    Floats slope(x.size());
    training().gate_backward({x.data(), nullptr, ones.data(), slope.data(), nullptr, 7, c.act});
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(slope[i], 1.0f) << x[i];
    for (size_t i = 3; i < 6; ++i) EXPECT_EQ(slope[i], 0.0f) << x[i];
    EXPECT_TRUE(std::isnan(slope[6]));
  }
}

TEST_P(TrainingRowsProperty, RopeBackwardIsTheTranspose) {
  Random random(3);
  for (int rotary = 2; rotary <= 70; rotary += 2) {
    const int heads = random.Int(1, 3), head_dim = rotary + random.Int(0, 9), half = rotary / 2;
    const auto size = static_cast<size_t>(heads * head_dim);
    const Floats x = random.Normals(size), y = random.Normals(size);
    Floats angles(static_cast<size_t>(rotary));
    for (int i = 0; i < half; ++i) {
      const float angle = random.Normal();
      angles[static_cast<size_t>(i)] = std::cos(angle);
      angles[static_cast<size_t>(half + i)] = std::sin(angle);
    }
    Floats rotated = x, back = WithMargin(y), reference = WithMargin(y);
    table().rope({rotated.data(), angles.data(), heads, head_dim, rotary});
    training().rope_backward({back.data(), angles.data(), heads, head_dim, rotary});
    TrainingTableFor(Reference()).rope_backward({reference.data(), angles.data(), heads, head_dim, rotary});
    ASSERT_TRUE(SameBits(back, reference));
    ExpectMargin(back, size);
    // ⟨R x, y⟩ = ⟨x, Rᵀ y⟩
    double left = 0, right = 0, magnitude = 0;
    for (size_t i = 0; i < size; ++i) {
      left += double{rotated[i]} * y[i];
      right += double{x[i]} * back[i];
      magnitude += 2 * std::abs(x[i] * y[i]) + std::abs(rotated[i] * y[i]) + std::abs(x[i] * back[i]);
    }
    ASSERT_NEAR(left, right, 4 * kUnit * magnitude) << rotary;
  }
}

TEST_P(TrainingRowsProperty, CrossEntropyGivesTheLossAndItsGradient) {
  Random random(4);
  for (const int n : {1, 2, 15, 16, 17, 100, 1000, 1024, 1040, 3001}) {
    for (const float offset : {0.0f, -300.0f, 500.0f}) {
      const auto size = static_cast<size_t>(n);
      Floats logits = random.Normals(size);
      for (float& logit : logits) logit = 3 * logit + offset;
      const int target = random.Int(0, n - 1);
      const float scale = 0.125f;
      double max = -1e300, sum = 0;
      for (const float logit : logits) max = std::max<double>(max, logit);
      for (const float logit : logits) sum += std::exp(logit - max);
      Floats gradient = WithMargin(logits), reference = WithMargin(logits);
      const double loss = training().cross_entropy(gradient.data(), n, target, scale);
      ASSERT_EQ(loss, TrainingTableFor(Reference()).cross_entropy(reference.data(), n, target, scale));
      ASSERT_TRUE(SameBits(gradient, reference));
      ExpectMargin(gradient, size);
      // Differences to the maximum round once, exponentials err by 2 ulp, and 64 vectors and their lanes are summed.
      const double relative = (2 * 30 + 4 + 70) * kUnit;
      ASSERT_NEAR(loss, std::log(sum) + max - logits[static_cast<size_t>(target)], relative) << n;
      WorstError worst;
      for (size_t i = 0; i < size; ++i) {
        const double p = std::exp(logits[i] - max) / sum, one = static_cast<int>(i) == target ? 1 : 0;
        worst.Check(i, gradient[i], scale * (p - one), scale * (p * relative + kUnit * one) + 1e-38);
      }
      ASSERT_TRUE(worst.ok()) << n << ": " << worst.line();
    }
  }
}

TEST_P(TrainingRowsProperty, CrossEntropyOfWhatIsNotFiniteIsNan) {
  for (const float bad : {std::nanf(""), kInfinity, -kInfinity}) {
    for (const size_t at : {size_t{0}, size_t{20}, size_t{34}}) {
      Floats logits(35, 1.0f);
      logits[at] = bad;
      EXPECT_TRUE(std::isnan(training().cross_entropy(logits.data(), 35, 3, 1.0f)));
      for (const float gradient : logits) EXPECT_TRUE(std::isnan(gradient));
    }
  }
}

TEST_P(TrainingRowsProperty, AdamwTakesTheStepOfItsPaper) {
  Random random(5);
  for (const int n : kLengths) {
    const auto size = static_cast<size_t>(n);
    Floats value = random.Normals(size), gradient = random.Normals(size), first = random.Normals(size), second(size);
    for (size_t i = 0; i < size; ++i) second[i] = std::abs(random.Normal());
    const Floats before = value, first_before = first, second_before = second;
    Floats expected[3] = {value, first, second};
    AdamWArgs a{};
    a.gradient = gradient.data();
    a.n = n;
    a.gradient_scale = 0.7f;
    a.rate = 0.01f;
    a.beta1 = 0.9f;
    a.beta2 = 0.95f;
    a.eps = 1e-8f;
    a.weight_decay = 0.1f;
    const int step = 3;
    a.correction1 = static_cast<float>(1 / (1 - std::pow(0.9, step)));
    a.correction2 = static_cast<float>(1 / (1 - std::pow(0.95, step)));
    a.value = expected[0].data();
    a.first = expected[1].data();
    a.second = expected[2].data();
    TrainingTableFor(Reference()).adamw(a);
    Floats with_margin[3] = {WithMargin(value), WithMargin(first), WithMargin(second)};
    a.value = with_margin[0].data();
    a.first = with_margin[1].data();
    a.second = with_margin[2].data();
    training().adamw(a);
    for (int k = 0; k < 3; ++k) {
      ExpectMargin(with_margin[k], size);
      with_margin[k].resize(size);
      ASSERT_TRUE(SameBits(with_margin[k], expected[k]));
    }
    for (size_t i = 0; i < size; ++i) {
      const double g = double{0.7f} * gradient[i];
      const double m = 0.9 * first_before[i] + 0.1 * g, v = 0.95 * second_before[i] + 0.05 * g * g;
      const double m_hat = m / (1 - std::pow(0.9, step)), v_hat = v / (1 - std::pow(0.95, step));
      const double next = before[i] - 0.01 * (m_hat / (std::sqrt(v_hat) + 1e-8) + 0.1 * before[i]);
      // The constants themselves are rounded: 1 − β is 2⁻²⁴ / (1 − β) off.
      const double m_bound = (std::abs(first_before[i]) + std::abs(g)) * 8 * kUnit, v_bound = v * 40 * kUnit;
      ASSERT_NEAR(expected[1][i], m, m_bound);
      ASSERT_NEAR(expected[2][i], v, v_bound);
      const double root = std::sqrt(v_hat) + 1e-8;
      ASSERT_NEAR(expected[0][i], next,
                  4 * kUnit * std::abs(before[i]) + 0.01 / root * (4 * m_bound + std::abs(m_hat) * 40 * kUnit));
    }
  }
}

TEST_P(TrainingRowsProperty, LsqBackwardFollowsItsEquations) {
  Random random(6);
  for (const int n : {1, 15, 16, 17, 300, 1024, 1030, 5000}) {
    for (const bool is_signed : {true, false}) {
      const auto size = static_cast<size_t>(n);
      const Floats x = random.Normals(size), dy = random.Normals(size);
      const float step = 0.25f, high = 7, low = is_signed ? -7.0f : 0.0f;  // a step whose quotients are exact
      Floats dx = WithMargin(dy), reference(size);
      const double sum = training().lsq_backward({x.data(), dx.data(), dx.data(), n, step, low, high});
      ASSERT_EQ(
          sum, TrainingTableFor(Reference()).lsq_backward({x.data(), dy.data(), reference.data(), n, step, low, high}));
      ExpectMargin(dx, size);
      double expected = 0, magnitude = 0;
      for (size_t i = 0; i < size; ++i) {
        const double v = double{x[i]} / step;
        const bool inside = low < v && v < high;
        ASSERT_EQ(dx[i], inside ? dy[i] : 0.0f);
        ASSERT_EQ(dx[i], reference[i]);
        const double term = dy[i] * (inside ? std::nearbyint(v) - v : std::clamp<double>(v, low, high));
        expected += term;
        magnitude += std::abs(term);
      }
      ASSERT_NEAR(sum, expected, magnitude * 72 * kUnit) << n;
    }
  }
}

TEST_P(TrainingRowsProperty, LsqBackwardWithoutAUsableStepIsZero) {
  for (const float step : {0.0f, -1.0f, 1e-40f, std::nanf("")}) {
    const Floats x(20, 1.0f), dy(20, 2.0f);
    Floats dx(20, 3.0f);
    EXPECT_EQ(training().lsq_backward({x.data(), dy.data(), dx.data(), 20, step, -7, 7}), 0);
    EXPECT_EQ(dx, Floats(20, 0.0f));
  }
}

TEST_P(TrainingRowsProperty, SumOfSquaresIsOneOfDoubles) {
  Random random(7);
  for (const int n : {0, 1, 15, 16, 17, 1000}) {
    Floats x = random.Normals(static_cast<size_t>(n));
    double expected = 0;
    for (const float value : x) expected += double{value} * value;
    const double sum = training().sum_of_squares(x.data(), n);
    EXPECT_NEAR(sum, expected, expected * n * 0x1p-52);
    EXPECT_EQ(sum, TrainingTableFor(Reference()).sum_of_squares(x.data(), n));
    if (n < 2) continue;
    x[1] = 1e30f;  // its square is no f32
    EXPECT_NEAR(training().sum_of_squares(x.data(), n), double{1e30f} * 1e30f, 1e45);
    x[1] = std::nanf("");
    EXPECT_TRUE(std::isnan(training().sum_of_squares(x.data(), n)));
  }
}

}  // namespace
}  // namespace lodestone::kernels
