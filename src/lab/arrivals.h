// Requests that arrive over time: drawn from a Poisson process, or read from a file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/units.h"

namespace lodestone {

struct Arrival {
  Time at;  // since the start of the trace
  int64_t prompt_tokens = 0, output_tokens = 0;
};

inline constexpr int64_t kMaxArrivals = 1'000'000;
inline constexpr double kMaxArrivalSeconds = 1e6;               // of the last
inline constexpr int64_t kMaxArrivalTokens = int64_t{1} << 24;  // of a prompt, or of an output

// Both ends included; every length is as likely as another.
struct LengthRange {
  int64_t low = 1, high = 1;
};

struct PoissonProcess {
  double requests_per_s = 1;
  int64_t requests = 1;
  LengthRange prompt_tokens, output_tokens;
  uint64_t seed = 0;
};
// The same process gives the same arrivals on every machine. Refused: numbers out of range.
Result<std::vector<Arrival>> PoissonArrivals(const PoissonProcess& process);

// A trace: CSV whose first line names the columns arrival_s, prompt_tokens and output_tokens in any order, or JSON
// lines, one object with these keys a line (chosen by the first character, '{'). Arrivals are in order of time. Refused
// with the file and the line: other columns, missing or malformed values, values out of range, more than kMaxArrivals.
Result<std::vector<Arrival>> ReadArrivals(const std::string& path);
Result<std::vector<Arrival>> ParseArrivals(std::string_view text, const std::string& file);

}  // namespace lodestone
