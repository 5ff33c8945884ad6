// A published run and the machines that it is compared with, as rows beside those of the CSV files.
#pragma once

#include <vector>

#include "report/published.h"
#include "report/published_rows.h"

namespace lodestone {

// Appends a row for each figure that is a metric of PublishedMetrics(); what is arithmetic on another figure of the
// same run (a card's share, seconds a token) is left out. The run's name is the source.
void AppendRows(const PublishedRun& run, std::vector<PublishedRow>& rows);

}  // namespace lodestone
