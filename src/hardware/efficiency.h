// What share of its data sheet a device reaches, and what every step costs besides: the named constants of calibrated
// estimates. Read from `catalog/hardware/` (kind "efficiency"), and from the machine's own file, which wins.
//
//   [[factors]]
//   class = "gpu-nvidia"       # or machine = "a100-40gb"; neither in a machine's own file
//   stack = "vllm"             # left out: any
//   note = "…"                 # of every factor without one of its own
//   matrix = {value = 0.7, low = 0.55, high = 0.8, source = "derived", note = "…"}
//
// The entry that says most wins, factor by factor: (machine, stack), (machine), (class, stack), (class).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hardware/hardware.h"

namespace lodestone {

struct Machine;

// The classes that a machine may name: devices whose factors resemble each other, because the same bounds and the same
// kind of software stand behind them.
std::span<const std::string_view> EfficiencyClasses();

// Shares are of the data sheet's rates, in (0, 1]; times are seconds. Low and high are the ends of what was seen; low
// is always the smaller number, so that it is the slow end of a share and the fast end of a time.
struct Efficiency {
  Figure matrix;          // of matrix operations, many rows
  Figure matrix_rows;     // rows at which a product reaches half of that
  Figure memory;          // of bandwidth, streaming weights
  Figure kv;              // of bandwidth, reading KV in attention
  Figure attention;       // of matrix operations in attention
  Figure vector;          // of elementwise operations
  Figure link;            // of link bandwidth in collectives
  Figure collective_s;    // of every collective, besides
  Figure launch_s;        // of every operator (kernel) of a step
  Figure step_s;          // of every step: scheduler, sampling, host
  Figure sequence_s;      // of every step and sequence
  Figure usable_memory;   // share of the capacity that weights, KV and buffers may take
  Figure heads_per_read;  // query heads that share one read of their KV head when decoding: KV of a larger group is
                          // read again for the others
  Figure reserved_bytes;  // of every device's memory, by the stack: context, graphs, communication buffers
  Figure run_s;           // of every run: compilation at first use, where nothing was warmed up
};

struct EfficiencyField {
  std::string_view key;
  Figure Efficiency::*member;
  bool share = true;  // else seconds or a count
  double ideal = 1;   // what an ideal device has
};
// Every factor, in the order of the struct.
std::span<const EfficiencyField> EfficiencyFields();

// One `[[factors]]` of a file.
struct EfficiencyEntry {
  std::string machine, efficiency_class, stack;  // empty: any
  std::string where;                             // "catalog/hardware/efficiency.toml:12", for lists
  std::vector<std::pair<const EfficiencyField*, Figure>> factors;
};

// A file of kind "efficiency". Refused with file and line: unknown keys, shares above 1, an unknown class, an entry for
// neither a machine nor a class, two entries for the same.
Result<std::vector<EfficiencyEntry>> ParseEfficiency(const Json& toml, const std::string& file);
Result<std::vector<EfficiencyEntry>> ReadEfficiency(const std::string& path);
// All entries of the catalogue. Read once, then shared.
const Result<std::vector<EfficiencyEntry>>& CatalogEfficiency();

// Rates alone: shares 1, times 0.
Efficiency IdealEfficiency();

// The factors for a machine under a stack ("vllm", "tensorrt-llm", …; empty: none named), from the machine's own file
// and `entries`. kNotFound: a stack that no entry names, with those that do; kInfeasible: a factor that neither the
// machine nor its class has.
Result<Efficiency> EfficiencyOf(const Machine& machine, std::string_view stack,
                                std::span<const EfficiencyEntry> entries);
// With the entries of the catalogue.
Result<Efficiency> EfficiencyOf(const Machine& machine, std::string_view stack);

// Stacks that an entry of the catalogue names, sorted; and those that say something about a machine or its class.
std::vector<std::string> StackNames();
std::vector<std::string> StackNames(const Machine& machine);

}  // namespace lodestone
