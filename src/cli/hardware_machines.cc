#include "cli/hardware_machines.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/units.h"
#include "cli/hardware_figures.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "hardware/hardware_catalog.h"
#include "hardware/machine.h"
#include "report/run_record.h"

namespace lodestone::cli {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;

// The rate that its work is compared by: of 16 bits, or of 8 where a device has integers alone.
std::optional<Machine::Rate> HeadlineRate(const Machine& machine) {
  const std::optional<Machine::Rate> wide = machine.RateFor(Code::kBf16);
  return wide ? wide : machine.RateFor(Code::kInt8);
}

Result<std::vector<Machine>> AllMachines() {
  const Result<std::vector<Machine>>& catalogue = CatalogMachines();
  if (!catalogue.ok()) return catalogue.error();
  std::vector<Machine> all = *catalogue;
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<ApplianceSpec> appliances, CatalogAppliances());
  for (const ApplianceSpec& spec : appliances) all.push_back(MachineOf(spec));
  std::stable_sort(all.begin(), all.end(), [](const Machine& a, const Machine& b) { return a.platform < b.platform; });
  return all;
}

std::string Or(const std::optional<Figure>& figure, const char* format) {
  return figure ? fmt::format(fmt::runtime(format), figure->value) : "";
}

std::string Power(const Machine& machine) {
  if (machine.limit_w) return fmt::format("{:g}", machine.limit_w->value);
  return machine.typical_w ? fmt::format("~{:g}", machine.typical_w->value) : "";
}

std::string ListText(const std::vector<Machine>& machines) {
  std::vector<std::vector<std::string>> rows{
      {"name", "platform", "nm", "memory", "", "bandwidth", "peak OP/s", "W", "joined"}};
  for (const Machine& machine : machines) {
    const MemoryLevel& memory = machine.main_memory();
    const std::optional<Machine::Rate> rate = HeadlineRate(machine);
    rows.push_back({machine.name, std::string(ToString(machine.platform)), Or(machine.process_nm, "{:g}"),
                    memory.capacity_bytes ? ShowValue("bytes", memory.capacity_bytes->value) : "", memory.name,
                    memory.bytes_per_s ? ShowValue("bytes_per_s", memory.bytes_per_s->value) : "",
                    rate ? fmt::format("{} {}", WithPrefix(rate->ops_per_s), ToString(rate->format)) : "",
                    Power(machine), fmt::format("{}", machine.devices_per_server)});
  }
  return RenderTable(rows) +
         "\nPeak: of 16 bits, dense, or of 8. W: the limit, or ~ the typical draw. Joined: devices in a server.\n"
         "'lodestone hardware show NAME' has every figure with its source; 'lodestone hardware cpu' this host.\n"
         "docs/add-hardware.md: a machine of your own.\n";
}

std::string Csv(const std::vector<Machine>& machines) {
  std::string text =
      "name,platform,class,process_nm,memory,memory_bytes,memory_bytes_per_s,peak_format,peak_ops_per_s,limit_w,"
      "typical_w,devices_per_server\n";
  for (const Machine& machine : machines) {
    const MemoryLevel& memory = machine.main_memory();
    const std::optional<Machine::Rate> rate = HeadlineRate(machine);
    text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{}\n", machine.name, ToString(machine.platform),
                        machine.efficiency_class, Or(machine.process_nm, "{}"), memory.name,
                        Or(memory.capacity_bytes, "{}"), Or(memory.bytes_per_s, "{}"),
                        rate ? ToString(rate->format) : "", rate ? fmt::format("{}", rate->ops_per_s) : "",
                        Or(machine.limit_w, "{}"), Or(machine.typical_w, "{}"), machine.devices_per_server);
  }
  return text;
}

Json FiguresJson(const std::vector<NamedFigure>& figures) {
  Json json{Json::Object{}};
  for (const NamedFigure& named : figures) json.Set(named.name, ToJson(named));
  return json;
}

Json ListJson(const std::vector<Machine>& machines) {
  Json::Array list;
  for (const Machine& machine : machines) {
    Json json;
    json.Set("name", machine.name).Set("description", machine.description).Set("vendor", machine.vendor);
    json.Set("platform", ToString(machine.platform)).Set("class", machine.efficiency_class);
    json.Set("devices_per_server", machine.devices_per_server).Set("topology", ToString(machine.topology));
    json.Set("figures", FiguresJson(FiguresOf(machine)));
    list.push_back(std::move(json));
  }
  return list;
}

struct Ridge {
  RateFormat format;
  double ops_per_byte;
};
std::vector<Ridge> RidgesOf(const Machine& machine) {
  std::vector<Ridge> ridges;
  const std::optional<Figure>& bandwidth = machine.main_memory().bytes_per_s;
  for (size_t i = 0; bandwidth && i < kRateFormats; ++i) {
    const auto format = static_cast<RateFormat>(i);
    if (const auto& peak = machine.Peak(format)) ridges.push_back({format, peak->value / bandwidth->value});
  }
  return ridges;
}

std::vector<NamedFigure> FactorsOf(const Efficiency& efficiency) {
  std::vector<NamedFigure> factors;
  for (const EfficiencyField& field : EfficiencyFields()) {
    factors.push_back({std::string(field.key), efficiency.*field.member});
  }
  return factors;
}

std::string ShowText(const Machine& machine, const std::string& stack, const Result<Efficiency>& efficiency) {
  std::string text = fmt::format("{}\n", Wrap(fmt::format("{}: {}", machine.name, machine.description), kWidth, 2));
  text +=
      fmt::format("  {}, class {}, {} a server, topology {}\n", ToString(machine.platform), machine.efficiency_class,
                  Counted(machine.devices_per_server, "device"), ToString(machine.topology));
  if (!machine.data_sheet.empty()) {
    text += Wrap(fmt::format("  Data sheet: {}", machine.data_sheet), kWidth, 14) + "\n";
  }
  text += "\n";
  for (const NamedFigure& named : FiguresOf(machine)) text += ShowFigure(named, machine.data_sheet);
  std::string ridges = "Ridge point of the main memory, operations a byte:";
  for (const Ridge& ridge : RidgesOf(machine)) {
    ridges += fmt::format(" {} {:.3g}", ToString(ridge.format), ridge.ops_per_byte);
  }
  text += "\n" + Wrap(ridges, kWidth, 2);
  text += fmt::format("\n\nEfficiency factors{}:\n", stack.empty() ? "" : " under " + stack);
  if (!efficiency.ok()) return text + Wrap("  none: " + efficiency.error().message, kWidth, 2) + "\n";
  for (const NamedFigure& named : FactorsOf(*efficiency)) text += ShowFigure(named, "");
  const std::vector<std::string> stacks = StackNames(machine);
  if (!stacks.empty()) text += fmt::format("\nStacks with factors of their own: {}\n", fmt::join(stacks, ", "));
  return text;
}

Json ShowJson(const Machine& machine, const std::string& stack, const Result<Efficiency>& efficiency) {
  Json json = std::move(ListJson({machine}).as_array()->front());
  json.Set("data_sheet", machine.data_sheet);
  Json ridges{Json::Object{}};
  for (const Ridge& ridge : RidgesOf(machine)) ridges.Set(std::string(ToString(ridge.format)), ridge.ops_per_byte);
  json.Set("ridge_ops_per_byte", std::move(ridges)).Set("stack", stack.empty() ? Json(nullptr) : Json(stack));
  json.Set("efficiency", efficiency.ok() ? FiguresJson(FactorsOf(*efficiency)) : Json(nullptr));
  Json::Array stacks;
  for (std::string& name : StackNames(machine)) stacks.emplace_back(std::move(name));
  json.Set("stacks", std::move(stacks));
  return json;
}

Json Texts(const std::vector<std::string>& texts) { return Json::Array(texts.begin(), texts.end()); }

Json CheckJson(const std::string& path, const MachineReading& reading) {
  Json::Array faults;
  for (const Error& fault : reading.faults) faults.emplace_back(fault.message);
  Json json;
  json.Set("file", path).Set("faults", std::move(faults));
  if (!reading.faults.empty()) return json;
  json.Set("name", reading.machine.name).Set("remarks", Texts(RemarksOn(reading.machine)));
  Json::Array estimates;
  for (const EstimateNeeds& needs : NeedsOf(reading.machine)) {
    Json estimate;
    estimates.push_back(std::move(estimate.Set("estimate", needs.estimate).Set("missing", Texts(needs.missing))));
  }
  json.Set("estimates", std::move(estimates));
  return json;
}

// "21 figures: 14 data sheet, 6 derived, 1 assumed".
std::string Origins(const Machine& machine) {
  const std::vector<NamedFigure> figures = FiguresOf(machine);
  std::vector<std::string> parts;
  for (const FieldSource source : {FieldSource::kDataSheet, FieldSource::kPaper, FieldSource::kMeasured,
                                   FieldSource::kDerived, FieldSource::kAssumed}) {
    const auto count = std::count_if(figures.begin(), figures.end(),
                                     [source](const NamedFigure& named) { return named.figure.source == source; });
    if (count > 0) parts.push_back(fmt::format("{} {}", count, ToString(source)));
  }
  return fmt::format("{}: {}", Counted(static_cast<int64_t>(figures.size()), "figure"), fmt::join(parts, ", "));
}

std::string CheckText(const std::string& path, const MachineReading& reading) {
  std::string text;
  if (!reading.faults.empty()) {
    for (const Error& fault : reading.faults) text += Wrap(fault.message, kWidth, 4) + "\n";
    return text;
  }
  const Machine& machine = reading.machine;
  text = fmt::format("{}: machine {}, {}\n\n", path, machine.name, Origins(machine));
  const std::vector<std::string> remarks = RemarksOn(machine);
  for (const std::string& remark : remarks) text += Wrap("  ? " + remark, kWidth, 4) + "\n";
  text += remarks.empty() ? "  Nothing in it contradicts itself.\n" : "";
  std::vector<std::vector<std::string>> rows{{"estimate", "missing"}};
  for (const EstimateNeeds& needs : NeedsOf(machine)) {
    rows.push_back(
        {needs.estimate, needs.missing.empty() ? "nothing" : fmt::format("{}", fmt::join(needs.missing, ", "))});
  }
  return text + "\n" + RenderTable(rows);
}

// An appliance and a host are machines too; of their faults the first is known.
MachineReading ReadAnyMachine(const Json& toml, const std::string& path) {
  const std::string kind = KindOf(toml);
  if (kind != "appliance" && kind != "host") return ReadMachine(toml, path);
  Result<Machine> machine = LoadMachine(path);
  if (!machine.ok()) return {{}, {machine.error()}};
  return {*std::move(machine), {}};
}

Status CheckEfficiency(const Json& toml, const std::string& path, HardwareFormat format) {
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<EfficiencyEntry> entries, ParseEfficiency(toml, path));
  const auto count = static_cast<int64_t>(entries.size());
  if (format == HardwareFormat::kJson) {
    Json json;
    json.Set("file", path).Set("faults", Json::Array{}).Set("entries", count);
    PrintJson(json);
  } else {
    Print(fmt::format("{}: efficiency factors for {} of machines, classes and stacks\n", path,
                      Counted(count, "combination")));
  }
  return {};
}

}  // namespace

Status ListMachines(HardwareFormat format) {
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<Machine> machines, AllMachines());
  if (format == HardwareFormat::kJson) {
    PrintJson(ListJson(machines));
  } else {
    Print(format == HardwareFormat::kCsv ? Csv(machines) : ListText(machines));
  }
  return {};
}

Status ShowMachine(const std::string& name, const std::string& stack, HardwareFormat format) {
  LODESTONE_ASSIGN_OR_RETURN(const Machine machine, LoadMachine(name));
  const Result<Efficiency> efficiency = EfficiencyOf(machine, stack);
  if (!efficiency.ok() && efficiency.error().code != ErrorCode::kInfeasible) return efficiency.error();
  if (format == HardwareFormat::kCsv) return Unsupported("--format csv is for 'hardware list'; expected text or json");
  if (format == HardwareFormat::kJson) {
    PrintJson(ShowJson(machine, stack, efficiency));
  } else {
    Print(ShowText(machine, stack, efficiency));
  }
  return {};
}

Status CheckMachine(const std::string& path, HardwareFormat format) {
  if (format == HardwareFormat::kCsv) return Unsupported("--format csv is for 'hardware list'; expected text or json");
  LODESTONE_ASSIGN_OR_RETURN(const Json toml, ReadTomlFile(path, kMaxFileBytes));
  if (KindOf(toml) == "efficiency") return CheckEfficiency(toml, path, format);
  const MachineReading reading = ReadAnyMachine(toml, path);
  if (format == HardwareFormat::kJson) {
    PrintJson(CheckJson(path, reading));
  } else {
    Print(CheckText(path, reading));
  }
  if (reading.faults.empty()) return {};
  return Invalid(
      fmt::format("{} is not read: {}", path, Counted(static_cast<int64_t>(reading.faults.size()), "fault")));
}

}  // namespace lodestone::cli
