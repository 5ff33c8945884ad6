#include "lab/validate/fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

namespace lodestone {
namespace {

constexpr FitField kFields[] = {
    {&Factors::matrix, 0.02, 0.95, 0.6},        {&Factors::matrix_rows, 1, 400, 16},
    {&Factors::memory, 0.1, 0.95, 0.75},        {&Factors::kv, 0.05, 0.95, 0.7},
    {&Factors::heads_per_read, 1, 16, 2},       {&Factors::launch_s, 1e-7, 1e-4, 5e-6},
    {&Factors::step_s, 1e-6, 0.05, 1e-3},       {&Factors::sequence_s, 1e-7, 1e-3, 2e-5},
    {&Factors::collective_s, 1e-7, 1e-3, 1e-5}, {&Factors::link, 0.02, 0.95, 0.4},
    {&Factors::run_s, 1e-4, 60, 1e-3},
};
constexpr size_t kFitted = std::size(kFields);
constexpr double kRunStarts[] = {1e-3, 1};  // seconds; the loss has a valley at each
// The first is right where memory is ample and rows do not tell; another must be better by a hundredth.
constexpr double kReservedBytes[] = {1e9, 0.5e9, 1.5e9, 2e9, 2.5e9, 3e9, 3.5e9};
constexpr double kClearlyBetter = 0.99;
constexpr double kHuber = 0.08;  // of a logarithm
// Weights of a squared logarithm; rows weigh 200 together. Strong enough to settle what the rows leave open (overheads
// a kernel against overheads a step), weak beside what they tell. A start of the run stands apart: some stacks have
// none.
constexpr double kPrior = 0.15, kRunPrior = 1e-3;
constexpr double kRowWeight = 200, kTtftWeight = 3;
constexpr int kCoarse = 10, kFine = 60;                   // steps
constexpr double kLongestStep = 0.7, kDifference = 1e-4;  // of a logarithm

double PriorOf(size_t field) { return kFields[field].value == &Factors::run_s ? kRunPrior : kPrior; }

using Vector = std::array<double, kFitted>;
using Matrix = std::array<Vector, kFitted>;

// a x = b for the rows that are `free`; x is 0 elsewhere. `a` is positive definite.
Vector Solve(Matrix a, Vector b, const std::array<bool, kFitted>& free) {
  for (size_t i = 0; i < kFitted; ++i) {
    if (free[i]) continue;
    for (size_t j = 0; j < kFitted; ++j) a[i][j] = a[j][i] = 0;
    a[i][i] = 1;
    b[i] = 0;
  }
  for (size_t i = 0; i < kFitted; ++i) {
    for (size_t row = i + 1; row < kFitted; ++row) {
      const double by = a[row][i] / a[i][i];
      for (size_t j = i; j < kFitted; ++j) a[row][j] -= by * a[i][j];
      b[row] -= by * b[i];
    }
  }
  for (size_t i = kFitted; i-- > 0;) {
    for (size_t j = i + 1; j < kFitted; ++j) b[i] -= a[i][j] * b[j];
    b[i] /= a[i][i];
  }
  return b;
}

// Rows with their schedules at one figure of reserved bytes.
class Problem {
 public:
  static Result<Problem> Of(std::span<const ValidationCase* const> cases, const Efficiency& base,
                            double reserved_bytes) {
    Problem problem;
    problem.base_ = FactorsOf(base);
    problem.base_.reserved_bytes = reserved_bytes;
    Efficiency efficiency = base;
    efficiency.reserved_bytes.value = reserved_bytes;
    std::map<std::string, int> of_model;
    for (const ValidationCase* one : cases) ++of_model[one->row->shape];
    double total = 0;
    for (const ValidationCase* one : cases) {
      Deployment deployment = one->deployment;
      deployment.efficiency = efficiency;
      LODESTONE_ASSIGN_OR_RETURN(InferencePlan plan,
                                 InferencePlan::Of(one->config, one->recipe, deployment, one->load));
      const double weight = (one->row->metric == "ttft" ? kTtftWeight : 1.0) / std::sqrt(of_model[one->row->shape]);
      problem.rows_.push_back({one, std::move(plan), weight});
      total += weight;
    }
    for (Row& row : problem.rows_) row.weight *= kRowWeight / total;
    return problem;
  }

  Factors FactorsAt(const Vector& x) const {
    Factors factors = base_;
    for (size_t i = 0; i < kFitted; ++i) factors.*kFields[i].value = std::exp(x[i]);
    factors.attention = factors.matrix;
    return factors;
  }

  std::vector<double> ResidualsAt(const Vector& x) const {
    const Factors factors = FactorsAt(x);
    std::vector<double> residuals;
    residuals.reserve(rows_.size());
    for (const Row& row : rows_) {
      residuals.push_back(std::log(row.question->ValueAt(row.plan.TimesAt(factors)) / row.question->row->value));
    }
    return residuals;
  }

  double ObjectiveAt(const Vector& x, const std::vector<double>& residuals) const {
    double sum = 0;
    for (size_t i = 0; i < rows_.size(); ++i) {
      const double r = std::abs(residuals[i]);
      sum += rows_[i].weight * (r < kHuber ? r * r / 2 : kHuber * (r - kHuber / 2));
    }
    for (size_t i = 0; i < kFitted; ++i) sum += PriorOf(i) / 2 * std::pow(x[i] - std::log(kFields[i].start), 2);
    return sum;
  }

  // Improves x; its objective.
  double Descend(Vector& x, int steps) const {
    std::vector<double> residuals = ResidualsAt(x);
    double objective = ObjectiveAt(x, residuals), damping = 1e-2;
    for (int step = 0; step < steps; ++step) {
      Matrix normal{};
      Vector gradient{};
      Linearize(x, residuals, normal, gradient);
      bool better = false;
      for (int attempt = 0; attempt < 12 && !better; ++attempt) {
        Vector next = Step(x, normal, gradient, damping);
        std::vector<double> next_residuals = ResidualsAt(next);
        const double next_objective = ObjectiveAt(next, next_residuals);
        better = next_objective < objective;
        if (better) {
          const bool done = objective - next_objective < 1e-6 * objective;
          x = next;
          residuals = std::move(next_residuals);
          objective = next_objective;
          damping = std::max(damping / 3, 1e-6);
          if (done) return objective;
        } else {
          damping *= 4;
        }
      }
      if (!better) break;
    }
    return objective;
  }

 private:
  struct Row {
    const ValidationCase* question;
    InferencePlan plan;
    double weight;
  };

  // The normal equations of the reweighted least squares at x (P. J. Huber, 1964).
  void Linearize(const Vector& x, const std::vector<double>& residuals, Matrix& normal, Vector& gradient) const {
    std::array<std::vector<double>, kFitted> moved;
    for (size_t i = 0; i < kFitted; ++i) {
      Vector there = x;
      there[i] += kDifference;
      moved[i] = ResidualsAt(there);
    }
    for (size_t row = 0; row < rows_.size(); ++row) {
      const double weight = rows_[row].weight * std::min(1.0, kHuber / std::max(std::abs(residuals[row]), 1e-12));
      Vector slope;
      for (size_t i = 0; i < kFitted; ++i) slope[i] = (moved[i][row] - residuals[row]) / kDifference;
      for (size_t i = 0; i < kFitted; ++i) {
        gradient[i] += weight * slope[i] * residuals[row];
        for (size_t j = 0; j < kFitted; ++j) normal[i][j] += weight * slope[i] * slope[j];
      }
    }
    for (size_t i = 0; i < kFitted; ++i) {
      gradient[i] += PriorOf(i) * (x[i] - std::log(kFields[i].start));
      normal[i][i] += PriorOf(i);
    }
  }

  // Factors that press against their ends stay there.
  static Vector Step(const Vector& x, Matrix normal, Vector gradient, double damping) {
    std::array<bool, kFitted> free;
    for (size_t i = 0; i < kFitted; ++i) {
      const double low = std::log(kFields[i].low), high = std::log(kFields[i].high);
      free[i] = !(x[i] <= low && gradient[i] > 0) && !(x[i] >= high && gradient[i] < 0);
      normal[i][i] *= 1 + damping;
      gradient[i] = -gradient[i];
    }
    const Vector by = Solve(normal, gradient, free);
    Vector next = x;
    for (size_t i = 0; i < kFitted; ++i) {
      next[i] = std::clamp(x[i] + std::clamp(by[i], -kLongestStep, kLongestStep), std::log(kFields[i].low),
                           std::log(kFields[i].high));
    }
    return next;
  }

  Factors base_;
  std::vector<Row> rows_;
};

Vector StartWith(double run_s) {
  Vector x;
  for (size_t i = 0; i < kFitted; ++i) {
    x[i] = std::log(kFields[i].value == &Factors::run_s ? run_s : kFields[i].start);
  }
  return x;
}

}  // namespace

std::span<const FitField> FitFields() { return kFields; }

Result<Fit> FitFactors(std::span<const ValidationCase* const> cases, const Efficiency& base) {
  if (cases.empty()) return Invalid("a fit needs rows");
  Fit best{.factors = {}, .objective = std::numeric_limits<double>::infinity(), .rows = static_cast<int>(cases.size())};
  Vector best_x{};
  std::optional<Error> refused;
  for (const double reserved : kReservedBytes) {
    const Result<Problem> problem = Problem::Of(cases, base, reserved);
    if (!problem.ok()) {
      refused = problem.error();
      break;  // more will not fit either
    }
    for (const double run_s : kRunStarts) {
      Vector x = StartWith(run_s);
      const double objective = problem->Descend(x, kCoarse);
      const bool first = !std::isfinite(best.objective) || reserved == best.factors.reserved_bytes;
      if (objective >= best.objective * (first ? 1 : kClearlyBetter)) continue;
      best.objective = objective;
      best.factors.reserved_bytes = reserved;
      best_x = x;
    }
  }
  if (!std::isfinite(best.objective)) return *refused;
  LODESTONE_ASSIGN_OR_RETURN(const Problem problem, Problem::Of(cases, base, best.factors.reserved_bytes));
  best.objective = problem.Descend(best_x, kFine);
  best.factors = problem.FactorsAt(best_x);
  return best;
}

}  // namespace lodestone
