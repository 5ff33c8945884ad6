#include "lab/validate/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>

#include "lab/validate/accuracy.h"
#include "lab/validate/fit.h"

namespace lodestone {
namespace {

// The same chip beside another memory: what was fitted on one holds for the other.
struct Sister {
  std::string_view machine, of;
};
constexpr Sister kSisters[] = {{"a100-80gb", "a100-40gb"}};

constexpr double kSmallestSpread = 0.01, kLargestSpread = 2;
constexpr int kHalvings = 10;

// Digits that are written, so that a file read back gives what was tested.
double Rounded(double value) { return std::strtod(fmt::format("{:.4g}", value).c_str(), nullptr); }

bool IsFitted(double Factors::*factor) {
  const std::span<const FitField> fields = FitFields();
  // As the fit ties them: attention is as matrix.
  return factor == &Factors::attention ||
         std::any_of(fields.begin(), fields.end(), [&](const FitField& field) { return field.value == factor; });
}

// The class's figures, with those that were fitted in place, each with its ends. As in the text of the file.
Efficiency WithSpread(const Efficiency& base, const Factors& factors, double spread) {
  Efficiency efficiency = base;
  for (size_t i = 0; i < kFactors; ++i) {
    const FactorField& field = FactorFields()[i];
    Figure figure{.value = Rounded(factors.*field.value),
                  .source = FieldSource::kDerived,
                  .note = "fitted on published rows",
                  .low = {},
                  .high = {}};
    if (IsFitted(field.value)) {
      const double most = EfficiencyFields()[i].share ? 1 : 1e12;
      const double least = field.value == &Factors::heads_per_read ? 1 : 0;
      figure.low = Rounded(std::max(figure.value * std::exp(-spread), least));
      figure.high = Rounded(std::min(figure.value * std::exp(spread), most));
    } else if (field.value != &Factors::reserved_bytes) {
      continue;  // the class's own
    }
    efficiency.*field.figure = std::move(figure);
  }
  return efficiency;
}

Result<std::vector<Comparison>> Compare(std::span<const ValidationCase* const> cases, const Efficiency& efficiency) {
  std::vector<Comparison> comparisons;
  for (const ValidationCase* question : cases) {
    LODESTONE_ASSIGN_OR_RETURN(const Range estimate, EstimateOf(*question, efficiency));
    comparisons.push_back({question->row->value, estimate, question->is_rate()});
  }
  return comparisons;
}

// By halving on the logarithm; the share inside grows with the spread.
Result<double> SpreadThatHolds(std::span<const ValidationCase* const> cases, const Efficiency& base,
                               const Factors& factors) {
  double low = std::log(kSmallestSpread), high = std::log(kLargestSpread);
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<Comparison> comparisons,
                               Compare(cases, WithSpread(base, factors, std::exp(middle))));
    (AccuracyOf(comparisons).inside >= kCoverage ? high : low) = middle;
  }
  return Rounded(std::exp(high));
}

std::string FigureText(const Figure& figure) {
  std::string text = fmt::format("{{value = {:.4g}", figure.value);
  if (figure.low) text += fmt::format(", low = {:.4g}, high = {:.4g}", *figure.low, *figure.high);
  return text + fmt::format(", source = \"derived\", note = \"{}\"}}", figure.note);
}

}  // namespace

bool IsOfTheStudy(const ValidationCase& question) {
  const PublishedRow& row = *question.row;
  const bool table = row.metric == "total_throughput" && row.place == "All_results";
  return row.source == "llm-inference-bench" && (table || row.metric == "ttft") && row.method.empty() &&
         row.recipe == "bf16" && !row.stack.empty() && row.parallelism.empty() && !question.mixture_of_experts();
}

bool TakesPart(const ValidationCase& question) { return IsOfTheStudy(question) && question.row->caution.empty(); }

Result<std::vector<CalibratedEntry>> Calibrate(std::span<const ValidationCase> cases) {
  std::map<std::pair<std::string, std::string>, std::vector<const ValidationCase*>> groups;
  for (const ValidationCase& question : cases) {
    if (TakesPart(question)) groups[{question.row->machine, question.row->stack}].push_back(&question);
  }
  std::vector<CalibratedEntry> entries;
  std::set<std::pair<std::string, std::string>> classes;
  for (const auto& [key, members] : groups) {
    const Machine& machine = members[0]->deployment.machine;
    // Of the class, whatever the stack: nothing that an earlier calibration wrote.
    LODESTONE_ASSIGN_OR_RETURN(const Efficiency base, EfficiencyOf(machine, ""));
    LODESTONE_ASSIGN_OR_RETURN(const Fit fit, FitFactors(members, base));
    LODESTONE_ASSIGN_OR_RETURN(const double spread, SpreadThatHolds(members, base, fit.factors));
    CalibratedEntry entry{.machine = key.first,
                          .efficiency_class = machine.efficiency_class,
                          .stack = key.second,
                          .machines = {},
                          .efficiency = WithSpread(base, fit.factors, spread),
                          .rows = fit.rows,
                          .spread = spread};
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<Comparison> comparisons, Compare(members, entry.efficiency));
    entry.mape = AccuracyOf(comparisons).mape;
    entries.push_back(std::move(entry));
    classes.emplace(machine.efficiency_class, key.second);
  }
  std::vector<CalibratedEntry> of_classes, of_sisters;
  for (const Sister& sister : kSisters) {
    for (const CalibratedEntry& entry : entries) {
      if (entry.machine != sister.of) continue;
      CalibratedEntry copy = entry;
      copy.machine = sister.machine;
      copy.machines = {entry.machine};
      of_sisters.push_back(std::move(copy));
    }
  }
  for (const auto& [efficiency_class, stack] : classes) {
    of_classes.push_back(*ClassEntry(entries, efficiency_class, stack));
  }
  entries.insert(entries.end(), of_sisters.begin(), of_sisters.end());
  entries.insert(entries.end(), of_classes.begin(), of_classes.end());
  return entries;
}

std::optional<CalibratedEntry> ClassEntry(std::span<const CalibratedEntry> entries, const std::string& efficiency_class,
                                          const std::string& stack, const std::string& left_out) {
  std::vector<const CalibratedEntry*> members;
  for (const CalibratedEntry& entry : entries) {
    if (!entry.machine.empty() && entry.machine != left_out && entry.efficiency_class == efficiency_class &&
        entry.stack == stack) {
      members.push_back(&entry);
    }
  }
  if (members.empty()) return std::nullopt;
  CalibratedEntry made;
  made.efficiency_class = efficiency_class;
  made.stack = stack;
  made.efficiency = members[0]->efficiency;
  for (const CalibratedEntry* member : members) {
    made.machines.push_back(member->machine);
    made.rows += member->rows;
  }
  for (const FactorField& field : FactorFields()) {
    Figure& figure = made.efficiency.*field.figure;
    double logarithms = 0;
    bool positive = true;
    for (const CalibratedEntry* member : members) {
      const Figure& one = member->efficiency.*field.figure;
      positive = positive && one.value > 0;
      logarithms += std::log(std::max(one.value, 1e-300));
      if (figure.low && one.low) figure.low = std::min(*figure.low, *one.low);
      if (figure.high && one.high) figure.high = std::max(*figure.high, *one.high);
    }
    figure.note = "geometric mean of the class's machines";
    if (positive) figure.value = Rounded(std::exp(logarithms / static_cast<double>(members.size())));
  }
  return made;
}

std::string CalibrationToml(std::span<const CalibratedEntry> entries) {
  std::string text =
      "# What devices reach of their data sheets, fitted on published rows (docs/accuracy.md). Generated by\n"
      "#   lodestone validate --calibrate catalog/hardware/calibration.toml\n"
      "# Low and high hold nine of ten rows of an entry. What stands for a class is the geometric mean of its "
      "machines.\n"
      "kind = \"efficiency\"\n"
      "name = \"calibration\"\n"
      "description = \"Efficiency factors fitted on published measurements, by device and stack\"\n";
  for (const CalibratedEntry& entry : entries) {
    if (!entry.machine.empty() && !entry.machines.empty()) {
      text += fmt::format("\n# The same chip as {}\n[[factors]]\nmachine = \"{}\"\n", entry.machines[0], entry.machine);
    } else if (entry.machine.empty()) {
      text +=
          fmt::format("\n# {}\n[[factors]]\nclass = \"{}\"\n", fmt::join(entry.machines, ", "), entry.efficiency_class);
    } else {
      text += fmt::format("\n# {} rows, mean error {:.1f} %, spread {:.2f}\n[[factors]]\nmachine = \"{}\"\n",
                          entry.rows, 100 * entry.mape, entry.spread, entry.machine);
    }
    text += fmt::format("stack = \"{}\"\n", entry.stack);
    for (size_t i = 0; i < kFactors; ++i) {
      const FactorField& field = FactorFields()[i];
      const Figure& figure = entry.efficiency.*field.figure;
      const bool given = field.value == &Factors::vector || field.value == &Factors::usable_memory;
      if (!given) text += fmt::format("{} = {}\n", EfficiencyFields()[i].key, FigureText(figure));
    }
  }
  return text;
}

}  // namespace lodestone
