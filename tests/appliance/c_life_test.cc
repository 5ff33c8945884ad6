// The C interface as it is meant to be used.
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <numeric>
#include <thread>

#include "appliance/c99_life.h"
#include "appliance/c_interface.h"
#include "appliance/machine.h"
#include "model/open_model.h"

namespace lodestone::testing {
namespace {

constexpr int kTokens = 70;  // into a second page

// User `user` of LifeInC99 alone, on one appliance of the C++ interface, a row a pass.
std::vector<int32_t> AloneInCpp(std::vector<int32_t> tokens, const char* recipe) {
  Result<Model> model = OpenModel(kSmallModel);
  EXPECT_TRUE(model.ok());
  const Demand demand{.users = 1, .context = 80, .rows_per_pass = 1};
  Result<Placement> placement = PlaceOn({}, model->config, *ParseRecipe(recipe), demand);
  EXPECT_TRUE(placement.ok());
  Result<OpenedMachine> machine = OpenMachine({}, *std::move(placement), {.compute = true, .threads = 1});
  EXPECT_TRUE(machine.ok() && machine->appliance->Configure(model->weights.get(), 2).ok());
  const std::vector<int32_t> pages{1, 0};
  const size_t prompt = tokens.size();
  for (size_t at = 0; tokens.size() < prompt + kTokens; ++at) {
    const std::vector<Row> rows{{0, static_cast<int32_t>(at), tokens[at], true}};
    EXPECT_TRUE(
        machine->appliance->Submit({.load = LoadOf(rows), .rows = rows, .page_table = pages, .pages_per_sequence = 2})
            .ok());
    const auto done = machine->appliance->Next();
    EXPECT_TRUE(done.ok() && done->has_value());
    if (at + 1 >= prompt) tokens.push_back(TokenOfBits((*done)->logits.data.data(), kSmallVocab));
  }
  tokens.erase(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(prompt));
  return tokens;
}

TEST(CLife, TokensAreThoseOfTheCppInterfaceOnTheCpuAndOnSimulatedCards) {
  std::vector<int32_t> expected = AloneInCpp({1, 2, 3}, "w4a8");
  const std::vector<int32_t> second = AloneInCpp({4, 5}, "w4a8");
  expected.insert(expected.end(), second.begin(), second.end());
  for (const char* appliance : {"cpu", "northpole-16"}) {
    std::vector<int32_t> tokens(2 * kTokens, -1);
    ASSERT_EQ(LifeInC99(kSmallModel, appliance, "w4a8", tokens.data(), kTokens), LODESTONE_OK)
        << lodestone_error_message();
    EXPECT_EQ(tokens, expected) << appliance;
  }
}

TEST(CLife, SaysWhatAnApplianceIs) {
  const CModel model;
  const CAppliance cpu, cards("northpole-16");
  EXPECT_EQ(cpu.Describe().computes, 1);
  EXPECT_EQ(cpu.Describe().simulated, 0);
  EXPECT_EQ(cpu.Describe().configured, 0);
  EXPECT_EQ(cpu.Describe().cards, 0);
  const lodestone_demand demand = SmallDemand();
  ASSERT_EQ(lodestone_appliance_configure(cards.handle, model.handle, &demand), LODESTONE_OK);
  const lodestone_appliance_info info = cards.Describe();
  EXPECT_EQ(info.simulated, 1);
  EXPECT_EQ(info.configured, 1);
  EXPECT_EQ(info.cards, 16);
  EXPECT_EQ(info.cards_used, 15);  // 14 layers and the output layer
  EXPECT_EQ(info.stages, 15);
  EXPECT_EQ(info.pages_per_user, 2);  // ⌈100 / 64⌉
  EXPECT_EQ(info.pages, 4);
  EXPECT_EQ(info.page_positions, 64);
  EXPECT_EQ(info.rows_per_pass, 4);
  EXPECT_EQ(info.vocab, kSmallVocab);
  EXPECT_EQ(info.max_positions, 2048);
  EXPECT_GE(info.max_users, 2);
  EXPECT_GE(info.max_in_flight, 2);
  EXPECT_EQ(info.in_flight, 0);
  EXPECT_EQ(info.now_ps, 0);
}

TEST(CLife, SimulatedCardsWithoutTokensTakeTheSameRowsAndTheSameTime) {
  const CModel model;
  const lodestone_demand demand = SmallDemand();
  std::vector<int64_t> finished;
  for (const int32_t timing_only : {0, 1}) {
    const CAppliance cards("northpole-16", {.threads = 1, .timing_only = timing_only});
    ASSERT_EQ(lodestone_appliance_configure(cards.handle, model.handle, &demand), LODESTONE_OK);
    EXPECT_EQ(cards.Describe().computes, 1 - timing_only);
    const CPass pass({{0, 0, 7, 0}, {0, 1, 8, 1}});
    ASSERT_EQ(lodestone_appliance_submit(cards.handle, &pass.pass), LODESTONE_OK) << lodestone_error_message();
    EXPECT_EQ(cards.Describe().in_flight, 1);
    lodestone_done done{.size = sizeof done};
    ASSERT_EQ(lodestone_appliance_next(cards.handle, &done), LODESTONE_OK);
    EXPECT_EQ(done.logits == nullptr, timing_only == 1);
    EXPECT_EQ(done.logit_rows, timing_only == 1 ? 0u : 1u);
    EXPECT_GT(done.finished_ps, done.submitted_ps);
    EXPECT_EQ(cards.Describe().now_ps, done.finished_ps);
    finished.push_back(done.finished_ps);
  }
  EXPECT_EQ(finished[0], finished[1]);
}

TEST(CLife, AShapeIsEnoughForTimes) {
  lodestone_model* shape = nullptr;
  ASSERT_EQ(lodestone_model_open_shape("granite-3b-14l", &shape), LODESTONE_OK);
  lodestone_model_info info{.size = sizeof info};
  ASSERT_EQ(lodestone_model_describe(shape, &info), LODESTONE_OK);
  EXPECT_STREQ(info.name, "granite-3b-14l");
  EXPECT_EQ(info.vocab, 49152);
  EXPECT_EQ(info.layers, 14);
  const CAppliance cards("northpole-16", {.timing_only = 1});
  const lodestone_demand demand{
      .size = sizeof demand, .recipe = "w4a4:static", .users = 28, .context = 2048, .rows_per_pass = 128};
  ASSERT_EQ(lodestone_appliance_configure(cards.handle, shape, &demand), LODESTONE_OK) << lodestone_error_message();
  EXPECT_EQ(cards.Describe().cards_used, 16);
  std::vector<lodestone_row> rows;
  for (int32_t i = 0; i < 128; ++i) rows.push_back({0, i, 0, i == 127});
  const CPass pass(std::move(rows), {}, 0);
  ASSERT_EQ(lodestone_appliance_submit(cards.handle, &pass.pass), LODESTONE_OK) << lodestone_error_message();
  lodestone_done done{.size = sizeof done};
  EXPECT_EQ(lodestone_appliance_next(cards.handle, &done), LODESTONE_OK);
  EXPECT_GT(done.finished_ps, 0);
  EXPECT_EQ(lodestone_model_close(shape), LODESTONE_OK);
}

TEST(CLife, PassesLeaveInOrderAndTheChainSaysWhenItIsFullOrEmpty) {
  const CModel model;
  const CAppliance cards("northpole-16", {.timing_only = 1});
  const lodestone_demand demand = SmallDemand();
  ASSERT_EQ(lodestone_appliance_configure(cards.handle, model.handle, &demand), LODESTONE_OK);
  const int32_t most = cards.Describe().max_in_flight;
  for (int32_t i = 0; i < most; ++i) {
    const CPass pass({{0, i, 7, 1}}, {0, 1}, 1, static_cast<uint64_t>(100 + i));
    ASSERT_EQ(lodestone_appliance_submit(cards.handle, &pass.pass), LODESTONE_OK) << lodestone_error_message();
  }
  const CPass another({{0, 0, 7, 1}});
  ExpectRefused(lodestone_appliance_submit(cards.handle, &another.pass), LODESTONE_BUSY, "take the next one");
  lodestone_done done{.size = sizeof done};
  for (int32_t i = 0; i < most; ++i) {
    const int64_t before = done.finished_ps;
    ASSERT_EQ(lodestone_appliance_next(cards.handle, &done), LODESTONE_OK);
    EXPECT_EQ(done.id, static_cast<uint64_t>(100 + i));
    EXPECT_GT(done.finished_ps, before);
  }
  ExpectRefused(lodestone_appliance_next(cards.handle, &done), LODESTONE_EMPTY, "no pass");
}

TEST(CLife, CountersTellWhatTheStagesDid) {
  const CModel model;
  const lodestone_demand demand = SmallDemand();
  for (const char* name : {"cpu", "northpole-16"}) {
    const CAppliance appliance(name);
    ASSERT_EQ(lodestone_appliance_configure(appliance.handle, model.handle, &demand), LODESTONE_OK);
    lodestone_done done{.size = sizeof done};
    for (int32_t i = 0; i < 3; ++i) {
      const CPass pass({{0, i, 7, 1}});
      ASSERT_EQ(lodestone_appliance_submit(appliance.handle, &pass.pass), LODESTONE_OK);
      ASSERT_EQ(lodestone_appliance_next(appliance.handle, &done), LODESTONE_OK);
    }
    const size_t stages = static_cast<size_t>(appliance.Describe().stages);
    int64_t bytes_in = 0;
    for (size_t i = 0; i < stages; ++i) {
      lodestone_stage_info stage{.size = sizeof stage};
      ASSERT_EQ(lodestone_appliance_stage(appliance.handle, i, &stage), LODESTONE_OK);
      EXPECT_EQ(stage.passes, 3) << name << " " << stage.label;
      EXPECT_GT(stage.busy_ps, 0);
      EXPECT_EQ(stage.ranks, 1);
      EXPECT_GT(std::strlen(stage.label), 0u);
      bytes_in += stage.bytes_in;
    }
    EXPECT_EQ(bytes_in > 0, appliance.Describe().simulated == 1);
    lodestone_stage_info stage{.size = sizeof stage};
    ExpectRefused(lodestone_appliance_stage(appliance.handle, stages, &stage), LODESTONE_INVALID, "stage");
  }
}

TEST(CLife, FramebuffersOfSimulatedCards) {
  const CModel model;
  const lodestone_demand demand = SmallDemand();
  const CAppliance cpu, cards("northpole-16");
  ASSERT_EQ(lodestone_appliance_configure(cpu.handle, model.handle, &demand), LODESTONE_OK);
  ASSERT_EQ(lodestone_appliance_configure(cards.handle, model.handle, &demand), LODESTONE_OK);
  lodestone_framebuffer_info info{.size = sizeof info};
  ExpectRefused(lodestone_appliance_framebuffer(cpu.handle, 0, &info), LODESTONE_UNSUPPORTED, "no framebuffer");
  const CPass pass({{0, 0, 7, 1}});
  ASSERT_EQ(lodestone_appliance_submit(cards.handle, &pass.pass), LODESTONE_OK);
  lodestone_done done{.size = sizeof done};
  ASSERT_EQ(lodestone_appliance_next(cards.handle, &done), LODESTONE_OK);
  for (size_t card = 0; card < 15; ++card) {
    ASSERT_EQ(lodestone_appliance_framebuffer(cards.handle, card, &info), LODESTONE_OK) << lodestone_error_message();
    EXPECT_GT(info.capacity_bytes, 0) << card;
    EXPECT_GT(info.slot_bytes, 0);
    EXPECT_GE(info.slots_in, 1);
    EXPECT_GT(info.peak_bytes, 0);
    EXPECT_LE(info.peak_bytes, info.capacity_bytes);
    EXPECT_GT(info.byte_seconds, 0);
  }
  ExpectRefused(lodestone_appliance_framebuffer(cards.handle, 15, &info), LODESTONE_INVALID, "framebuffer 15 of 15");
}

TEST(CLife, TransfersThroughTheHostTakeLonger) {
  const CModel model;
  const lodestone_demand demand = SmallDemand();
  std::vector<int64_t> finished;
  for (const int32_t transfers : {LODESTONE_TRANSFERS_DIRECT, LODESTONE_TRANSFERS_HOST}) {
    const CAppliance cards("northpole-16", {.timing_only = 1, .transfers = transfers});
    ASSERT_EQ(lodestone_appliance_configure(cards.handle, model.handle, &demand), LODESTONE_OK);
    const CPass pass({{0, 0, 7, 1}});
    ASSERT_EQ(lodestone_appliance_submit(cards.handle, &pass.pass), LODESTONE_OK);
    lodestone_done done{.size = sizeof done};
    ASSERT_EQ(lodestone_appliance_next(cards.handle, &done), LODESTONE_OK);
    finished.push_back(done.finished_ps);
  }
  EXPECT_LT(finished[0], finished[1]);
}

TEST(CLife, TextToTokensAndBack) {
  const CModel model;
  size_t count = 0, length = 0;
  int32_t tokens[8] = {};
  ASSERT_EQ(lodestone_model_encode(model.handle, "Ab!", tokens, 8, &count), LODESTONE_OK);
  lodestone_model_info info{.size = sizeof info};
  ASSERT_EQ(lodestone_model_describe(model.handle, &info), LODESTONE_OK);
  EXPECT_STREQ(info.name, "random:nano-14l@1");
  EXPECT_EQ(std::vector<int32_t>(tokens, tokens + count), (std::vector<int32_t>{kByteTokenizerBos, 'A', 'b', '!'}));
  ASSERT_GE(info.eos_count, 1u);
  EXPECT_EQ(info.eos_tokens[0], kByteTokenizerEos);
  EXPECT_EQ(info.bos_token, kByteTokenizerBos);
  char text[4] = "";
  ASSERT_EQ(lodestone_model_decode(model.handle, tokens, count, text, sizeof text, &length), LODESTONE_OK);
  EXPECT_STREQ(text, "Ab!");
  EXPECT_EQ(length, 3u);
  // Sizes can be asked for first.
  ExpectRefused(lodestone_model_encode(model.handle, "Ab!", nullptr, 0, &count), LODESTONE_INFEASIBLE, "4 tokens");
  EXPECT_EQ(count, 4u);
  ExpectRefused(lodestone_model_decode(model.handle, tokens, count, text, 3, &length), LODESTONE_INFEASIBLE, "4 bytes");
  EXPECT_EQ(length, 3u);
  ASSERT_EQ(lodestone_model_encode(model.handle, "", tokens, 8, &count), LODESTONE_OK);
  EXPECT_EQ(count, 1u);
}

TEST(CLife, VersionsAndNames) {
  EXPECT_EQ(lodestone_api_version(), LODESTONE_API_VERSION);
  EXPECT_TRUE(std::strchr(lodestone_version(), '.') != nullptr) << lodestone_version();
  EXPECT_STREQ(lodestone_result_name(LODESTONE_OK), "ok");
  for (int result = LODESTONE_OK; result <= LODESTONE_INTERNAL; ++result) {
    EXPECT_STRNE(lodestone_result_name(static_cast<lodestone_result>(result)), "unknown result") << result;
  }
  EXPECT_STREQ(lodestone_result_name(static_cast<lodestone_result>(12)), "unknown result");
}

// Every thread may call; what one thread was refused, another does not hear of.
TEST(CLife, ThreadsShareAnAppliance) {
  const CModel model;
  const CAppliance cards("northpole-16", {.timing_only = 1});
  const lodestone_demand demand = SmallDemand();
  ASSERT_EQ(lodestone_appliance_configure(cards.handle, model.handle, &demand), LODESTONE_OK);
  EXPECT_NE(lodestone_appliance_close(nullptr), LODESTONE_OK);
  const std::string mine = lodestone_error_message();
  constexpr int kThreads = 4, kPasses = 50;
  std::vector<std::thread> threads;
  std::vector<int> taken(kThreads);
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      EXPECT_STREQ(lodestone_error_message(), "");
      const CPass pass({{0, thread, 7, 1}});
      for (int submitted = 0; submitted < kPasses;) {
        const lodestone_result result = lodestone_appliance_submit(cards.handle, &pass.pass);
        if (result == LODESTONE_OK) {
          ++submitted;
        } else {
          EXPECT_EQ(result, LODESTONE_BUSY);
        }
        lodestone_done done{.size = sizeof done};
        if (lodestone_appliance_next(cards.handle, &done) == LODESTONE_OK) ++taken[static_cast<size_t>(thread)];
        lodestone_stage_info stage{.size = sizeof stage};
        EXPECT_EQ(lodestone_appliance_stage(cards.handle, 0, &stage), LODESTONE_OK);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::accumulate(taken.begin(), taken.end(), cards.Describe().in_flight), kThreads * kPasses);
  EXPECT_EQ(lodestone_error_message(), mine);
}

// Others are calling while one closes: each call works or finds it closed.
TEST(CLife, ClosesWhileOthersCall) {
  const CModel model;
  const lodestone_demand demand = SmallDemand();
  lodestone_appliance* appliance = nullptr;
  ASSERT_EQ(lodestone_appliance_open("cpu", nullptr, &appliance), LODESTONE_OK);
  ASSERT_EQ(lodestone_appliance_configure(appliance, model.handle, &demand), LODESTONE_OK);
  std::vector<std::thread> threads;
  for (int32_t thread = 0; thread < 3; ++thread) {
    threads.emplace_back([appliance, thread] {
      const CPass pass({{0, thread, 7, 0}});
      lodestone_result result = LODESTONE_OK;
      while (result != LODESTONE_INVALID) {
        result = lodestone_appliance_submit(appliance, &pass.pass);
        lodestone_done done{.size = sizeof done};
        if (result != LODESTONE_INVALID) result = lodestone_appliance_next(appliance, &done);
      }
      EXPECT_NE(std::string(lodestone_error_message()).find("closed"), std::string::npos) << lodestone_error_message();
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(lodestone_appliance_close(appliance), LODESTONE_OK);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace lodestone::testing
