// Options that hold several values: "1,8,28".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace lodestone::cli {

// The words between commas, blanks around them removed. Refused, naming `option`: an empty word.
Result<std::vector<std::string>> ParseWords(std::string_view option, std::string_view text);
// Whole numbers from `min` to `max`, in the order given.
Result<std::vector<int64_t>> ParseNumbers(std::string_view option, std::string_view text, int64_t min, int64_t max);

}  // namespace lodestone::cli
