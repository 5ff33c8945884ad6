// Any machine as data: what its maker, a paper or a measurement says of one device, its memories, its links and the
// server that it stands in. Read from `catalog/hardware/` (kind "machine") or a user's TOML file.
//
// Every figure carries where it comes from; a figure that a file does not give is absent, never zero. A plain number is
// from the document that `data_sheet` names; a table states its own origin:
//
//   kind = "machine"          name = "a100-40gb"       description = "NVIDIA A100 SXM4, 40 GB"
//   vendor = "NVIDIA"         platform = "gpu"         class = "gpu-nvidia"
//   data_sheet = "NVIDIA A100 Tensor Core GPU data sheet (2021)"
//   limit_w = 400
//   idle_w = {value = 60, source = "paper", note = "…"}
//   [peak_ops_per_s]          # dense; a multiply and an add are two
//   bf16 = 312e12
//   [[memory]]                # nearest first; the last one holds the weights
//   name = "HBM2"             capacity_bytes = 42949672960     bytes_per_s = 1555e9
//   [server]                  # devices that a link joins
//   devices = 8               topology = "switch"      link_bytes_per_s = 300e9      (a device, each direction)
//   [host]                    # the way to a larger memory behind the last one, and that memory, a device's share
//   link_bytes_per_s = 31.5e9 memory_bytes = 128e9     memory_bytes_per_s = 25e9
//   [network]                 # between servers, a device, each direction
//   bytes_per_s = 25e9        latency_s = 5e-6
//   [[factors]]               # its own factors, if any: hardware/efficiency.h
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hardware/efficiency.h"
#include "hardware/hardware.h"
#include "hardware/host_limits.h"
#include "numerics/format.h"

namespace lodestone {

// The survey's five kinds of platform (arXiv 2410.04466).
enum class Platform { kCpu, kGpu, kFpga, kAsic, kPim };
std::string_view ToString(Platform platform);  // "cpu", "gpu", "fpga", "asic", "pim"

// Formats in which devices state matrix rates.
enum class RateFormat { kF32, kTf32, kBf16, kF16, kFp8, kInt8, kInt4, kFp4 };
inline constexpr size_t kRateFormats = 8;
std::string_view ToString(RateFormat format);  // "f32", "tf32", "bf16", "f16", "fp8", "int8", "int4", "fp4"

struct MemoryLevel {
  std::string name;  // "SRAM", "HBM2e", "DDR5"
  std::optional<Figure> capacity_bytes, bytes_per_s, latency_s;
};

// How the devices of a server are joined, which says how long a collective takes.
enum class Topology { kNone, kSwitch, kRing, kMesh, kHost };  // kHost: over PCIe and the host's root
std::string_view ToString(Topology topology);                 // "none", "switch", "ring", "mesh", "host"

struct Machine {
  std::string name, description, vendor, data_sheet;
  Platform platform = Platform::kGpu;
  std::string efficiency_class;  // key `class`: whose factors stand in where the device has none of its own
  std::string file;              // for messages

  // One device: a card, a package, a wafer.
  std::optional<Figure> process_nm, transistors, area_mm2;
  std::optional<Figure> idle_w, typical_w, limit_w;  // typical: measured while a language model decodes
  std::optional<Figure> price_usd, price_usd_per_hour;
  std::array<std::optional<Figure>, kRateFormats> peak_ops_per_s;  // matrix units, dense
  std::optional<Figure> vector_ops_per_s;                          // elementwise, f32 or the format of its vector unit
  std::optional<Figure> sparse_speedup;                            // of 2:4 patterns in its matrix units; absent: none
  std::vector<MemoryLevel> memory;                                 // nearest first; weights lie in the last

  // The server.
  int devices_per_server = 1;
  Topology topology = Topology::kNone;
  std::optional<Figure> link_bytes_per_s, link_latency_s;  // a device, each direction
  // What lies behind the last memory: a host over PCIe, or a slower tier of the device's own. A device's share.
  std::optional<Figure> host_link_bytes_per_s, host_memory_bytes, host_memory_bytes_per_s;
  std::optional<Figure> network_bytes_per_s, network_latency_s;  // between servers, a device, each direction

  std::vector<EfficiencyEntry> factors;  // its own, as its file gives them

  // The fastest rate for products whose wider operand is `code`, and the format that gives it; none where the device
  // states no rate for it or anything that holds its values: int4 → int8 → bf16 or f16 → tf32 → f32, and fp8 → bf16 ….
  struct Rate {
    RateFormat format;
    double ops_per_s;
  };
  std::optional<Rate> RateFor(Code code) const;
  const std::optional<Figure>& Peak(RateFormat format) const { return peak_ops_per_s[static_cast<size_t>(format)]; }
  const MemoryLevel& main_memory() const { return memory.back(); }
};

// A name of the catalogue ("h100-sxm", or an appliance: "northpole-16"), or a path to a TOML file of a machine, an
// appliance or a host (as `lodestone bench limits` writes it). Refused with file and line: unknown keys, values out of
// their physical range, an unknown provenance, no memory, a machine without any matrix rate.
Result<Machine> LoadMachine(const std::string& name_or_path);
// A file of kind "machine"; the first of its faults.
Result<Machine> ParseMachine(const Json& toml, const std::string& file);
// The same, and every fault; empty: it was read. At most kMaxMachineFaults.
inline constexpr size_t kMaxMachineFaults = 50;
struct MachineReading {
  Machine machine;
  std::vector<Error> faults;
};
MachineReading ReadMachine(const Json& toml, const std::string& file);

// The machines of the catalogue, sorted by name. Read once, then shared.
const Result<std::vector<Machine>>& CatalogMachines();

// A card of an appliance, and the server that it stands in, seen by its rates alone: what its array could do, without
// what the mapper of timing/ knows.
Machine MachineOf(const ApplianceSpec& spec);
// This host by what it was measured to reach, all threads together, named "this-host". Its memory's capacity is absent.
Machine MachineOf(const HostLimits& limits);

// Every figure that the machine has, dotted names ("memory.HBM2.bytes_per_s"), for lists and checks.
std::vector<NamedFigure> FiguresOf(const Machine& machine);

// Operations a byte of the main memory at which a device is bound by both: of its fastest rate for `code`. None where a
// figure is missing.
std::optional<double> RidgePoint(const Machine& machine, Code code);

// What an able engineer would ask before trusting the file: figures that contradict each other, or that lie far from
// those of the machine's class (a ridge point, bandwidth or power), one line each.
std::vector<std::string> RemarksOn(const Machine& machine);

// A kind of estimate and the figures that it needs and the machine lacks, by the name of their key; empty: it can be
// made.
struct EstimateNeeds {
  std::string estimate;              // "tokens/J"
  std::vector<std::string> missing;  // "typical_w or limit_w"
};
std::vector<EstimateNeeds> NeedsOf(const Machine& machine);

}  // namespace lodestone
