// The survey's families of optimisation (arXiv 2410.04466) that are not a recipe or a number of devices. Each changes
// the program, the load or the plan of an estimate; none multiplies a result.
//
//   weight-sparsity=2:4 | 0.5 | tiles:0.5  weights of the layers that are not stored (and, where units skip them, not
//       computed), with the index that says which
//   activation-sparsity=0.6  share of the MLP's hidden values that are zero a token. The gate (without one, the
//       up-projection) is computed whole and says which; their rows of the other matrices are not read where they are
//       zero for the whole batch
//   kv-budget=1024  positions that eviction keeps (H2O, StreamingLLM); prompts are attended whole before it
//   speculative=MODEL:tokens=3:acceptance=0.7  a draft model on the same devices
//   self-speculation=LAYERS:tokens=4:acceptance=0.8  the model's own first layers as the draft, as sparse as they are
//   early-exit=0.7  share of the layers that an average generated token runs; prompts run all
//   unfused, materialised-softmax  bytes that fused kernels and online softmax do not move
//   offload=layers:N@host | experts@host | attention@MACHINE | layers:N@MACHINE
//       requests that MACHINE's memory does not hold wait; no energy is given, as its power is not counted
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/config.h"
#include "program/program.h"
#include "program/work.h"

namespace lodestone {

struct Methods {
  using WeightSparsity = Sparsity;
  struct Speculation {
    std::string draft;  // a model; empty: the model's own first `draft_layers`
    int draft_layers = 0;
    int tokens = 0;         // proposed a round
    double acceptance = 0;  // of each proposed token, independently (Y. Leviathan et al., ICML 2023)
    // (1 − aᵗ⁺¹) / (1 − a): tokens that a round yields.
    double TokensARound() const;
  };
  struct Offload {
    enum class What { kLayers, kExperts, kAttention } what = What::kLayers;
    int layers = 0;
    std::string machine;  // a name of the catalogue; empty: memory of the host, streamed over its link
  };

  std::optional<WeightSparsity> weight_sparsity;
  std::optional<double> activation_sparsity;
  std::optional<int64_t> kv_budget;
  std::optional<Speculation> speculation;
  std::optional<double> early_exit;
  bool unfused = false, materialised_softmax = false;
  std::optional<Offload> offload;

  bool any() const;
  std::string text;  // as given: "kv-budget=1024 unfused"
};

// One `--with` a method; one word may hold several with spaces between, as `text` does. Refused: unknown names (with
// the nearest), values out of range, a method given twice, and pairs that are not modelled together, by name.
Result<Methods> ParseMethods(const std::vector<std::string>& words);

// The program with the methods that change it applied: sparsity, early exit (Segment::exited, which passes over prompts
// do not follow), scores in memory; unfused: fusion ids taken away. Refused, by name: what the program's operators do
// not have.
Result<Program> Apply(const Methods& methods, Program program);
// A decoding step with the positions that eviction keeps. Exact where its rows have equal contexts.
Load Apply(const Methods& methods, Load load);

}  // namespace lodestone
