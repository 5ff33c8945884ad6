#include "hardware/machine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "hardware/machine_fields.h"

namespace lodestone {
namespace {

// Line by line, so that a test names the line that it spoils.
const std::vector<std::string> kLines = {
    "kind = \"machine\"",                                                         // 1
    "name = \"own\"",                                                             // 2
    "description = \"An accelerator\"",                                           // 3
    "platform = \"asic\"",                                                        // 4
    "class = \"asic-hbm\"",                                                       // 5
    "data_sheet = \"Own data sheet\"",                                            // 6
    "limit_w = 300",                                                              // 7
    "idle_w = {value = 60, source = \"measured\"}",                               // 8
    "vector_ops_per_s = 10e12",                                                   // 9
    "[peak_ops_per_s]",                                                           // 10
    "bf16 = 200e12",                                                              // 11
    "int8 = 400e12",                                                              // 12
    "[[memory]]",                                                                 // 13
    "name = \"SRAM\"",                                                            // 14
    "capacity_bytes = 1e8",                                                       // 15
    "[[memory]]",                                                                 // 16
    "name = \"HBM\"",                                                             // 17
    "capacity_bytes = 64e9",                                                      // 18
    "bytes_per_s = 2e12",                                                         // 19
    "[server]",                                                                   // 20
    "devices = 8",                                                                // 21
    "topology = \"ring\"",                                                        // 22
    "link_bytes_per_s = {value = 1e11, source = \"derived\", note = \"2 / 2\"}",  // 23
    "[host]",                                                                     // 24
    "memory_bytes = 256e9",                                                       // 25
    "[network]",                                                                  // 26
    "bytes_per_s = 25e9",                                                         // 27
};

std::string Join(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

std::string Spoiled(int number, const std::string& line) {
  std::vector<std::string> lines = kLines;
  lines[static_cast<size_t>(number - 1)] = line;
  return Join(lines);
}

MachineReading ReadAll(const std::string& text) {
  const Result<Json> toml = ParseToml(text, "own.toml");
  if (!toml.ok()) return {{}, {toml.error()}};
  return ReadMachine(*toml, "own.toml");
}

Machine Own() {
  MachineReading reading = ReadAll(Join(kLines));
  for (const Error& fault : reading.faults) ADD_FAILURE() << fault.message;
  return std::move(reading.machine);
}

// The file with line `number` replaced has one fault, which names `file:line` and says every one of `parts`.
void ExpectRefused(int number, const std::string& line, int reported_line, const std::vector<std::string>& parts) {
  SCOPED_TRACE(line);
  const MachineReading reading = ReadAll(Spoiled(number, line));
  ASSERT_EQ(reading.faults.size(), 1u);
  const std::string& message = reading.faults[0].message;
  EXPECT_TRUE(message.starts_with("own.toml:" + std::to_string(reported_line) + ":")) << message;
  for (const std::string& part : parts) EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(Machine, ReadsWhatAFileGives) {
  const Machine machine = Own();
  EXPECT_EQ(machine.name, "own");
  EXPECT_EQ(machine.platform, Platform::kAsic);
  EXPECT_EQ(machine.efficiency_class, "asic-hbm");
  EXPECT_EQ(machine.limit_w->value, 300);
  EXPECT_EQ(machine.limit_w->source, FieldSource::kDataSheet);
  EXPECT_EQ(machine.limit_w->note, "Own data sheet");
  EXPECT_EQ(machine.idle_w->source, FieldSource::kMeasured);
  EXPECT_EQ(machine.Peak(RateFormat::kInt8)->value, 400e12);
  ASSERT_EQ(machine.memory.size(), 2u);
  EXPECT_EQ(machine.main_memory().name, "HBM");
  EXPECT_EQ(machine.main_memory().bytes_per_s->value, 2e12);
  EXPECT_EQ(machine.devices_per_server, 8);
  EXPECT_EQ(machine.topology, Topology::kRing);
  EXPECT_EQ(machine.link_bytes_per_s->value, 1e11);
  EXPECT_EQ(machine.host_memory_bytes->value, 256e9);
  EXPECT_EQ(machine.network_bytes_per_s->value, 25e9);
}

TEST(Machine, WhatAFileDoesNotGiveIsAbsent) {
  const Machine machine = Own();
  EXPECT_FALSE(machine.transistors || machine.typical_w || machine.price_usd_per_hour || machine.sparse_speedup);
  EXPECT_FALSE(machine.Peak(RateFormat::kF32).has_value());
  EXPECT_FALSE(machine.memory[0].bytes_per_s.has_value());
  EXPECT_FALSE(machine.host_link_bytes_per_s || machine.network_latency_s);
  EXPECT_TRUE(machine.factors.empty());
}

TEST(Machine, ListsEveryFigureOnceByItsName) {
  std::vector<std::string> names;
  for (const NamedFigure& named : FiguresOf(Own())) names.push_back(named.name);
  EXPECT_EQ(names, (std::vector<std::string>{"idle_w", "limit_w", "vector_ops_per_s", "peak_ops_per_s.bf16",
                                             "peak_ops_per_s.int8", "memory.SRAM.capacity_bytes",
                                             "memory.HBM.capacity_bytes", "memory.HBM.bytes_per_s",
                                             "server.link_bytes_per_s", "host.memory_bytes", "network.bytes_per_s"}));
}

TEST(Machine, AFormatThatItLacksIsComputedInAWiderOne) {
  const Machine machine = Own();
  EXPECT_EQ(machine.RateFor(Code::kInt4)->format, RateFormat::kInt8);
  EXPECT_EQ(machine.RateFor(Code::kUint8)->ops_per_s, 400e12);
  EXPECT_EQ(machine.RateFor(Code::kF16)->format, RateFormat::kBf16);
  EXPECT_EQ(machine.RateFor(Code::kFp8)->format, RateFormat::kBf16);
  EXPECT_FALSE(machine.RateFor(Code::kF32).has_value());
}

TEST(Machine, TheFastestOfTheWiderFormatsCounts) {
  Machine machine = Own();
  machine.peak_ops_per_s[static_cast<size_t>(RateFormat::kInt8)]->value =
      50e12;  // as where int8 has no unit of its own
  EXPECT_EQ(machine.RateFor(Code::kInt8)->format, RateFormat::kBf16);
}

TEST(Machine, TheRidgeIsWhereBothBind) {
  Machine machine = Own();
  EXPECT_DOUBLE_EQ(*RidgePoint(machine, Code::kBf16), 100);  // 200e12 / 2e12
  EXPECT_DOUBLE_EQ(*RidgePoint(machine, Code::kInt8), 200);
  EXPECT_FALSE(RidgePoint(machine, Code::kF32).has_value());
  machine.memory.back().bytes_per_s.reset();
  EXPECT_FALSE(RidgePoint(machine, Code::kBf16).has_value());
}

TEST(Machine, RefusesWithFileAndLine) {
  ExpectRefused(1, "kind = \"chip\"", 1, {"kind", "'chip'", "machine"});
  ExpectRefused(2, "name = \"\"", 2, {"name", "empty"});
  ExpectRefused(4, "platform = \"npu\"", 4, {"platform", "'npu'", "cpu, gpu, fpga, asic, pim"});
  ExpectRefused(5, "class = \"asic-hbn\"", 5, {"class", "did you mean 'asic-hbm'?"});
  ExpectRefused(7, "limit_w = -1", 7, {"limit_w", "-1", "from 0.001"});
  ExpectRefused(7, "limit_w = \"300\"", 7, {"limit_w", "string", "value"});
  ExpectRefused(7, "limits_w = 300", 7, {"limits_w", "unknown key", "did you mean 'limit_w'?"});
  ExpectRefused(8, "idle_w = {value = 60, source = \"guess\"}", 8, {"idle_w.source", "'guess'"});
  ExpectRefused(8, "idle_w = {value = 60, source = \"assumed\", note = \"n\", low = 1}", 8, {"idle_w.high"});
  ExpectRefused(8, "idle_w = {value = 60, source = \"measured\", unit = \"W\"}", 8, {"idle_w.unit", "unknown key"});
  ExpectRefused(11, "bf16 = 200", 11, {"peak_ops_per_s.bf16", "200"});
  ExpectRefused(11, "bfloat16 = 200e12", 11, {"peak_ops_per_s.bfloat16", "unknown key"});
  ExpectRefused(15, "capacity_bytes = 1.5", 15, {"memory[0].capacity_bytes", "whole"});
  ExpectRefused(17, "name = \"SRAM\"", 17, {"memory[1].name", "'SRAM' twice"});
  ExpectRefused(21, "devices = 0", 21, {"server.devices"});
  ExpectRefused(22, "topology = \"star\"", 22, {"server.topology", "'star'", "switch"});
  ExpectRefused(23, "link_bytes_per_s = {value = 1e11, source = \"derived\"}", 23, {"server.link_bytes_per_s.note"});
  ExpectRefused(25, "bytes = 256e9", 25, {"host.bytes", "memory_bytes"});
  ExpectRefused(26, "[networks]", 26, {"networks", "did you mean 'network'?"});
}

TEST(Machine, RefusesWhatLacksTheEssential) {
  std::vector<std::string> lines = kLines;
  lines[10] = lines[11] = "";
  MachineReading reading = ReadAll(Join(lines));
  ASSERT_EQ(reading.faults.size(), 1u);
  EXPECT_NE(reading.faults[0].message.find("found no rate"), std::string::npos) << reading.faults[0].message;
  lines = kLines;
  lines.erase(lines.begin() + 12, lines.begin() + 19);
  reading = ReadAll(Join(lines));
  ASSERT_EQ(reading.faults.size(), 1u);
  EXPECT_NE(reading.faults[0].message.find("key 'memory': found nothing"), std::string::npos)
      << reading.faults[0].message;
}

TEST(Machine, APlainNumberNeedsADataSheet) {
  const MachineReading reading = ReadAll(Spoiled(6, ""));
  EXPECT_EQ(reading.faults.size(), 9u);  // every plain number of the file
  EXPECT_NE(reading.faults[0].message.find("own.toml:7: key 'limit_w'"), std::string::npos);
  EXPECT_NE(reading.faults[0].message.find("data_sheet"), std::string::npos);
}

TEST(Machine, SaysEveryFaultAtOnce) {
  std::vector<std::string> lines = kLines;
  lines[3] = "platform = \"npu\"";
  lines[6] = "limit_w = 0";
  lines[10] = "bf17 = 1e12";
  lines[18] = "bytes_per_s = 2e30";
  lines[20] = "device = 8";
  const MachineReading reading = ReadAll(Join(lines));
  std::vector<std::string> where;
  for (const Error& fault : reading.faults) where.push_back(fault.message.substr(0, fault.message.find(": ")));
  EXPECT_EQ(where, (std::vector<std::string>{"own.toml:4", "own.toml:7", "own.toml:11", "own.toml:19", "own.toml:21"}));
  const Result<Machine> parsed = ParseMachine(*ParseToml(Join(lines), "own.toml"), "own.toml");
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().message, reading.faults[0].message);
}

TEST(Machine, FaultsAreBounded) {
  std::string text = Join(kLines);
  for (int i = 0; i < 1000; ++i) text += "x" + std::to_string(i) + " = 1\n";
  EXPECT_EQ(ReadAll(text).faults.size(), kMaxMachineFaults);
}

TEST(Machine, RefusesWhatIsNoTable) {
  for (const Json& json : {Json(5), Json(), Json(Json::Array{})}) {
    EXPECT_FALSE(ParseMachine(json, "own.toml").ok());
  }
  for (const char* line : {"memory = 5", "memory = [5]", "server = []", "peak_ops_per_s = 1", "factors = 3"}) {
    EXPECT_FALSE(ReadAll(std::string("kind = \"machine\"\n") + line).faults.empty()) << line;
  }
}

TEST(Machine, ItsOwnFactorsComeFromItsFile) {
  const std::string text = Join(kLines) +
                           "[[factors]]\nstack = \"own-stack\"\nnote = \"timed\"\n"
                           "memory = {value = 0.7, source = \"measured\"}\n";
  const MachineReading reading = ReadAll(text);
  for (const Error& fault : reading.faults) ADD_FAILURE() << fault.message;
  ASSERT_EQ(reading.machine.factors.size(), 1u);
  EXPECT_EQ(reading.machine.factors[0].stack, "own-stack");
  EXPECT_EQ(reading.machine.factors[0].where, "own.toml:28");
  const MachineReading named = ReadAll(text + "class = \"cpu\"\n");
  ASSERT_EQ(named.faults.size(), 1u);  // whose they are is known
  EXPECT_NE(named.faults[0].message.find("factors[0].class"), std::string::npos) << named.faults[0].message;
}

TEST(LoadMachine, KnowsEveryKindOfMachine) {
  const Result<Machine> gpu = LoadMachine("h100-sxm");
  ASSERT_TRUE(gpu.ok()) << gpu.error().message;
  EXPECT_EQ(gpu->file, "catalog/hardware/h100-sxm.toml");
  const Result<Machine> appliance = LoadMachine("northpole-16");
  ASSERT_TRUE(appliance.ok()) << appliance.error().message;
  EXPECT_EQ(appliance->devices_per_server, 16);
}

TEST(LoadMachine, RefusesNamesWithTheNearest) {
  const Result<Machine> unknown = LoadMachine("h100-sxn");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, ErrorCode::kNotFound);
  EXPECT_NE(unknown.error().message.find("did you mean 'h100-sxm'?"), std::string::npos) << unknown.error().message;
  const Result<Machine> chip = LoadMachine("northpole-chip");
  ASSERT_FALSE(chip.ok());
  EXPECT_NE(chip.error().message.find("is a chip, not a machine"), std::string::npos) << chip.error().message;
  const Result<Machine> file = LoadMachine("./no-such.toml");
  ASSERT_FALSE(file.ok());
  EXPECT_NE(file.error().message.find("does not exist"), std::string::npos) << file.error().message;
  EXPECT_FALSE(LoadAppliance("h100-sxm").ok());
}

TEST(MachineOf, ACardOfAnApplianceIsItsRates) {
  const Result<ApplianceSpec> spec = LoadAppliance("northpole-16");
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  const Machine machine = MachineOf(*spec);
  EXPECT_EQ(machine.name, "northpole-16");
  EXPECT_DOUBLE_EQ(machine.Peak(RateFormat::kInt4)->value, 419.4304e12);  // 256 × 4096 × 400 MHz
  EXPECT_DOUBLE_EQ(machine.Peak(RateFormat::kInt8)->value, 209.7152e12);
  EXPECT_DOUBLE_EQ(machine.main_memory().capacity_bytes->value, 192 * 1048576.0);
  EXPECT_DOUBLE_EQ(machine.main_memory().bytes_per_s->value, 13.1072e12);  // 256 × 128 × 400 MHz
  EXPECT_EQ(machine.typical_w->value, 42);
  EXPECT_EQ(machine.transistors->value, 22e9);
  EXPECT_EQ(machine.Peak(RateFormat::kInt4)->source, FieldSource::kDerived);
  EXPECT_DOUBLE_EQ(*machine.Peak(RateFormat::kInt4)->high, 256 * 4096 * 425e6);  // the clock's range
  EXPECT_FALSE(machine.RateFor(Code::kBf16).has_value());                        // integers alone
  EXPECT_EQ(machine.RateFor(Code::kInt4)->format, RateFormat::kInt4);
}

TEST(MachineOf, AHostIsWhatWasMeasured) {
  HostLimits limits;
  limits.cpu_name = "A CPU";
  limits.threads = 4;
  limits.measured_at = "2026-01-31";
  const auto rate = [](double all) {
    const Figure figure{.value = all, .source = FieldSource::kMeasured, .note = "timed"};
    return HostRate{figure, figure};
  };
  limits.f32_ops_per_s = rate(4e11);
  limits.int8_avx2_ops_per_s = rate(8e11);
  limits.l3_bytes_per_s = rate(6e10);
  limits.l3_bytes = Figure{.value = 3e7, .source = FieldSource::kMeasured, .note = "told"};
  limits.dram_bytes_per_s = rate(3e10);
  const Machine machine = MachineOf(limits);
  EXPECT_EQ(machine.name, "this-host");
  EXPECT_EQ(machine.efficiency_class, "cpu");
  ASSERT_EQ(machine.memory.size(), 2u);
  EXPECT_EQ(machine.memory[0].capacity_bytes->value, 3e7);
  EXPECT_EQ(machine.main_memory().bytes_per_s->value, 3e10);
  EXPECT_FALSE(machine.main_memory().capacity_bytes.has_value());  // not measured
  EXPECT_EQ(machine.RateFor(Code::kInt4)->ops_per_s, 8e11);
  EXPECT_EQ(machine.RateFor(Code::kBf16)->format, RateFormat::kF32);  // no unit for bf16 here
  EXPECT_EQ(machine.main_memory().bytes_per_s->source, FieldSource::kMeasured);
  EXPECT_FALSE(MachineOf(HostLimits{}).memory.empty());
}

bool Mentions(const std::vector<std::string>& lines, const std::string& part) {
  return std::any_of(lines.begin(), lines.end(),
                     [&part](const std::string& line) { return line.find(part) != std::string::npos; });
}

TEST(RemarksOn, AsksWhatCannotBe) {
  EXPECT_TRUE(RemarksOn(Own()).empty()) << RemarksOn(Own()).front();
  const auto remarks = [](int number, const std::string& line) {
    const MachineReading reading = ReadAll(Spoiled(number, line));
    EXPECT_TRUE(reading.faults.empty()) << reading.faults[0].message;
    return RemarksOn(reading.machine);
  };
  EXPECT_TRUE(Mentions(remarks(8, "idle_w = 400"), "idle_w = 400 is above limit_w = 300"));
  EXPECT_TRUE(Mentions(remarks(11, "bf16 = 800e12"), "is one of them a sparse rate?"));
  EXPECT_TRUE(Mentions(remarks(12, "int8 = 1e15"), "is it a sparse rate?"));
  EXPECT_TRUE(Mentions(remarks(15, "capacity_bytes = 1e12"), "nearest first"));
  EXPECT_TRUE(Mentions(remarks(19, "bytes_per_s = 2e9"), "is a unit slipped?"));
  EXPECT_TRUE(Mentions(remarks(7, "limit_w = 1"), "operations a joule"));
  EXPECT_TRUE(Mentions(remarks(23, "link_bytes_per_s = 5e12"), "bits for bytes"));
  EXPECT_TRUE(Mentions(remarks(22, "topology = \"none\""), "how are they joined?"));
  EXPECT_TRUE(Mentions(remarks(21, "devices = 1"), "joins one device to none"));
}

TEST(NeedsOf, SaysWhichEstimatesLackWhat) {
  Machine machine = Own();
  const auto missing = [&machine](std::string_view estimate) -> std::vector<std::string> {
    for (EstimateNeeds& needs : NeedsOf(machine)) {
      if (needs.estimate == estimate) return std::move(needs.missing);
    }
    return {"no such estimate"};
  };
  EXPECT_TRUE(missing("tokens/s of one device").empty());
  EXPECT_TRUE(missing("tokens/J").empty());
  EXPECT_TRUE(missing("several devices of a server").empty());
  EXPECT_EQ(missing("the space metric"), std::vector<std::string>{"transistors"});
  EXPECT_EQ(missing("weights or KV offloaded to a host"), std::vector<std::string>{"host.link_bytes_per_s"});
  EXPECT_EQ(missing("$ a million tokens"), std::vector<std::string>{"price_usd_per_hour"});
  machine.limit_w.reset();
  EXPECT_EQ(missing("tokens/J"), std::vector<std::string>{"typical_w or limit_w"});
}

// Every figure of the tables in machine_fields.h is read, listed and bounded on both sides.
TEST(MachineProperty, EveryFigureIsReadAndBounded) {
  const auto check = [](const std::string& table, const auto& fields) {
    for (const auto& field : fields) {
      SCOPED_TRACE(table + " " + std::string(field.key));
      const auto with = [&](const std::string& value) {
        std::vector<std::string> lines = kLines;
        std::erase_if(lines, [&](const std::string& line) {
          return line.starts_with(field.key) && (line == "" || line[field.key.size()] == ' ');
        });
        const auto place = table.empty() ? lines.begin() + 1 : std::find(lines.begin(), lines.end(), table) + 1;
        lines.insert(place, std::string(field.key) + " = " + value);
        return ReadAll(Join(lines));
      };
      for (const double bound : {field.range.min, field.range.max}) {
        const MachineReading reading = with(std::to_string(bound));
        for (const Error& fault : reading.faults) ADD_FAILURE() << fault.message;
        const std::vector<NamedFigure> figures = FiguresOf(reading.machine);
        EXPECT_TRUE(std::any_of(figures.begin(), figures.end(), [&](const NamedFigure& named) {
          return named.name.ends_with(field.key) && std::abs(named.figure.value - bound) <= 1e-6 * bound;
        }));
      }
      for (const char* value : {"-1", "1e40", "nan", "true", "\"1\"", "[]"}) {
        EXPECT_FALSE(with(value).faults.empty()) << value;
      }
      if (field.range.whole) EXPECT_FALSE(with("2.5").faults.empty());
    }
  };
  check("", kMachineFields);
  check("name = \"HBM\"", kMemoryFields);
  check("[server]", kServerFields);
  check("[host]", kHostFields);
  check("[network]", kNetworkFields);
}

TEST(MachineProperty, SpoiledFilesAreReadOrRefusedWithTheirName) {
  std::mt19937 random(11);
  const std::string text = Join(kLines);
  int refused = 0;
  for (int round = 0; round < 1000; ++round) {
    std::string spoiled = text;
    for (int change = 0; change < 1 + round % 4; ++change) {
      spoiled[random() % spoiled.size()] = static_cast<char>(32 + random() % 95);
    }
    const MachineReading reading = ReadAll(spoiled);
    if (reading.faults.empty()) {
      RemarksOn(reading.machine);
      continue;
    }
    ++refused;
    for (const Error& fault : reading.faults) EXPECT_TRUE(fault.message.starts_with("own.toml")) << fault.message;
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace lodestone
