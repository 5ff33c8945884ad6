// Which card holds which stage, whether it fits, and if not, why and what would.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "hardware/hardware.h"
#include "model/config.h"
#include "model/recipe.h"
#include "program/program.h"
#include "timing/timing.h"

namespace lodestone {

// KV pages are allocated whole: this many positions each.
inline constexpr int64_t kPagePositions = 64;

// Larger demands are refused before anything is multiplied.
inline constexpr int kMaxPlacedUsers = 1'000'000;
inline constexpr int64_t kMaxPlacedContext = int64_t{1} << 30;
inline constexpr int kMaxPlacedRows = 1 << 24;
inline constexpr int kMaxPlacedCards = 1'000'000;

struct Arrangement;  // arrangement.h

// What the users bring.
struct Demand {
  int users = 1;
  int64_t context = 0;    // positions a user: prompt and generated tokens
  int rows_per_pass = 1;  // largest pass: prefill chunk or micro-batch, whichever is larger; sizes the buffers
  int decode_rows = 1;    // users of the largest micro-batch
};

// One card's memory, in bytes. The lines and `free` sum to `capacity`; `free` is negative where it does not fit.
struct Ledger {
  int64_t weight_codes = 0, weight_scales = 0, norms_biases = 0;
  int64_t kv_codes = 0, kv_scales = 0;  // users × whole pages
  int64_t buffers = 0;                  // registers of the largest pass, logits included
  int64_t capacity = 0;                 // core memory of the chip; the framebuffer, which serves the link, not counted

  int64_t used() const { return weight_codes + weight_scales + norms_biases + kv_codes + kv_scales + buffers; }
  int64_t free() const { return capacity - used(); }
};

struct PlacedStage {
  Stage stage;
  int card = 0;  // index in the appliance
  int kind = 0;  // stages of one kind do the same work, of other layers: what one takes, all take
  Ledger ledger;
};

// Stages in the order of the pipeline, one a card; consecutive stages with `of` > 1 are the ranks of one step.
struct Placement {
  std::vector<PlacedStage> stages;
  Demand demand;  // that it was made for
  int cards = 0;  // in the appliance
  int cards_used = 0;
  int instances = 1;        // InstancesOf (estimate.h): copies of the model side by side, each with the whole demand
  int64_t host_bytes = 0;   // embedding tables on the host
  int max_users = 0;        // by memory, at this context, with the same stages
  int64_t max_context = 0;  // by memory, for these users, with the same stages; whole pages
};

// Places the model on the appliance's cards: a layer a card; where a layer does not fit, its attention on one card and
// its MLP on the next, and where such a half does not fit either, split over as few ranks as hold it (at most 8); the
// output layer on as few cards as hold it, its columns split. Layers share a card only when cards are fewer than layers
// and memory allows. Row operators that follow one another are fused.
//
// kInvalid: a demand of no users, positions or rows, beyond the bounds above, or of more positions than the model has.
// kInfeasible: it does not fit. The error tells the first card that overflows with its ledger, and what would fit
// (users at this context, context for these users, smaller formats, cards needed).
Result<Placement> Place(const ModelConfig& config, const Recipe& recipe, const ApplianceSpec& appliance,
                        const Demand& demand);

// The same with the stages where `arrangement` wants them. kInvalid as well: an arrangement that does not describe the
// model, or whose ranks do not divide it.
Result<Placement> Place(const ModelConfig& config, const Recipe& recipe, const ApplianceSpec& appliance,
                        const Demand& demand, const Arrangement& arrangement);

// The whole model on one card of this host: no memory limit but `memory_bytes` where given, which the embedding tables
// share. The ledger's capacity is the rest of the limit, or what is used where there is none.
Result<Placement> PlaceOnHost(const ModelConfig& config, const Recipe& recipe, const Demand& demand,
                              std::optional<int64_t> memory_bytes);

// Positions rounded up to whole pages.
int64_t PagesPerUser(int64_t context);

// Users a micro-batch at most, when `users` are dealt to `micro_batches` groups.
int LargestGroup(int users, int micro_batches);

// The demand of `users` who need `context` positions each. A pass may carry a chunk of prompts and one row for every
// other user of its group.
Demand DemandOf(int users, int micro_batches, int64_t context, int64_t prompt_tokens, int prefill_chunk);

// What the mapping of every stage is made for: decoding at half of the context, and all users' KV.
MapDemand MapDemandOf(const Demand& demand);

}  // namespace lodestone
