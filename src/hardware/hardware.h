// Machines as data: a chip, a card, an appliance of cards, read from `catalog/hardware/` or a user's TOML file.
//
// Every figure carries where it comes from. A figure that a file does not give is absent, never zero.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
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
  // What no source gives: fitted or assumed. `--ideal` sets these to 1, 1, 1 and 0.
  Figure matrix_efficiency;         // share of the matrix rate that a mapped operator reaches
  Figure memory_efficiency;         // share of the core-memory rate
  Figure vector_efficiency;         // share of the vector rate
  Figure operator_overhead_cycles;  // an operator's start: instructions, first operands, synchronisation of the array
};

struct CardSpec {
  std::string name;
  ChipSpec chip;
  Figure power_w;           // average in an LLM run
  Figure link_bytes_per_s;  // PCIe, each direction
  Figure link_latency_s;    // of one transfer, set-up included
};

struct ApplianceSpec {
  std::string name, description;
  CardSpec card;
  int cards = 0;
  int cards_per_server = 0;
  Figure host_turnaround_s;  // last logits received to next embedding written: sampling, lookup, driver
  std::optional<Figure> network_bytes_per_s,
      network_latency_s;  // between servers; required if cards > cards_per_server
  std::optional<Figure> price_usd;
};

// One chosen figure of a spec, for lists of what was assumed.
struct NamedFigure {
  std::string name;  // dotted: "card.chip.operator_overhead_cycles"
  Figure figure;
};
std::vector<NamedFigure> FiguresOf(const ApplianceSpec& spec);

// A name in catalog/hardware/ ("northpole-16") or a path to a TOML file. Refused with file and line: unknown keys,
// missing figures, values outside their physical range, an unknown provenance.
Result<ApplianceSpec> LoadAppliance(const std::string& name_or_path);
Result<ApplianceSpec> ParseAppliance(const Json& toml, const std::string& file);
// The appliances of the catalogue, sorted by name.
Result<std::vector<ApplianceSpec>> CatalogAppliances();

}  // namespace lodestone
