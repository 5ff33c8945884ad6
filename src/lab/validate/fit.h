// Factors of one device under one stack, fitted on published rows: the few named constants of hardware/efficiency.h,
// never the results.
#pragma once

#include <span>
#include <vector>

#include "lab/validate/case.h"

namespace lodestone {

struct FitField {
  double Factors::*value;
  double low, high;  // physical ends
  double start;      // where the search begins, and to where a factor stays drawn that the rows do not fix
};
// Fitted together; the others are given: `attention` is as `matrix`, `vector` and `usable_memory` are the class's,
// `reserved_bytes` is searched apart, as it decides how many requests are held.
std::span<const FitField> FitFields();

struct Fit {
  Factors factors;
  double objective = 0;
  int rows = 0;
};

// The factors at which the logarithms of estimated and published values differ least: Huber's loss (errors beyond 8 %
// count linearly), a model's rows together by the root of their number, rows of TTFT threefold, as they alone tell
// prefill from decoding. Levenberg and Marquardt's method on the logarithms of the factors. Deterministic. `base` gives
// the factors that are not fitted. kInvalid: no rows; errors of InferencePlan::Of.
Result<Fit> FitFactors(std::span<const ValidationCase* const> cases, const Efficiency& base);

}  // namespace lodestone
