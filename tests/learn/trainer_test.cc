#include "learn/trainer.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/temporary_folder.h"
#include "hash_weights.h"
#include "learn/fake_differentiator.h"
#include "learn/fake_network.h"
#include "learn/ranks/rank_reducer.h"
#include "learn/training_checkpoint.h"
#include "test_models.h"

namespace lodestone::testing {
namespace {

constexpr int kSequence = 8;
constexpr int64_t kSteps = 10;

std::unique_ptr<TokenData> Tokens() {
  std::vector<int32_t> ids(2000);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * 7919 % 50);
  return HeldTokens(std::move(ids), 0, "ids");
}

// A run on its own: parameters, order and trainer.
struct TestRun {
  explicit TestRun(Reducer* shared = nullptr, TrainerOptions options = {.steps = kSteps,
                                                                        .sequences_a_step = 8,
                                                                        .micro_batch = 2,
                                                                        .optimizer = {.learning_rate = 0.01}})
      : parameters(*Parameters::Make(TinyLlama(), *ParseRecipe("f32"))),
        data(Tokens()),
        order(*BatchOrder::Make(*data, kSequence, 3)),
        differentiator(parameters),
        alone(SingleRank()),
        threads(1) {
    EXPECT_TRUE(parameters.Load(HashWeights(3)).ok());
    auto made = Trainer::Make({.differentiator = &differentiator,
                               .parameters = &parameters,
                               .order = &order,
                               .reducer = shared != nullptr ? shared : alone.get(),
                               .threads = &threads},
                              options);
    if (!made.ok()) {
      refusal = made.error().message;
      return;
    }
    trainer = *std::move(made);
  }

  std::vector<double> Steps(int64_t count) {
    std::vector<double> losses;
    for (int64_t i = 0; i < count; ++i) {
      const auto report = trainer->Step(false);
      EXPECT_TRUE(report.ok()) << report.error().message;
      if (!report.ok()) break;
      losses.push_back(report->loss);
    }
    return losses;
  }
  std::vector<float> Values() const { return {parameters.all_values().begin(), parameters.all_values().end()}; }

  Parameters parameters;
  std::unique_ptr<TokenData> data;
  BatchOrder order;
  FakeDifferentiator differentiator;
  std::unique_ptr<Reducer> alone;
  ThreadPool threads;
  std::unique_ptr<Trainer> trainer;
  std::string refusal;
};

TEST(Trainer, TheLossFalls) {
  TestRun run;
  const std::vector<double> losses = run.Steps(kSteps);
  ASSERT_EQ(losses.size(), static_cast<size_t>(kSteps));
  EXPECT_LT(losses.back(), losses.front());
  EXPECT_EQ(run.trainer->step(), kSteps);
}

TEST(Trainer, AccumulationIsTheSameBatchInPieces) {
  TestRun small;
  TestRun whole(nullptr,
                {.steps = kSteps, .sequences_a_step = 8, .micro_batch = 8, .optimizer = {.learning_rate = 0.01}});
  const std::vector<double> in_pieces = small.Steps(3), at_once = whole.Steps(3);
  // Losses are sums of f64 sums; the fake adds gradients token by token, so that even their bits agree.
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(in_pieces[i], at_once[i], 1e-14);
  EXPECT_EQ(small.Values(), whole.Values());
  // A share that is no multiple of the micro-batch ends with a smaller one.
  TestRun uneven(nullptr,
                 {.steps = kSteps, .sequences_a_step = 8, .micro_batch = 3, .optimizer = {.learning_rate = 0.01}});
  uneven.Steps(3);
  EXPECT_EQ(uneven.Values(), whole.Values());
}

TEST(Trainer, AResumedRunHasTheBitsOfOneThatNeverStopped) {
  TestRun straight;
  const std::vector<double> expected = straight.Steps(kSteps);

  const TemporaryFolder folder;
  CheckpointFolder checkpoints = *CheckpointFolder::Open(folder.path(), 2, true);
  const Json settings(Json::Object{{"a", 1}});
  std::vector<double> losses;
  {
    TestRun first;
    losses = first.Steps(5);
    ASSERT_TRUE(
        checkpoints.Save({.step = 5, .settings = settings, .history = {}}, first.parameters, first.trainer->optimizer())
            .ok());
    first.Steps(2);  // and is lost
  }
  TestRun second;
  const auto state = checkpoints.Load(settings, second.parameters, second.trainer->optimizer());
  ASSERT_TRUE(state.ok() && state->has_value());
  second.trainer->Resume((*state)->step);
  for (const double loss : second.Steps(kSteps - 5)) losses.push_back(loss);
  EXPECT_EQ(losses, expected);
  EXPECT_EQ(second.Values(), straight.Values());
}

TEST(Trainer, AFailedStepChangesNothingAndNamesTheStepAndTheOperator) {
  TestRun run;
  run.Steps(2);
  const std::vector<float> before = run.Values();
  run.differentiator.calls = 0;
  run.differentiator.fail_at = 2;  // the second micro-batch of step 3
  const auto report = run.trainer->Step(false);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().message, "step 3: layer 1 gate: the output is not finite");
  EXPECT_EQ(run.Values(), before);
  EXPECT_EQ(run.trainer->step(), 2);
}

TEST(Trainer, EvaluationIsTheMeanOverTheFirstSequences) {
  TestRun run;
  const auto five = run.trainer->Evaluate(run.order, 5);
  ASSERT_TRUE(five.ok());
  EXPECT_EQ(five->tokens, 5 * kSequence);
  EXPECT_GT(five->mean(), 0);
  EXPECT_EQ(run.trainer->Evaluate(run.order, 5)->nats, five->nats);
  EXPECT_NE(run.trainer->Evaluate(run.order, 6)->mean(), five->mean());
}

// Two and four ranks, in threads, against one: the same sequences, so the same training up to the rounding of sums.
TEST(Trainer, RanksTrainAsOneDoes) {
  TestRun one;
  const std::vector<double> expected = one.Steps(4);
  const Result<Loss> evaluated = one.trainer->Evaluate(one.order, 7);
  for (const int ranks : {2, 4}) {
    FakeNetwork network(ranks);
    std::vector<std::vector<float>> values(static_cast<size_t>(ranks));
    std::vector<std::vector<double>> losses(static_cast<size_t>(ranks));
    std::vector<std::thread> threads;
    for (int rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        auto reducer = MakeRankReducer([&] { return network.Rank(rank); }, {.piece_floats = 1000});
        ASSERT_TRUE(reducer.ok()) << reducer.error().message;
        TestRun run(reducer->get());
        losses[static_cast<size_t>(rank)] = run.Steps(4);
        values[static_cast<size_t>(rank)] = run.Values();
        const auto loss = run.trainer->Evaluate(run.order, 7);
        ASSERT_TRUE(loss.ok()) << loss.error().message;
        EXPECT_EQ(loss->tokens, 7 * kSequence);
        EXPECT_NEAR(loss->mean(), evaluated->mean(), 1e-4);
        EXPECT_TRUE(run.trainer->Agree({}).ok());
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (size_t rank = 1; rank < values.size(); ++rank) {
      EXPECT_EQ(values[rank], values[0]);  // bit for bit among the ranks
      EXPECT_EQ(losses[rank], losses[0]);
    }
    const std::vector<float> single = one.Values();
    ASSERT_EQ(losses[0].size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(losses[0][i], expected[i], 1e-5 * expected[i]);
    // Adam's updates are at most the rate each; where a gradient's sign is decided by rounding they may differ by all
    // of it, elsewhere they are equal to rounding.
    double difference = 0;
    for (size_t i = 0; i < single.size(); ++i) difference += std::abs(static_cast<double>(values[0][i] - single[i]));
    EXPECT_LT(difference / static_cast<double>(single.size()), 1e-6);
  }
}

TEST(Trainer, ARankThatFailsTellsTheOthersWhy) {
  FakeNetwork network(2);
  std::vector<std::string> messages(2);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      auto reducer = MakeRankReducer([&] { return network.Rank(rank); }, {.time_limit_s = 30});
      ASSERT_TRUE(reducer.ok());
      TestRun run(reducer->get());
      if (rank == 1) run.differentiator.fail_at = 3;
      for (int i = 0; i < 4 && messages[static_cast<size_t>(rank)].empty(); ++i) {
        const auto report = run.trainer->Step(false);
        if (!report.ok()) messages[static_cast<size_t>(rank)] = report.error().message;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(messages[1], "step 2: layer 1 gate: the output is not finite");
  EXPECT_NE(messages[0].find("layer 1 gate"), std::string::npos) << messages[0];
  EXPECT_NE(messages[0].find("rank 1"), std::string::npos) << messages[0];
}

TEST(Trainer, ARequestToStopReachesEveryRankAfterTheSameStep) {
  FakeNetwork network(2);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      auto reducer = MakeRankReducer([&] { return network.Rank(rank); });
      ASSERT_TRUE(reducer.ok());
      TestRun run(reducer->get());
      EXPECT_FALSE(run.trainer->Step(false)->stop);
      EXPECT_TRUE(run.trainer->Step(rank == 1)->stop);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Trainer, SequencesThatRanksCannotShareAreRefused) {
  FakeNetwork network(3);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 3; ++rank) {
    threads.emplace_back([&, rank] {
      auto reducer = MakeRankReducer([&] { return network.Rank(rank); });
      ASSERT_TRUE(reducer.ok());
      const TestRun run(reducer->get());
      EXPECT_NE(run.refusal.find("8 sequences a step"), std::string::npos);
      EXPECT_NE(run.refusal.find("3 ranks"), std::string::npos);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace lodestone::testing
