#include "hardware/machine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "base/quote.h"
#include "hardware/efficiency_reader.h"
#include "hardware/machine_fields.h"
#include "hardware/table_reader.h"

namespace lodestone {
namespace {

constexpr int kMaxDevices = 1'000'000;
constexpr size_t kMaxMemories = 16;

constexpr std::string_view kPlatforms[] = {"cpu", "gpu", "fpga", "asic", "pim"};
constexpr std::string_view kTopologies[] = {"none", "switch", "ring", "mesh", "host"};
constexpr std::string_view kRates[] = {"f32", "tf32", "bf16", "f16", "fp8", "int8", "int4", "fp4"};
static_assert(std::size(kRates) == kRateFormats);

class MachineReader {
 public:
  MachineReader(const Json& toml, const std::string& file) : toml_(toml), file_(file) {}

  MachineReading Read() {
    TableReader reader = At(toml_, "");
    constexpr std::string_view kKind[] = {"machine"};
    reader.Word("kind", kKind);
    machine_.file = file_;
    machine_.name = reader.Text("name", true, kMaxNameBytes);
    machine_.description = reader.Text("description", true, kMaxTextBytes);
    machine_.vendor = reader.Text("vendor", false, kMaxNameBytes);
    machine_.data_sheet = reader.Text("data_sheet", false, kMaxTextBytes);
    if (const auto platform = reader.Word("platform", kPlatforms)) machine_.platform = static_cast<Platform>(*platform);
    if (const auto place = reader.Word("class", EfficiencyClasses())) {
      machine_.efficiency_class = EfficiencyClasses()[*place];
    }
    ReadFigures(reader, kMachineFields, &machine_.data_sheet, machine_);
    ReadPeaks(reader);
    ReadMemories(reader);
    ReadServer(reader);
    ReadTable(reader, "host", kHostFields);
    ReadTable(reader, "network", kNetworkFields);
    machine_.factors = ReadEfficiencyEntries(reader, EfficiencyOwner::kMachine, faults_, kMaxMachineFaults);
    reader.Finish();
    return {std::move(machine_), std::move(faults_)};
  }

 private:
  TableReader At(const Json& table, std::string path) {
    return TableReader(table, file_, std::move(path), faults_, kMaxMachineFaults);
  }

  template <size_t kCount>
  void ReadTable(TableReader& parent, std::string_view key, const OptionalFigureField<Machine> (&fields)[kCount]) {
    const Json* table = parent.Table(key);
    if (table == nullptr) return;
    TableReader reader = At(*table, parent.PathOf(key));
    ReadFigures(reader, fields, &machine_.data_sheet, machine_);
    reader.Finish();
  }

  void ReadPeaks(TableReader& parent) {
    const size_t faults = faults_.size();
    bool any = false;
    if (const Json* table = parent.Table("peak_ops_per_s")) {
      TableReader reader = At(*table, parent.PathOf("peak_ops_per_s"));
      for (size_t i = 0; i < kRateFormats; ++i) {
        machine_.peak_ops_per_s[i] = reader.ReadFigure(kRates[i], kPeakRange, &machine_.data_sheet);
        any |= machine_.peak_ops_per_s[i].has_value();
      }
      reader.Finish();
    }
    if (any || faults_.size() > faults) return;
    parent.Fail("peak_ops_per_s",
                fmt::format("found no rate, expected at least one of {}: dense rates of the matrix units, a multiply "
                            "and an add count as two",
                            fmt::join(kRates, ", ")),
                ErrorCode::kNotFound);
  }

  void ReadMemories(TableReader& parent) {
    const size_t faults = faults_.size();
    const std::span<const Json> tables = parent.Tables("memory");
    if (tables.size() > kMaxMemories) {
      return parent.Fail("memory", fmt::format("found {} levels, expected at most {}", tables.size(), kMaxMemories));
    }
    for (const Json& table : tables) {
      TableReader reader = At(table, fmt::format("memory[{}]", machine_.memory.size()));
      MemoryLevel level;
      level.name = reader.Text("name", true, kMaxNameBytes);
      for (const MemoryLevel& other : machine_.memory) {
        if (!level.name.empty() && other.name == level.name) {
          reader.Fail("name", fmt::format("found {} twice, expected a name of its own", Quoted(level.name)));
        }
      }
      ReadFigures(reader, kMemoryFields, &machine_.data_sheet, level);
      reader.Finish();
      machine_.memory.push_back(std::move(level));
    }
    if (!machine_.memory.empty() || faults_.size() > faults) return;
    parent.Fail("memory",
                "found nothing, expected [[memory]] with a name, capacity_bytes and bytes_per_s; nearest first",
                ErrorCode::kNotFound);
  }

  void ReadServer(TableReader& parent) {
    const Json* table = parent.Table("server");
    if (table == nullptr) return;
    TableReader reader = At(*table, parent.PathOf("server"));
    machine_.devices_per_server = reader.Count("devices", 1, kMaxDevices);
    if (const auto place = reader.Word("topology", kTopologies)) machine_.topology = static_cast<Topology>(*place);
    ReadFigures(reader, kServerFields, &machine_.data_sheet, machine_);
    reader.Finish();
  }

  const Json& toml_;
  const std::string& file_;
  Machine machine_;
  std::vector<Error> faults_;
};

template <typename Spec, size_t kCount>
void List(const Spec& spec, const std::string& prefix, const OptionalFigureField<Spec> (&fields)[kCount],
          std::vector<NamedFigure>& list) {
  for (const OptionalFigureField<Spec>& field : fields) {
    const std::optional<Figure>& figure = spec.*field.member;
    if (figure) list.push_back({prefix + std::string(field.key), *figure, field.better});
  }
}

// Formats that hold every value of `code`, so that its products can be computed in them.
std::span<const RateFormat> FormatsFor(Code code) {
  static constexpr RateFormat kIntegers[] = {RateFormat::kInt4, RateFormat::kInt8, RateFormat::kBf16,
                                             RateFormat::kF16,  RateFormat::kTf32, RateFormat::kF32};
  static constexpr RateFormat kFloats[] = {RateFormat::kFp8, RateFormat::kBf16, RateFormat::kF16, RateFormat::kTf32,
                                           RateFormat::kF32};
  const std::span<const RateFormat> integers(kIntegers), floats(kFloats);
  switch (code) {
    case Code::kInt2:
    case Code::kInt4:
    case Code::kUint4:
      return integers;
    case Code::kInt8:
    case Code::kUint8:
      return integers.subspan(1);
    case Code::kFp8:
      return floats;
    case Code::kBf16:
    case Code::kF16:
      return floats.subspan(1);
    case Code::kF32:
      return floats.last(1);
  }
  return {};
}

}  // namespace

std::string_view ToString(Platform platform) { return kPlatforms[static_cast<size_t>(platform)]; }
std::string_view ToString(RateFormat format) { return kRates[static_cast<size_t>(format)]; }
std::string_view ToString(Topology topology) { return kTopologies[static_cast<size_t>(topology)]; }

std::optional<Machine::Rate> Machine::RateFor(Code code) const {
  std::optional<Rate> best;
  for (const RateFormat format : FormatsFor(code)) {
    const std::optional<Figure>& peak = Peak(format);
    if (peak && (!best || peak->value > best->ops_per_s)) best = Rate{format, peak->value};
  }
  return best;
}

MachineReading ReadMachine(const Json& toml, const std::string& file) { return MachineReader(toml, file).Read(); }

Result<Machine> ParseMachine(const Json& toml, const std::string& file) {
  MachineReading reading = ReadMachine(toml, file);
  if (!reading.faults.empty()) return std::move(reading.faults.front());
  return std::move(reading.machine);
}

std::vector<NamedFigure> FiguresOf(const Machine& machine) {
  std::vector<NamedFigure> list;
  List(machine, "", kMachineFields, list);
  for (size_t i = 0; i < kRateFormats; ++i) {
    if (const std::optional<Figure>& peak = machine.peak_ops_per_s[i]) {
      list.push_back({fmt::format("peak_ops_per_s.{}", kRates[i]), *peak, Better::kHigh});
    }
  }
  for (const MemoryLevel& level : machine.memory)
    List(level, fmt::format("memory.{}.", level.name), kMemoryFields, list);
  List(machine, "server.", kServerFields, list);
  List(machine, "host.", kHostFields, list);
  List(machine, "network.", kNetworkFields, list);
  return list;
}

std::optional<double> RidgePoint(const Machine& machine, Code code) {
  const std::optional<Machine::Rate> rate = machine.RateFor(code);
  const std::optional<Figure>& bandwidth = machine.main_memory().bytes_per_s;
  if (!rate || !bandwidth) return std::nullopt;
  return rate->ops_per_s / bandwidth->value;
}

}  // namespace lodestone
