// What one host reaches at most, as `lodestone bench limits` measured it: what a figure of a real run is a share of.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "hardware/hardware.h"

namespace lodestone {

// A rate of one thread, and of all threads of the host together.
struct HostRate {
  Figure one, all;

  // At most this much with `threads` of the host's `of`: between one and all, whichever of them limits.
  double At(int threads, int of) const;
};

// A rate that the host lacks, or that was not measured, is absent.
struct HostLimits {
  std::string cpu_name;
  int threads = 0;          // "all"
  std::string measured_at;  // "2026-11-21"
  std::optional<Figure> l3_bytes;
  // Reading memory that lies in a cache of this level, or in none.
  std::optional<HostRate> l1_bytes_per_s, l2_bytes_per_s, l3_bytes_per_s, dram_bytes_per_s;
  // Multiply-accumulate from registers; a multiplication and an addition are two. int8 is exact: by vpmaddubsw with
  // sums of 16 bits that are widened as in kernels/avx2, by vpdpbusd, by tdpbssd; bf16 by tdpbf16ps.
  std::optional<HostRate> f32_ops_per_s, int8_avx2_ops_per_s, int8_vnni_ops_per_s, int8_amx_ops_per_s,
      bf16_amx_ops_per_s;

  // The fastest unit for products of int8; null where none was measured.
  const HostRate* int8_ops_per_s() const;
};

struct HostRateField {
  std::string_view key;
  std::optional<HostRate> HostLimits::*member;
};
// Every rate, in the order of the file.
std::span<const HostRateField> HostRateFields();

// A TOML file of kind "host". Refused with file and line: unknown keys, figures without a source or out of range.
Result<HostLimits> ParseHostLimits(const Json& toml, const std::string& file);
Result<HostLimits> ReadHostLimits(const std::string& path);
// The text that ParseHostLimits reads back; values with four digits.
std::string ToToml(const HostLimits& limits);

}  // namespace lodestone
