// A placement as people read it: which cards hold what, with the memory ledger, alike cards in one line.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "plan/placement.h"

namespace lodestone::cli {

// Stages that differ by their numbers alone: the same kind, the same ledger, on cards of equal content.
struct StageGroup {
  std::string label;       // "layer 0–13", "output 1–2/2"
  std::vector<int> cards;  // ascending
  size_t first = 0;        // index of the group's first stage in the placement
};
std::vector<StageGroup> GroupStages(const Placement& placement);

// "0–13", "0, 2 … 78", "1–2, 4–5 … 238–239", "3, 7–8".
std::string CardList(const std::vector<int>& cards);

// `first` and `last` with their numbers as ranges: "layer 0 attention" and "layer 39 attention" are "layer 0–39
// attention", "layers 0–2" and "layers 9–11" are "layers 0–11".
std::string MergeLabels(const std::string& first, const std::string& last);

std::string RenderPlacement(const Placement& placement);

}  // namespace lodestone::cli
