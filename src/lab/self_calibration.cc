#include "lab/self_calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "hardware/host_limits.h"
#include "lab/limits.h"
#include "model/open_model.h"
#include "plan/machine_estimate.h"

namespace lodestone {
namespace {

constexpr size_t kMaxFileBytes = size_t{16} << 20;
constexpr int64_t kMaxTokens = int64_t{1} << 24;

// Factors that rows of one process tell, and their physical ends.
struct Searched {
  double Factors::*value;
  double low, high;
};
constexpr Searched kSearched[] = {
    {&Factors::matrix, 0.01, 1},      {&Factors::matrix_rows, 0.01, 64}, {&Factors::memory, 0.01, 1},
    {&Factors::kv, 0.01, 1},          {&Factors::attention, 0.005, 1},   {&Factors::vector, 0.005, 1},
    {&Factors::launch_s, 1e-8, 1e-3}, {&Factors::step_s, 1e-7, 1e-2},
};

Deployment HostDeployment(const Machine& host, const Efficiency& efficiency, const HostRow& row) {
  Deployment deployment;
  deployment.machine = host;
  deployment.level = EstimateLevel::kSelfCalibrated;
  deployment.efficiency = efficiency;
  deployment.prefill_chunk = row.prefill_chunk;
  return deployment;
}

InferenceLoad LoadOf(const InferenceCase& test) {
  if (test.tokens == 0) return {.batch = test.batch, .prompt_tokens = test.prompt_tokens, .output_tokens = 1};
  // Decoding behind `depth` positions: the first of them stands for a prompt.
  return {.batch = test.batch, .prompt_tokens = std::max<int64_t>(test.depth, 1), .output_tokens = test.tokens + 1};
}

double SecondsOf(const HostRow& row, const InferenceTimes& times) {
  return row.test.tokens == 0 ? times.ttft_s : times.decode_s;
}

// Of an array of positive numbers; none of anything else.
std::optional<double> MedianOf(const Json* samples) {
  if (samples == nullptr || samples->as_array() == nullptr || samples->as_array()->empty()) return {};
  std::vector<double> values;
  for (const Json& sample : *samples->as_array()) {
    const std::optional<double> value = sample.as_number();
    if (!value || *value <= 0) return {};
    values.push_back(*value);
  }
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// Factors of a class that stacks of servers have and a process on the host has not.
Efficiency StartOf(Efficiency efficiency) {
  const auto set = [&](Figure Efficiency::*member, double value) { (efficiency.*member) = Figure{.value = value}; };
  set(&Efficiency::heads_per_read, 1024);
  set(&Efficiency::sequence_s, 0);
  set(&Efficiency::run_s, 0);
  set(&Efficiency::reserved_bytes, 0);
  set(&Efficiency::step_s, 2e-5);
  set(&Efficiency::launch_s, 5e-6);
  set(&Efficiency::matrix_rows, 1);
  return efficiency;
}

class Search {
 public:
  Search(std::vector<InferencePlan> plans, std::span<const HostRow> rows, const Factors& start)
      : plans_(std::move(plans)), rows_(rows), start_(start), best_(start), objective_(Objective(start)) {}

  Factors Run() {
    for (double step = 0.5; step > 0.002; step /= 2) {
      bool moved = true;
      for (int round = 0; moved && round < 100; ++round) {
        moved = false;
        const Factors before = best_;
        for (const Searched& factor : kSearched) {
          moved |= Try(factor, std::exp(step)) || Try(factor, std::exp(-step));
        }
        if (moved) TryAgain(before);
      }
    }
    return best_;
  }

  // Root of the mean square of the rows' errors.
  double Error(const Factors& factors) const {
    double sum = 0;
    for (size_t i = 0; i < rows_.size(); ++i) {
      const double error = std::log(SecondsOf(rows_[i], plans_[i].TimesAt(factors)) / rows_[i].seconds);
      sum += error * error;
    }
    return std::sqrt(sum / static_cast<double>(rows_.size()));
  }

 private:
  // A weak pull towards the start holds what the rows do not tell.
  double Objective(const Factors& factors) const {
    const double error = Error(factors);
    double pull = 0;
    for (const Searched& factor : kSearched) {
      const double away = std::log(factors.*factor.value / start_.*factor.value);
      pull += away * away;
    }
    return error * error + 1e-5 * pull;
  }

  bool Try(const Searched& factor, double times) {
    Factors tried = best_;
    tried.*factor.value = std::clamp(best_.*factor.value * times, factor.low, factor.high);
    const double objective = Objective(tried);
    if (objective >= objective_) return false;
    objective_ = objective;
    best_ = tried;
    return true;
  }

  // The whole of the last round's move once more: valleys lie across the factors.
  void TryAgain(const Factors& before) {
    Factors tried = best_;
    for (const Searched& factor : kSearched) {
      const double value = best_.*factor.value * (best_.*factor.value / before.*factor.value);
      tried.*factor.value = std::clamp(value, factor.low, factor.high);
    }
    const double objective = Objective(tried);
    if (objective >= objective_) return;
    objective_ = objective;
    best_ = tried;
  }

  std::vector<InferencePlan> plans_;
  std::span<const HostRow> rows_;
  Factors start_, best_;
  double objective_;
};

}  // namespace

Result<std::vector<HostRow>> ReadHostRows(const std::string& path) {
  LODESTONE_ASSIGN_OR_RETURN(const Json json, ReadJsonFile(path, kMaxFileBytes));
  const Json::Array* array = json.as_array();
  if (array == nullptr) {
    return Invalid(fmt::format("{}: found {}, expected the rows that 'lodestone bench inference --json' prints", path,
                               json.TypeName()));
  }
  std::vector<HostRow> rows;
  for (const Json& entry : *array) {
    ObjectReader reader(entry, path, fmt::format("[{}]", rows.size()));
    HostRow row;
    const std::string model = reader.RequireString("model_type");
    const std::string recipe = reader.RequireString("recipe");
    row.test.prompt_tokens = reader.RequireInt("n_prompt", 0, kMaxTokens);
    row.test.tokens = reader.RequireInt("n_gen", 0, kMaxTokens);
    row.test.depth = reader.OptionalInt("n_depth", 0, 0, kMaxTokens);
    row.test.batch = static_cast<int>(reader.RequireInt("batch", 1, 1 << 20));
    row.prefill_chunk = static_cast<int>(reader.RequireInt("n_batch", 1, 1 << 24));
    row.seconds = reader.RequireNumber("avg_ns", 1, 1e18) * 1e-9;
    LODESTONE_RETURN_IF_ERROR(reader.status());
    if (const std::optional<double> median = MedianOf(reader.Optional("samples_ns"))) row.seconds = *median * 1e-9;
    if ((row.test.prompt_tokens > 0) == (row.test.tokens > 0)) {
      return Invalid(fmt::format("{}: row {}: one of n_prompt and n_gen must be 0", path, rows.size()));
    }
    LODESTONE_ASSIGN_OR_RETURN(row.config, OpenShape(model));
    row.config.max_positions = 0;  // what was run was within them
    LODESTONE_ASSIGN_OR_RETURN(row.recipe, ParseRecipe(recipe));
    row.name = fmt::format("{} {} {}{}", model, recipe, row.test.Name(),
                           row.test.batch > 1 ? fmt::format(" × {}", row.test.batch) : "");
    rows.push_back(std::move(row));
  }
  return rows;
}

Result<double> EstimatedSeconds(const Machine& host, const Efficiency& efficiency, const HostRow& row) {
  LODESTONE_ASSIGN_OR_RETURN(
      const InferencePlan plan,
      InferencePlan::Of(row.config, row.recipe, HostDeployment(host, efficiency, row), LoadOf(row.test)));
  return SecondsOf(row, plan.TimesAt(plan.factors()));
}

Result<SelfCalibration> SelfCalibrate(const Machine& host, std::span<const HostRow> rows) {
  if (rows.empty()) return Invalid("self-calibration needs rows of 'lodestone bench inference --json', and found none");
  SelfCalibration calibration;
  LODESTONE_ASSIGN_OR_RETURN(calibration.efficiency, EfficiencyOf(host, ""));
  calibration.efficiency = StartOf(std::move(calibration.efficiency));
  std::vector<InferencePlan> plans;
  for (const HostRow& row : rows) {
    LODESTONE_ASSIGN_OR_RETURN(
        InferencePlan plan,
        InferencePlan::Of(row.config, row.recipe, HostDeployment(host, calibration.efficiency, row), LoadOf(row.test)));
    plans.push_back(std::move(plan));
  }
  const Factors start = FactorsOf(calibration.efficiency);
  Search search(std::move(plans), rows, start);
  const Factors found = search.Run();
  calibration.error = search.Error(found);
  const double spread = std::exp(calibration.error);
  for (const FactorField& field : FactorFields()) {
    const auto searched = std::find_if(std::begin(kSearched), std::end(kSearched),
                                       [&](const Searched& s) { return s.value == field.value; });
    if (searched == std::end(kSearched)) continue;
    const double value = found.*field.value;
    calibration.efficiency.*field.figure = {.value = value,
                                            .source = FieldSource::kDerived,
                                            .note = fmt::format("fitted on {} rows of 'bench inference'", rows.size()),
                                            .low = value / spread,
                                            .high = std::min(value * spread, std::max(value, searched->high))};
  }
  return calibration;
}

Result<Machine> ThisHost(const std::optional<std::string>& limits_file) {
  std::string path;
  if (limits_file) {
    path = *limits_file;
  } else {
    LODESTONE_ASSIGN_OR_RETURN(path, HostLimitsPath());
  }
  LODESTONE_ASSIGN_OR_RETURN(const HostLimits limits, ReadHostLimits(path));
  return MachineOf(limits);
}

}  // namespace lodestone
