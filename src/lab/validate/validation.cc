#include "lab/validate/validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "hardware/machine.h"

namespace lodestone {
namespace {

constexpr int kLargestBatch = 64;
constexpr size_t kWorstRows = 10;
constexpr std::string_view kSurvey = "survey-2410.04466", kNorthPole = "northpole-hpec2024";
constexpr std::string_view kSingleSequences = "llama.cpp";  // its rows are of one sequence, whatever batch they state

struct Checked {
  const ValidationCase* question;
  Comparison comparison;
};

bool IsHeadlineMetric(const ValidationCase& question) {
  return question.row->metric == "total_throughput" && question.load.batch <= kLargestBatch;
}
bool IsHeadline(const ValidationCase& question) { return TakesPart(question) && IsHeadlineMetric(question); }

Comparison ComparisonOf(const ValidationCase& question, const Range& estimate) {
  return {question.row->value, estimate, question.is_rate()};
}

struct KnownMiss {
  std::string_view machine, stack, recipe, reason;
};
constexpr KnownMiss kKnownMisses[] = {
    {"m2-ultra", "llama.cpp", "w2a16", "this work unpacks 2 bits slower than 4"},
};

// Of rows beyond a factor of 2: what the data flag, or what is known of the work.
std::string ReasonFor(const PublishedRow& row, const Comparison& comparison) {
  if (std::abs(std::log2(comparison.Ratio())) <= 1) return row.caution;
  if (!row.caution.empty()) return row.caution;
  for (const KnownMiss& miss : kKnownMisses) {
    if (row.machine == miss.machine && row.stack == miss.stack && row.recipe == miss.recipe) {
      return std::string(miss.reason);
    }
  }
  return "not known";
}

// Groups in the order of their names.
class Groups {
 public:
  void Add(const std::string& name, const Comparison& comparison) { groups_[name].push_back(comparison); }
  std::vector<NamedAccuracy> Finish() const {
    std::vector<NamedAccuracy> named;
    for (const auto& [name, comparisons] : groups_) named.push_back({name, AccuracyOf(comparisons)});
    return named;
  }

 private:
  std::map<std::string, std::vector<Comparison>> groups_;
};

// The mean over the machines of each class.
std::map<std::string, double> ClassMape(const std::vector<Checked>& rows, const std::vector<NamedAccuracy>& machines) {
  std::map<std::string, std::string> class_of;
  for (const Checked& row : rows) {
    class_of[row.question->row->machine] = row.question->deployment.machine.efficiency_class;
  }
  std::map<std::string, std::vector<double>> of_class;
  for (const NamedAccuracy& machine : machines) of_class[class_of[machine.name]].push_back(machine.accuracy.mape);
  std::map<std::string, double> means;
  for (const auto& [name, mapes] : of_class) {
    means[name] = std::accumulate(mapes.begin(), mapes.end(), 0.0) / static_cast<double>(mapes.size());
  }
  return means;
}

// The entries of the catalogue that were fitted, one a machine and stack.
Result<std::vector<CalibratedEntry>> CatalogCalibration(const std::vector<Checked>& rows) {
  std::map<std::pair<std::string, std::string>, const ValidationCase*> known;
  for (const Checked& row : rows) {
    known.emplace(std::pair(row.question->row->machine, row.question->row->stack), row.question);
  }
  std::vector<CalibratedEntry> entries;
  for (const auto& [key, question] : known) {
    const Machine& machine = question->deployment.machine;
    LODESTONE_ASSIGN_OR_RETURN(Efficiency efficiency, EfficiencyOf(machine, key.second));
    entries.push_back({.machine = key.first,
                       .efficiency_class = machine.efficiency_class,
                       .stack = key.second,
                       .machines = {},
                       .efficiency = std::move(efficiency)});
  }
  return entries;
}

Result<LeftOutMachine> LeaveOut(const std::string& name, const std::vector<Checked>& rows,
                                const std::vector<CalibratedEntry>& entries) {
  LeftOutMachine left{.machine = name, .teachers = {}, .unknown_stacks = {}, .known = {}, .all = {}};
  std::vector<Comparison> known, all;
  std::set<std::string> teachers, unknown;
  std::map<std::string, std::optional<CalibratedEntry>> of_stack;
  for (const Checked& row : rows) {
    const ValidationCase& question = *row.question;
    if (question.row->machine != name) continue;
    const Machine& machine = question.deployment.machine;
    const std::string& stack = question.row->stack;
    const auto [entry, added] = of_stack.try_emplace(stack);
    if (added) entry->second = ClassEntry(entries, machine.efficiency_class, stack, name);
    LODESTONE_ASSIGN_OR_RETURN(const Efficiency assumed, EfficiencyOf(machine, ""));
    const Result<Range> estimate = EstimateOf(question, entry->second ? entry->second->efficiency : assumed);
    if (!estimate.ok()) {
      ++left.refused;
      continue;
    }
    all.push_back(ComparisonOf(question, *estimate));
    if (entry->second) {
      known.push_back(all.back());
      teachers.insert(entry->second->machines.begin(), entry->second->machines.end());
    } else {
      unknown.insert(stack);
    }
  }
  left.teachers.assign(teachers.begin(), teachers.end());
  left.unknown_stacks.assign(unknown.begin(), unknown.end());
  left.known = AccuracyOf(known);
  left.all = AccuracyOf(all);
  return left;
}

std::string GroupBeside(const ValidationCase& question) {
  const PublishedRow& row = *question.row;
  if (!row.caution.empty()) {
    return fmt::format("{}: flagged, {}", row.source, row.caution.substr(0, row.caution.find(':')));
  }
  if (row.source != "llm-inference-bench") return row.source;
  if (question.mixture_of_experts()) return fmt::format("{}: mixture of experts", row.source);
  if (!row.method.empty()) return fmt::format("{}: {}", row.source, row.method.substr(0, row.method.find('=')));
  if (row.recipe != "bf16") return fmt::format("{}: {}", row.source, row.recipe);
  if (!row.parallelism.empty()) return fmt::format("{}: pipeline and expert parallel", row.source);
  if (row.metric != "total_throughput") return fmt::format("{}: {}", row.source, row.metric);
  return fmt::format("{}: {}", row.source, row.place == "All_results" ? "larger batches" : "other tables");
}

Status AddTraining(std::span<const PublishedRow> rows, Validation& validation) {
  LODESTONE_ASSIGN_OR_RETURN(TrainingChecks checks, CheckTraining(rows));
  validation.training_refused = std::move(checks.refused);
  Groups gpus;
  for (TrainingCheck& check : checks.checks) {
    LODESTONE_ASSIGN_OR_RETURN(const Machine machine, LoadMachine(check.row->machine));
    if (machine.platform == Platform::kGpu) {
      gpus.Add(fmt::format("{}, {}", check.row->shape, check.row->machine), check.comparison);
    } else {
      validation.training.push_back(std::move(check));
    }
  }
  validation.training_gpus = gpus.Finish();
  return {};
}

}  // namespace

Result<Validation> Validate() {
  LODESTONE_ASSIGN_OR_RETURN(const std::span<const PublishedRow> rows, CatalogPublishedRows());
  LODESTONE_ASSIGN_OR_RETURN(const CaseList list, CasesOf(rows));
  Validation validation;
  validation.rows = static_cast<int>(list.cases.size() + list.unmodelled.size());
  for (const UnmodelledRow& row : list.unmodelled) ++validation.unmodelled[row.reason];

  Groups machines, machines_kept, machine_stacks, models, beside;
  std::vector<Checked> headline;
  for (const ValidationCase& question : list.cases) {
    const Result<Range> estimate = EstimateOf(question);
    if (!estimate.ok()) return estimate.error();
    const PublishedRow& row = *question.row;
    const Comparison comparison = ComparisonOf(question, *estimate);
    if (IsOfTheStudy(question) && IsHeadlineMetric(question) && row.stack != kSingleSequences) {
      machines_kept.Add(row.machine, comparison);
    }
    if (IsHeadline(question)) {
      headline.push_back({&question, comparison});
      machines.Add(row.machine, comparison);
      machine_stacks.Add(fmt::format("{}, {}", row.machine, row.stack), comparison);
      models.Add(row.shape, comparison);
    } else {
      beside.Add(GroupBeside(question), comparison);
    }
    if (row.source == kSurvey) validation.survey.push_back({&row, comparison, ReasonFor(row, comparison)});
    if (row.source == kNorthPole) validation.northpole.push_back({&row, comparison, row.caution});
  }
  validation.machines = machines.Finish();
  validation.machines_kept = machines_kept.Finish();
  validation.machine_stacks = machine_stacks.Finish();
  validation.models = models.Finish();
  validation.beside = beside.Finish();

  validation.class_mape = ClassMape(headline, validation.machines);

  LODESTONE_ASSIGN_OR_RETURN(const std::vector<CalibratedEntry> entries, CatalogCalibration(headline));
  for (const NamedAccuracy& machine : validation.machines) {
    LODESTONE_ASSIGN_OR_RETURN(LeftOutMachine left, LeaveOut(machine.name, headline, entries));
    if (!left.teachers.empty()) validation.left_out.push_back(std::move(left));
  }

  std::stable_sort(headline.begin(), headline.end(), [](const Checked& a, const Checked& b) {
    return std::abs(std::log(a.comparison.Ratio())) > std::abs(std::log(b.comparison.Ratio()));
  });
  for (size_t i = 0; i < std::min(kWorstRows, headline.size()); ++i) {
    validation.worst.push_back({headline[i].question->row, headline[i].comparison, ""});
  }
  LODESTONE_RETURN_IF_ERROR(AddTraining(rows, validation));
  return validation;
}

}  // namespace lodestone
