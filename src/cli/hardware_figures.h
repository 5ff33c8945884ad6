// A figure of hardware as people read it, and as JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "hardware/hardware.h"

namespace lodestone::cli {

// "B/s", "OP/s", "W", "×", … by the end of the figure's name; empty for a count.
std::string_view UnitOf(std::string_view name);

// At most four digits and a prefix of thousands: "1.555 T", "312 G", "45.3".
std::string WithPrefix(double value);

// "1.555 TB/s", "40.0 GiB", "5 µs", "400 W"; capacities in powers of two.
std::string ShowValue(std::string_view name, double value);

// "limit_w = 400 W (data sheet, 350 to 450)" and the note below it, indented. A note that equals `known_note` is left
// out.
std::string ShowFigure(const NamedFigure& named, std::string_view known_note);

Json ToJson(const NamedFigure& named);  // {value, source, note, low, high, unit}

}  // namespace lodestone::cli
