#include "hardware/efficiency.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <tuple>

#include "base/nearest.h"
#include "base/quote.h"
#include "hardware/efficiency_reader.h"
#include "hardware/hardware_catalog.h"
#include "hardware/machine.h"

namespace lodestone {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;
constexpr size_t kMaxFaults = 1;  // the first is reported

constexpr std::string_view kClasses[] = {"gpu-nvidia", "gpu-amd",  "gpu-intel", "cpu",   "soc",
                                         "fpga",       "asic-hbm", "asic-sram", "wafer", "pim"};

constexpr EfficiencyField kFields[] = {
    {"matrix", &Efficiency::matrix},
    {"matrix_rows", &Efficiency::matrix_rows, false, 0},
    {"memory", &Efficiency::memory},
    {"kv", &Efficiency::kv},
    {"attention", &Efficiency::attention},
    {"vector", &Efficiency::vector},
    {"link", &Efficiency::link},
    {"collective_s", &Efficiency::collective_s, false, 0},
    {"launch_s", &Efficiency::launch_s, false, 0},
    {"step_s", &Efficiency::step_s, false, 0},
    {"sequence_s", &Efficiency::sequence_s, false, 0},
    {"usable_memory", &Efficiency::usable_memory},
    {"heads_per_read", &Efficiency::heads_per_read, false, 1024},
    {"reserved_bytes", &Efficiency::reserved_bytes, false, 0},
    {"run_s", &Efficiency::run_s, false, 0},
};
// A share, a time or an amount. Ranges refuse slips of a unit.
FigureRange RangeOf(const EfficiencyField& field) {
  if (field.share) return {1e-4, 1};
  return field.key.ends_with("_s") ? FigureRange{0, 1e4} : FigureRange{0, 1e12};
}

bool SameOwner(const EfficiencyEntry& a, const EfficiencyEntry& b) {
  return std::tie(a.machine, a.efficiency_class, a.stack) == std::tie(b.machine, b.efficiency_class, b.stack);
}

// How much an entry says about a machine under a stack; 0: it is about another. The file of the machine itself says
// most.
int Relevance(const EfficiencyEntry& entry, const Machine& machine, std::string_view stack, bool own) {
  if (!entry.stack.empty() && entry.stack != stack) return 0;
  const int named_stack = entry.stack.empty() ? 0 : 1;
  if (own) return 5 + named_stack;
  if (!entry.machine.empty()) return entry.machine == machine.name ? 3 + named_stack : 0;
  return entry.efficiency_class == machine.efficiency_class ? 1 + named_stack : 0;
}

class Chooser {
 public:
  Chooser(const Machine& machine, std::string_view stack) : machine_(machine), stack_(stack) {}

  void Take(std::span<const EfficiencyEntry> entries, bool own) {
    for (const EfficiencyEntry& entry : entries) {
      const int relevance = Relevance(entry, machine_, stack_, own);
      if (relevance == 0) continue;
      for (const auto& [field, figure] : entry.factors) {
        const auto place = static_cast<size_t>(field - kFields);
        if (relevance <= relevance_[place]) continue;
        relevance_[place] = relevance;
        efficiency_.*field->member = figure;
      }
    }
  }

  Result<Efficiency> Finish() && {
    std::vector<std::string_view> missing;
    for (size_t i = 0; i < std::size(kFields); ++i) {
      if (relevance_[i] == 0) missing.push_back(kFields[i].key);
    }
    if (missing.empty()) return std::move(efficiency_);
    return Infeasible(fmt::format(
        "{}: neither the machine nor its class {} has the efficiency {} {}; give them in [[factors]] of a file of kind "
        "'efficiency' or of the machine, or ask for the ideal estimate",
        machine_.name, Quoted(machine_.efficiency_class), missing.size() == 1 ? "factor" : "factors",
        fmt::join(missing, ", ")));
  }

 private:
  const Machine& machine_;
  std::string_view stack_;
  Efficiency efficiency_;
  std::array<int, std::size(kFields)> relevance_{};
};

// The entry with its own note at every factor that has none.
Json WithNotes(const Json& entry) {
  Json filled = entry;
  const Json* note = entry.Find("note");
  if (note == nullptr || filled.as_object() == nullptr) return filled;
  for (auto& [key, factor] : *filled.as_object()) {
    if (factor.as_object() != nullptr && factor.Find("note") == nullptr) factor.Set("note", *note);
  }
  return filled;
}

Error UnknownStack(const Machine& machine, std::string_view stack, std::span<const EfficiencyEntry> entries) {
  std::set<std::string> stacks;
  for (const EfficiencyEntry& entry : machine.factors) stacks.insert(entry.stack);
  for (const EfficiencyEntry& entry : entries) stacks.insert(entry.stack);
  stacks.erase("");
  const std::optional<std::string> nearest = Nearest(stack, std::vector(stacks.begin(), stacks.end()));
  return NotFound(
      fmt::format("no efficiency factors name the stack {}{}; expected {}", Quoted(stack),
                  nearest ? fmt::format(" (did you mean '{}'?)", *nearest) : "",
                  stacks.empty() ? "none, as no entry names one" : fmt::format("one of {}", fmt::join(stacks, ", "))));
}

}  // namespace

std::span<const std::string_view> EfficiencyClasses() { return kClasses; }
std::span<const EfficiencyField> EfficiencyFields() { return kFields; }

std::vector<EfficiencyEntry> ReadEfficiencyEntries(TableReader& parent, EfficiencyOwner owner,
                                                   std::vector<Error>& faults, size_t max_faults) {
  std::vector<EfficiencyEntry> entries;
  for (const Json& given : parent.Tables("factors")) {
    const Json table = WithNotes(given);
    TableReader reader(table, parent.file(), fmt::format("{}[{}]", parent.PathOf("factors"), entries.size()), faults,
                       max_faults);
    reader.Text("note", false, kMaxTextBytes);
    EfficiencyEntry entry;
    entry.where = fmt::format("{}:{}", parent.file(), table.line);
    if (owner == EfficiencyOwner::kNamed) {
      entry.machine = reader.Text("machine", false, kMaxNameBytes);
      if (table.Find("class") != nullptr) {
        if (const auto place = reader.Word("class", kClasses)) entry.efficiency_class = kClasses[*place];
      }
      if ((table.Find("class") != nullptr) == !entry.machine.empty()) {
        reader.Fail("", "expected either a machine or a class, to say whose factors these are");
      }
    }
    entry.stack = reader.Text("stack", false, kMaxNameBytes);
    for (const EfficiencyField& field : kFields) {
      const auto figure = reader.ReadFigure(field.key, RangeOf(field));
      if (figure) entry.factors.emplace_back(&field, *figure);
    }
    reader.Finish();
    const auto same = std::find_if(entries.begin(), entries.end(),
                                   [&entry](const EfficiencyEntry& other) { return SameOwner(entry, other); });
    if (same != entries.end()) reader.Fail("", fmt::format("found a second entry for what {} is about", same->where));
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<std::vector<EfficiencyEntry>> ParseEfficiency(const Json& toml, const std::string& file) {
  std::vector<Error> faults;
  TableReader reader(toml, file, "", faults, kMaxFaults);
  constexpr std::string_view kKind[] = {"efficiency"};
  reader.Word("kind", kKind);
  reader.Text("name", true, kMaxNameBytes);
  reader.Text("description", false, kMaxTextBytes);
  std::vector<EfficiencyEntry> entries = ReadEfficiencyEntries(reader, EfficiencyOwner::kNamed, faults, kMaxFaults);
  reader.Finish();
  if (!faults.empty()) return std::move(faults.front());
  return entries;
}

Result<std::vector<EfficiencyEntry>> ReadEfficiency(const std::string& path) {
  LODESTONE_ASSIGN_OR_RETURN(const Json toml, ReadTomlFile(path, kMaxFileBytes));
  return ParseEfficiency(toml, path);
}

const Result<std::vector<EfficiencyEntry>>& CatalogEfficiency() {
  static const auto entries = []() -> Result<std::vector<EfficiencyEntry>> {
    std::vector<EfficiencyEntry> all;
    for (const std::string& name : HardwareNames("efficiency")) {
      LODESTONE_ASSIGN_OR_RETURN(const HardwareFile found, FindHardwareFile("efficiency", name));
      LODESTONE_ASSIGN_OR_RETURN(std::vector<EfficiencyEntry> some, ParseEfficiency(found.json, found.file));
      for (EfficiencyEntry& entry : some) {
        const auto same = std::find_if(all.begin(), all.end(),
                                       [&entry](const EfficiencyEntry& other) { return SameOwner(entry, other); });
        if (same != all.end()) {
          return Invalid(fmt::format("{}: found a second entry for what {} is about", entry.where, same->where));
        }
        all.push_back(std::move(entry));
      }
    }
    return all;
  }();
  return entries;
}

Efficiency IdealEfficiency() {
  Efficiency ideal;
  for (const EfficiencyField& field : kFields) {
    ideal.*field.member = Figure{.value = field.ideal,
                                 .source = FieldSource::kDerived,
                                 .note = "ideal: the rates of the data sheet alone",
                                 .low = field.ideal,
                                 .high = field.ideal};
  }
  return ideal;
}

Result<Efficiency> EfficiencyOf(const Machine& machine, std::string_view stack,
                                std::span<const EfficiencyEntry> entries) {
  const auto names_it = [stack](const EfficiencyEntry& entry) { return entry.stack == stack; };
  if (!stack.empty() && std::none_of(machine.factors.begin(), machine.factors.end(), names_it) &&
      std::none_of(entries.begin(), entries.end(), names_it)) {
    return UnknownStack(machine, stack, entries);
  }
  Chooser chooser(machine, stack);
  chooser.Take(machine.factors, true);
  chooser.Take(entries, false);
  return std::move(chooser).Finish();
}

Result<Efficiency> EfficiencyOf(const Machine& machine, std::string_view stack) {
  const Result<std::vector<EfficiencyEntry>>& entries = CatalogEfficiency();
  if (!entries.ok()) return entries.error();
  return EfficiencyOf(machine, stack, *entries);
}

std::vector<std::string> StackNames() {
  std::set<std::string> names;
  if (const auto& entries = CatalogEfficiency(); entries.ok()) {
    for (const EfficiencyEntry& entry : *entries) names.insert(entry.stack);
  }
  names.erase("");
  return {names.begin(), names.end()};
}

std::vector<std::string> StackNames(const Machine& machine) {
  std::set<std::string> names;
  for (const EfficiencyEntry& entry : machine.factors) names.insert(entry.stack);
  if (const auto& entries = CatalogEfficiency(); entries.ok()) {
    for (const EfficiencyEntry& entry : *entries) {
      if (Relevance(entry, machine, entry.stack, false) > 0) names.insert(entry.stack);
    }
  }
  names.erase("");
  return {names.begin(), names.end()};
}

}  // namespace lodestone
