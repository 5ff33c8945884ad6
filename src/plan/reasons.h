// Why a proposed placement is as it is, in sentences with its figures.
#pragma once

#include <string>
#include <vector>

#include "plan/search.h"
#include "plan/stage_costs.h"

namespace lodestone {

// "whole, 3 on 4 cards", "attention 1 + MLP 2"; "2", "shared".
std::string DescribeLayers(const Arrangement& arrangement, int layers);
std::string DescribeOutput(const Arrangement& arrangement);

// Memory, what was split and why, what sets the pace, and the instances. `costs` knows the proposal's steps.
std::vector<std::string> ReasonsFor(const Proposal& proposal, const ApplianceSpec& appliance, const ModelShape& shape,
                                    const std::vector<int>& cuts, StageCosts& costs);

}  // namespace lodestone
