// How long one stage takes on a card, what bounds it and what energy it needs. One stage, no events: a function of
// shapes, formats and load.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/units.h"
#include "program/program.h"
#include "program/work.h"

namespace lodestone {

// What an operator keeps busy. All but the last overlap.
enum class Resource : uint8_t {
  kMatrix,              // vector-matrix units
  kMemory,              // core memory to compute
  kVector,              // vector units
  kActivation,          // activation-function units
  kActivationNetwork,   // inputs to the cores that need them
  kPartialSumNetwork,   // partial sums, row sums and maxima, from core to core
  kModelNetwork,        // weights that a core does not hold
  kInstructionNetwork,  // programs
  kStart,               // between the starts of two operators, and the way through the array: overlaps nothing
};
inline constexpr size_t kResources = 9;
const char* ToString(Resource resource);  // "matrix", "memory", …

// Dynamic energy by what drew it; a card's static power is apart.
struct EnergyParts {
  Energy matrix, memory, vector, network;
  Energy total() const { return matrix + memory + vector + network; }
  EnergyParts& operator+=(const EnergyParts& other);
};

struct OperatorCost {
  const char* op = "";                       // NameOf
  std::string weight;                        // "q", "down", … of a linear layer
  int count = 1;                             // layers that run it
  std::array<int64_t, kResources> cycles{};  // of one run
  int64_t total_cycles = 0;                  // of one run: the longest of what overlaps, and the start
  Time time;                                 // of all runs
  Resource bound = Resource::kStart;
  EnergyParts energy;                        // of all runs
  int64_t operations = 0, memory_bytes = 0;  // of all runs, over all cores: a point of the roofline
};

// A run of operators up to the next gather between the ranks of a stage.
struct SectionCost {
  Time time;
  int64_t gather_bytes = 0;  // of this rank's part, which goes to every other rank after the section
};

struct StageCost {
  Time time;                                  // the array is busy: all sections, waits for gathers not included
  Resource bound = Resource::kStart;          // what most of the time is bound by
  int64_t input_bytes = 0, output_bytes = 0;  // that cross the card's link for this load
  EnergyParts energy;
  std::vector<SectionCost> sections;  // in order, the last without a gather; empty: one section of `time`
};

// Where an operator's weights and work lie on the cores.
struct OperatorMapping {
  const char* op = "";
  std::string weight;
  std::string layout;        // "64 groups of output columns × 4 parts of k", in words
  int cores = 0;             // that have work
  int64_t weight_bytes = 0;  // codes and scales of the fullest core
  int64_t kv_bytes = 0;      // of the fullest core
  int considered = 0;        // mappings that were compared
};

// A stage on the cores of one card.
struct StageMapping {
  std::vector<OperatorMapping> operators;  // in program order, of one layer of each segment
  int64_t fullest_core_bytes = 0;          // weights, KV and buffers
  int64_t core_memory_bytes = 0;
};

// A stage mapped to a card: everything that does not depend on the load is worked out. Evaluate is plain arithmetic.
// For one thread at a time: it may remember what it worked out last.
class StageTiming {
 public:
  virtual ~StageTiming() = default;
  virtual const StageCost& Evaluate(const Load& load) = 0;                // valid until the next call
  virtual std::vector<OperatorCost> Explain(const Load& load) const = 0;  // in program order; times sum to Evaluate's
  virtual StageMapping Mapping() const = 0;
};

// What a mapping is made for. Weights and KV are laid on the cores once, before any pass.
struct MapDemand {
  Load load;                 // the pass that the mapper makes short: a micro-batch that decodes
  int64_t kv_positions = 0;  // that the card holds: users × whole pages
  int rows_per_pass = 1;     // of the largest pass: sizes the buffers
};

class Timing {
 public:
  virtual ~Timing() = default;
  // Infeasible with the reason when the chip cannot run the stage at all: a format it has no unit for, or no mapping
  // whose fullest core holds its share.
  virtual Result<std::unique_ptr<StageTiming>> Map(const Stage& stage, const MapDemand& demand) const = 0;
};

}  // namespace lodestone
