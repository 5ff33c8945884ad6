// How a measure is written for people: its label and its unit, once for every table.
#pragma once

#include <span>
#include <string_view>

namespace lodestone {

struct MeasureStyle {
  std::string_view name;  // of the measure
  std::string_view label;
  double scale;           // shown value = value × scale, where the unit is `unit`
  std::string_view unit;  // empty: a time, in the unit that its size asks for
  std::string_view per;   // behind that unit: "/token"
  double column_scale;    // in a column of figures of one row, which share one unit
  std::string_view column_unit;
};

// In the order in which measures are shown.
std::span<const MeasureStyle> MeasureStyles();
// Null for a measure that has no style of its own.
const MeasureStyle* StyleOf(std::string_view measure);

}  // namespace lodestone
