// How long one stage takes on a card, and what bounds it. One stage, no events: a function of shapes, formats and load.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/units.h"
#include "program/program.h"
#include "program/work.h"

namespace lodestone {

enum class Bound { kMatrix, kMemory, kVector, kOverhead };
const char* ToString(Bound bound);

struct OperatorCost {
  const char* op = "";  // NameOf
  int count = 1;        // layers that run it
  Time time;            // of all of them
  Bound bound = Bound::kOverhead;
};

struct StageCost {
  Time time;
  Bound bound = Bound::kOverhead;             // what most of the time is bound by
  int64_t input_bytes = 0, output_bytes = 0;  // that cross the card's link for this load
};

// A stage mapped to a card: everything that does not depend on the load is worked out. Evaluate is plain arithmetic.
class StageTiming {
 public:
  virtual ~StageTiming() = default;
  virtual StageCost Evaluate(const Load& load) const = 0;
  virtual std::vector<OperatorCost> Explain(const Load& load) const = 0;  // in program order; times sum to Evaluate's
};

class Timing {
 public:
  virtual ~Timing() = default;
  // Infeasible with the reason when the chip cannot run the stage at all (a format it has no unit for).
  virtual Result<std::unique_ptr<StageTiming>> Map(const Stage& stage) const = 0;
};

}  // namespace lodestone
