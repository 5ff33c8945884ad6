// What `lodestone plan --search` shows: the best few placements with their reasons, and the trade between users and
// context.
#pragma once

#include <string>

#include "base/json.h"
#include "plan/search.h"

namespace lodestone::cli {

// Of the cards of `appliance`.
std::string RenderSearch(const SearchResult& found, const ApplianceSpec& appliance, const SearchOptions& options);
Json ToJson(const SearchResult& found, const SearchOptions& options);

}  // namespace lodestone::cli
