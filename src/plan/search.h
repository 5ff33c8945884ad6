// Compares the ways in which a model can lie on an appliance, by closed form, and proposes the best few with reasons.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "plan/arrangement.h"
#include "plan/estimate.h"
#include "plan/placement.h"

namespace lodestone {

// What the best placement has most or least of. A card more or less for the output layer must change it by kWorthACard:
// of placements that differ in nothing else and by less, the one on fewer cards stands for all, unless it is slower
// than what Place chooses.
enum class Objective {
  kThroughput,  // tokens a second of all instances; then the fewest cards
  kLatency,     // the shortest time between a user's tokens; then throughput
  kCards,       // the fewest cards an instance; then throughput
};
inline constexpr double kWorthACard = 0.01;
const char* ToString(Objective objective);  // "throughput", "latency", "cards"
std::optional<Objective> ParseObjective(std::string_view text);

struct SearchOptions {
  int users = 1;                     // of one instance
  int64_t context = 0;               // positions a user
  std::optional<int> prefill_chunk;  // none: the largest that an arrangement has room for, from kLargestChunk, halving
  std::optional<int> micro_batches;  // none: as few as keep every step of the pipeline busy with a group
  Objective objective = Objective::kThroughput;
  int proposals = 5;  // at most
};

inline constexpr int kLargestChunk = 128;
inline constexpr int64_t kFirstTradeContext = 256;

struct Proposal {
  Arrangement arrangement;
  Placement placement;
  PipelineEstimate estimate;  // of one instance
  int prefill_chunk = 1;
  int instances = 1;  // InstancesOf
  int max_users = 0;  // of one instance at this context: as many as cards and cores have room for
  int64_t fullest_core_bytes = 0;
  std::string layers, output;        // in words: "whole, 3 on 4 cards", "attention 1 + MLP 2"; "2", "shared"
  std::vector<std::string> reasons;  // why so, a sentence each

  double system_tokens_per_s() const { return instances * estimate.tokens_per_s; }
};

// The proposals' stages at another context, with as many users as cards and cores have room for.
struct TradePoint {
  int64_t context = 0;
  struct Filled {
    int users = 0;  // 0: not even one
    PipelineEstimate estimate;
  };
  std::vector<Filled> proposals;  // in the order of the result
};

struct SearchResult {
  std::vector<Proposal> best;     // at least one, best first; no two have the layers in the same places
  std::optional<Proposal> plain;  // the arrangement that Place chooses, unless the cores refuse it
  std::vector<TradePoint> trade;  // contexts from kFirstTradeContext, doubling up to the model's positions
  int over_memory = 0;            // arrangements that take too many cards, or more memory than a card has
  int over_cores = 0;             // that the cores refuse
  std::string core_reason;        // for the first of them
  int estimated = 0;              // that were compared
};

// Each layer whole, several to a step or split over ranks; attention and MLP on cards of their own, split or not; the
// output layer on some cards of its own or beside the last layers. A few thousand arrangements at most are weighed,
// whatever the number of cards.
//
// Refused: what Place refuses; and kInfeasible, with the reason of the first, where cores refuse every arrangement.
Result<SearchResult> SearchPlacements(const ModelConfig& config, const Recipe& recipe, const ApplianceSpec& appliance,
                                      const Timing& timing, const SearchOptions& options);

}  // namespace lodestone
