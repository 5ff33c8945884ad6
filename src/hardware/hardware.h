// Machines as data: a chip, a card, an appliance of cards, read from `catalog/hardware/` or a user's TOML file.
//
// Every figure carries where it comes from. A figure that a file does not give is absent, never zero. A file may name a
// file of assumptions (`assumptions = "northpole-assumptions"`, kind "assumptions", tables chip, card and appliance):
// what it does not give itself then comes from there, so that everything without a source stands in one place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/provenance.h"
#include "base/status.h"

namespace lodestone {

// One figure with its origin. In TOML: `clock_hz = {value = 400e6, source = "paper", note = "…"}`.
struct Figure {
  double value = 0;
  FieldSource source = FieldSource::kAssumed;
  std::string note;                 // the document, the arithmetic, or the reason of an assumption
  std::optional<double> low, high;  // range of an assumed figure
};

// Which end of its range makes an appliance faster or thriftier.
enum class Better { kNeither, kHigh, kLow };

// The NorthPole chip as DESIGN models it: an array of cores, each with its own memory, and a framebuffer to the
// outside.
struct ChipSpec {
  Figure cores;              // 256
  Figure core_memory_bytes;  // 768 KiB each
  Figure framebuffer_bytes;  // 32 MiB
  Figure clock_hz;
  Figure int8_ops_per_core_cycle;      // 2048; a multiply and an add count as two
  Figure int4_ops_per_core_cycle;      // 4096
  Figure int2_ops_per_core_cycle;      // 8192
  Figure memory_bytes_per_core_cycle;  // 128: core memory to compute
  Figure vector_lanes_per_core;        // 4-way × 32 slices of FP16
  Figure activation_lanes_per_core;    // 32 slices
  Figure transistors;
  // The array as the mapper sees it (timing/core_array.h).
  Figure array_rows;                           // 16; divides `cores`
  Figure matrix_columns;                       // output columns that a core's matrix unit works on at once, a multiply
                                               // and an add in each
  Figure partial_sum_rows;                     // rows whose partial sums a core keeps while it reads a weight once
  Figure activation_network_bytes_per_cycle;   // into a core
  Figure partial_sum_network_bytes_per_cycle;  // from a core to its neighbour
  Figure model_network_bytes_per_cycle;        // into a core
  Figure instruction_network_bytes_per_cycle;  // into a core
  Figure operator_program_bytes;               // instructions of one operator, the same for all cores
  Figure hop_cycles;                           // from a core to its neighbour, any network
  Figure operator_start_cycles;                // what is between the starts of two operators and overlaps nothing
  // Dynamic energy, beside the card's static power.
  Figure int8_op_pj, int4_op_pj, int2_op_pj;
  Figure memory_byte_pj;       // read or written in a core
  Figure network_byte_hop_pj;  // a byte from a core to its neighbour
  Figure vector_op_pj;         // an elementwise step of the vector or activation unit
};

struct CardSpec {
  std::string name;
  ChipSpec chip;
  Figure power_w;           // published average in an LLM run; simulated energy is calibrated on it
  Figure static_power_w;    // drawn whatever the card does
  Figure link_byte_pj;      // of energy a byte that enters or leaves the card
  Figure link_bytes_per_s;  // PCIe, each direction
  Figure link_latency_s;    // of one transfer, set-up included
};

struct ApplianceSpec {
  std::string name, description;
  CardSpec card;
  int cards = 0;
  int cards_per_server = 0;
  Figure host_turnaround_s;   // last logits received to next embedding written: sampling, lookup, driver
  int cards_per_switch = 0;   // cards of a server behind one PCIe switch; its uplink is shared
  Figure uplink_bytes_per_s;  // of a switch, each direction
  Figure host_transfer_s;     // software a transfer from card to card that goes through host memory takes
  std::optional<Figure> network_bytes_per_s,
      network_latency_s;  // between servers; required if cards > cards_per_server
  std::optional<Figure> price_usd;
};

// One chosen figure of a spec, for lists of what was assumed.
struct NamedFigure {
  std::string name;  // dotted: "card.chip.operator_start_cycles"
  Figure figure;
  Better better = Better::kNeither;
};
std::vector<NamedFigure> FiguresOf(const ApplianceSpec& spec);

// A figure without a source: assumed, or derived by a fit, which is what a range beside a derived figure means.
bool RestsOnNoSource(const Figure& figure);

// Replaces the value of the figure of that dotted name; the spec is otherwise as read. Refused: a name that no figure
// of the spec has (with the nearest), a value outside the figure's physical range, a chip that then contradicts itself.
Status SetFigure(ApplianceSpec& spec, std::string_view name, double value);

// A name in catalog/hardware/ ("northpole-16") or a path to a TOML file. Refused with file and line: unknown keys,
// missing figures, values outside their physical range, an unknown provenance.
Result<ApplianceSpec> LoadAppliance(const std::string& name_or_path);
Result<ApplianceSpec> ParseAppliance(const Json& toml, const std::string& file);
// The appliances of the catalogue, sorted by name.
Result<std::vector<ApplianceSpec>> CatalogAppliances();

}  // namespace lodestone
