// What makes rows of targets. Private to this folder.
#pragma once

#include <vector>

#include "lab/compare/compare.h"
#include "model/config.h"

namespace lodestone {

// One row; a refusal is its reason.
ComparedRow MeasuredRow(const CompareTarget& target, const MeasuredTarget& what, const CompareWorkload& workload,
                        int batch);
ComparedRow SimulatedRow(const CompareTarget& target, const SimulatedTarget& what, const CompareWorkload& workload,
                         const ModelConfig& config, int batch);
ComparedRow EstimatedRow(const CompareTarget& target, const EstimatedTarget& what, const CompareWorkload& workload,
                         const ModelConfig& config, int batch);
// One row a published run, in the order of the catalogue.
Result<std::vector<ComparedRow>> PublishedRows(const CompareTarget& target, const PublishedQuery& query,
                                               const CompareWorkload& workload);

// The row of a target before it has figures.
ComparedRow EmptyRow(const CompareTarget& target, const CompareWorkload& workload, Provenance provenance, int batch);
// "label" where the target has one, else `made` with the recipe where it is not the workload's.
std::string LabelOf(const CompareTarget& target, const CompareWorkload& workload, const std::string& made);

// Fills in what follows from other figures of the row: per device and per user, latency, tokens/J.
void Complete(ComparedRow& row);

}  // namespace lodestone
