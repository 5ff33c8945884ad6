// Counts in sentences. Private to plan/.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "base/units.h"

namespace lodestone {

// "1 user", "2,048 positions".
inline std::string Counted(int64_t n, const char* what) {
  return fmt::format("{} {}{}", FormatNumber(static_cast<double>(n)), what, n == 1 ? "" : "s");
}

// "1 user of 1 position", "28 users at 2,048 positions".
inline std::string UsersWith(int64_t users, const char* how, int64_t positions) {
  return fmt::format("{} {} {}", Counted(users, "user"), how, Counted(positions, "position"));
}

}  // namespace lodestone
