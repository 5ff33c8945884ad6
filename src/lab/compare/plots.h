// The drawings of a comparison. Private to this folder.
//
// Colour is the platform, shape the provenance; marks are filled where somebody measured, hollow where a model speaks.
#pragma once

#include <optional>
#include <string>

#include "lab/compare/compare.h"
#include "report/svg.h"

namespace lodestone {

// None where fewer than two rows have what the drawing needs.
std::optional<Svg> TokensOverWatts(const ComparisonResult& result, int batch);
std::optional<Svg> EnergyOverLatency(const ComparisonResult& result);
// Both of rows of the workload's own model; the second fastest first, at most kMaxRangeRows.
std::optional<Svg> DeviceOverUser(const ComparisonResult& result);
std::optional<Svg> ThroughputRanges(const ComparisonResult& result, int batch);
inline constexpr size_t kMaxRangeRows = 80;

std::optional<Svg> MemoryOfDevices(const ComparisonResult& result, int batch);
std::optional<Svg> TimeOfOperators(const ComparisonResult& result, int batch, bool decode);
// All devices below one roof: rates over their peak, operations a byte over the ridge point.
std::optional<Svg> CommonRoofline(const ComparisonResult& result);
std::optional<Svg> RooflineOf(const ComparedRow& row);

// What a row is and where its figures come from, a line each: the note of its marks.
std::string TipOf(const ComparedRow& row);
// "estimated, gpu".
std::string KindOf(const ComparedRow& row);

}  // namespace lodestone
