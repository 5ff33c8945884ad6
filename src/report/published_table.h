// Table I of a document beside a simulated run: machines by rows, measures by columns, and how much better the run is.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/html.h"
#include "report/measure.h"
#include "report/published.h"

namespace lodestone {

// One advantage of the run over a point: as printed, from the cells of the table, and with the simulated row instead of
// the published one.
struct ComparedRatio {
  std::string point, measure;
  double printed = 0, rebuilt = 0;
  std::optional<double> simulated;
};
// In the order of the points; ratios whose cells are absent are left out.
std::vector<ComparedRatio> CompareRatios(const PublishedRun& run, const std::vector<Measure>& simulated);

// Both tables as text, with marks q, d and e behind figures that are quoted, derived or from elsewhere. Empty where the
// run is compared with nothing.
std::string RenderPublishedTable(const PublishedRun& run, const std::vector<Measure>& simulated);
// The same for a page; the arithmetic of each cell is its note, and the marks are explained below the table.
HtmlTable PublishedTableHtml(const PublishedRun& run, const std::vector<Measure>& simulated);
std::string PublishedTableNote(const PublishedRun& run);
HtmlTable RatiosHtml(const PublishedRun& run, const std::vector<Measure>& simulated);

}  // namespace lodestone
