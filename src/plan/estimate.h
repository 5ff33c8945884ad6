// What a pipeline of cards would do in steady state, in closed form: no events, no queues. Provenance: estimated.
//
// Users are dealt to M groups that take turns in the chain (GPipe: Huang et al., NeurIPS 2019). A step is busy with a
// group's pass for
//   pace   = max(Σ sections + Σ gathers, link)
//   gather = (ranks − 1) × the rank's part / link rate + latency        parts go to the other ranks one after another
//   link   = what the busiest card of the step sends on / link rate
// and a user waits for his next token for
//   period     = max(M × slowest pace, round trip)
//   round trip = host → first step → … → last step → host: transfers, sections and gathers, and the host's turn-around.
// Transfers go from card to card; between servers they take the network's rate and latency. Left out: shared uplinks,
// full framebuffers, groups that differ in size, prompts between the tokens. The event simulation has them.
#pragma once

#include <span>

#include "base/units.h"
#include "hardware/hardware.h"
#include "plan/placement.h"
#include "timing/timing.h"

namespace lodestone {

// What one rank of a step costs: of rank 0, whose share is the largest.
struct StepCost {
  StageCost decode;   // a group's users, one token each
  StageCost prefill;  // a chunk of one prompt
};

// Prompt tokens of the largest pass: a pass may carry a chunk and a row for every other user of the group.
int ChunkOf(const Demand& demand);

// The loads of both. Decoding at half of the context, where MapDemandOf is; the chunk in the middle of a prompt that
// takes half of the context.
Load DecodeLoadOf(const Demand& demand);
Load PrefillLoadOf(const Demand& demand);

// Sections and gathers of a step whose cards sit in one server.
Time StepTime(const StageCost& cost, int ranks, const ApplianceSpec& appliance);

// A step of the pipeline and how many cards work on it.
struct EstimatedStep {
  const StepCost* cost = nullptr;
  int ranks = 1;
};

struct PipelineEstimate {
  int groups = 1;
  Time slowest, mean, fastest;  // paces of the steps, decoding
  int slowest_step = 0;
  Time round_trip;                 // of one group's decoding pass
  Time period;                     // between two tokens of a user
  double tokens_per_s = 0;         // of all users: users / period
  double prompt_tokens_per_s = 0;  // chunk / slowest pace, if prompts alone fill the chain
  double watts = 0;                // of the cards used: static, and dynamic while decoding
};

// One instance on consecutive cards from card 0, for the demand that the costs are of. `steps` is not empty.
PipelineEstimate EstimatePipeline(std::span<const EstimatedStep> steps, const ApplianceSpec& appliance,
                                  const Demand& demand);

// Instances that fit side by side. One that fits a server lies in one; a larger one has its servers for itself, so that
// no two chains share a host, its switches or its network port.
int InstancesOf(int cards_used, const ApplianceSpec& appliance);

}  // namespace lodestone
