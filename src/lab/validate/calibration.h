// The factors of the catalogue that rest on published rows: a fit for every device and stack, and what is left for
// devices of the class that nobody measured.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lab/validate/case.h"

namespace lodestone {

// Low and high of every fitted factor are its value × exp(∓ spread), at their physical ends at most: one spread an
// entry, the smallest with which the range of the estimates holds so many of the entry's rows.
inline constexpr double kCoverage = 0.9;

struct CalibratedEntry {
  std::string machine, efficiency_class, stack;  // a machine, or a class
  std::vector<std::string> machines;  // of a class: whose entries it stands for; of a sister: whose it is a copy of
  Efficiency efficiency;
  int rows = 0;
  double mape = 0, spread = 0;  // of a machine
};

// Rows that take part in a fit: the throughput table and the times to first token of the inference study, dense models
// in 16 bits, nothing known against them, under a stack that batches.
bool TakesPart(const ValidationCase& question);
// The same, but for what is known against the row.
bool IsOfTheStudy(const ValidationCase& question);

// Machines by name, each by stack, then machines of the same chip, then classes. Errors: those of the fits.
Result<std::vector<CalibratedEntry>> Calibrate(std::span<const ValidationCase> cases);

// What stands in for a machine under a stack that was not measured: the geometric mean of the entries of its class's
// other machines, with the ends of all of them. None where no other machine has the stack.
std::optional<CalibratedEntry> ClassEntry(std::span<const CalibratedEntry> entries, const std::string& efficiency_class,
                                          const std::string& stack, const std::string& left_out = "");

// catalog/hardware/calibration.toml.
std::string CalibrationToml(std::span<const CalibratedEntry> entries);

}  // namespace lodestone
