// What the placement search proposes: its closed form against the simulation, and its tokens against the CPU card's.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "appliance/machine.h"
#include "engine/engine.h"
#include "hash_weights.h"
#include "lab/simulation.h"
#include "plan/search.h"
#include "test_models.h"

namespace lodestone {
namespace {

struct Case {
  std::string model, recipe, appliance;
  int users;
  int64_t context;
};

SearchResult Search(const Case& c, SimulationOptions* simulation) {
  simulation->config = *LoadModelConfig(c.model);
  simulation->recipe = *ParseRecipe(c.recipe);
  simulation->spec = *LoadAppliance(c.appliance);
  simulation->users = c.users;
  SearchOptions options;
  options.users = c.users;
  options.context = c.context;
  options.proposals = 2;
  const auto timing = MakeNorthPoleTiming(simulation->spec.card.chip, Fidelity::kCalibrated);
  auto found = SearchPlacements(simulation->config, simulation->recipe, simulation->spec, *timing, options);
  EXPECT_TRUE(found.ok()) << (found.ok() ? "" : found.error().message);
  return found.ok() ? *std::move(found) : SearchResult{};
}

// Seconds between a user's tokens once all prompts are done, around half of the context.
double SimulatedPeriod(SimulationOptions options, int64_t context, const Proposal& proposal) {
  constexpr int64_t kFew = 4, kMany = 12;
  options.placement = proposal.placement;
  options.micro_batches = proposal.estimate.groups;
  options.prefill_chunk = proposal.prefill_chunk;
  options.prompt_tokens = context / 2 - (kFew + kMany) / 2;
  Time elapsed;
  for (const int64_t tokens : {kFew, kMany}) {
    options.output_tokens = tokens;
    const Result<SimulatedRun> run = SimulateBatch(options);
    EXPECT_TRUE(run.ok()) << (run.ok() ? "" : run.error().message);
    if (!run.ok()) return 0;
    elapsed = run->elapsed - elapsed;
  }
  return elapsed.seconds() / (kMany - kFew);
}

// What the closed form leaves out (estimate.h) is worth less than 5 %, whatever is split.
TEST(PlacementSearchProperty, TheClosedFormIsNearTheSimulation) {
  for (const Case& c : {Case{"granite-3b-14l", "w4a4", "northpole-16", 28, 512},
                        Case{"granite-3.3-8b", "w4a8c8", "northpole-288", 28, 512},
                        Case{"llama-3-70b", "w4a8c8", "northpole-288", 28, 512}}) {
    SimulationOptions options;
    const SearchResult found = Search(c, &options);
    for (const Proposal& proposal : found.best) {
      const double simulated = SimulatedPeriod(options, c.context, proposal);
      EXPECT_NEAR(proposal.estimate.period.seconds(), simulated, 0.05 * simulated)
          << c.model << ": " << proposal.layers << ", output " << proposal.output;
    }
  }
}

// A model that eight ranks divide, on chips of a few KiB a core, so that every kind of placement comes up.
ModelConfig SmallModel() {
  ModelConfig config = testing::TinyLlama();
  config.layers = 3;
  config.heads = 8;
  config.kv_heads = 8;
  config.head_dim = 8;
  config.hidden = 64;
  config.ffn = 96;
  config.rope.rotary_dim = 8;
  config.vocab = 150;
  return config;
}

ApplianceSpec SmallCards(const ApplianceSpec& base, int core_memory_bytes) {
  ApplianceSpec spec = base;
  spec.cards = 40;
  spec.cards_per_server = 40;
  spec.card.chip.cores.value = 16;
  spec.card.chip.array_rows.value = 4;
  spec.card.chip.core_memory_bytes.value = core_memory_bytes;
  return spec;
}

// Ids that three users generate, in order of users.
std::vector<std::vector<int32_t>> Generate(const std::optional<ApplianceSpec>& spec, const Placement& placement,
                                           int groups, int chunk) {
  const ModelConfig config = SmallModel();
  const testing::HashWeights weights(5);
  Result<OpenedMachine> machine = OpenMachine(spec, placement, {.compute = true});
  EXPECT_TRUE(machine.ok()) << (machine.ok() ? "" : machine.error().message);
  if (!machine.ok()) return {};
  const int pages = 3;
  const Status configured = machine->appliance->Configure(&weights, pages);
  EXPECT_TRUE(configured.ok()) << (configured.ok() ? "" : configured.error().message);
  if (!configured.ok()) return {};
  Engine engine(*machine->appliance, nullptr,
                {.micro_batches = groups,
                 .prefill_chunk = chunk,
                 .pages = pages,
                 .max_positions = config.max_positions,
                 .vocab = static_cast<int>(config.vocab)});
  std::vector<std::vector<int32_t>> ids(3);
  for (size_t user = 0; user < ids.size(); ++user) {
    Request request;
    for (int i = 0; i < 4 + 3 * static_cast<int>(user); ++i) {
      request.prompt.push_back(static_cast<int32_t>((17 * i + 31 * static_cast<int>(user) + 1) % config.vocab));
    }
    request.max_tokens = 8;
    EXPECT_TRUE(engine
                    .Add(request,
                         [&ids, user](const TokenEvent& event) {
                           if (event.id) ids[user].push_back(*event.id);
                         })
                    .ok());
  }
  for (bool more = true; more;) {
    const Result<bool> stepped = engine.Step();
    EXPECT_TRUE(stepped.ok()) << (stepped.ok() ? "" : stepped.error().message);
    more = stepped.ok() && *stepped;
  }
  return ids;
}

// Tokens of a simulated run are those of the CPU card, for every placement that a search proposes.
TEST(PlacementSearchProperty, EveryProposalMakesTheTokensOfTheCpuCard) {
  const ModelConfig config = SmallModel();
  const Result<ApplianceSpec> base = LoadAppliance("northpole-16");
  ASSERT_TRUE(base.ok()) << base.error().message;
  for (const char* name : {"w4a8", "w4a4"}) {
    const Recipe recipe = *ParseRecipe(name);
    const Result<Placement> host = PlaceOnHost(config, recipe, DemandOf(3, 1, 64, 64, 16), std::nullopt);
    ASSERT_TRUE(host.ok()) << host.error().message;
    const auto expected = Generate(std::nullopt, *host, 1, 16);
    ASSERT_EQ(expected.size(), 3u);
    ASSERT_EQ(expected[2].size(), 8u);
    std::vector<Arrangement> tried;
    int split = 0, apart = 0, shared = 0;
    for (const int core_memory_bytes : {2 << 10, 3 << 10, 4 << 10, 8 << 10, 64 << 10}) {
      const ApplianceSpec spec = SmallCards(*base, core_memory_bytes);
      const auto timing = MakeNorthPoleTiming(spec.card.chip, Fidelity::kCalibrated);
      SearchOptions options;
      options.users = 3;
      options.context = 64;
      options.proposals = 1000;
      const auto found = SearchPlacements(config, recipe, spec, *timing, options);
      if (!found.ok()) continue;
      for (const Proposal& proposal : found->best) {
        if (std::find(tried.begin(), tried.end(), proposal.arrangement) != tried.end()) continue;
        tried.push_back(proposal.arrangement);
        split += proposal.arrangement.layer_ranks > 1 ? 1 : 0;
        apart += proposal.arrangement.part_ranks.empty() ? 0 : 1;
        shared += proposal.arrangement.output_shares_cards ? 1 : 0;
        EXPECT_EQ(Generate(spec, proposal.placement, proposal.estimate.groups, proposal.prefill_chunk), expected)
            << name << ": " << proposal.layers << ", output " << proposal.output;
      }
    }
    EXPECT_GT(split, 3);
    EXPECT_GT(apart, 10);
    EXPECT_GT(shared, 3);
  }
}

}  // namespace
}  // namespace lodestone
