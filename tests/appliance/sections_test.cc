#include "appliance/sections.h"

#include <gtest/gtest.h>

#include "appliance/fake_cards.h"

namespace lodestone {
namespace {

TEST(Sections, GatherJoinsColumnsRowByRow) {
  const auto whole = GatherColumns({Tensor{2, 2, {1, 2, 5, 6}}, Tensor{2, 1, {3, 7}}, Tensor{2, 1, {4, 8}}});
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->rows, 2);
  EXPECT_EQ(whole->width, 4);
  EXPECT_EQ(whole->data, (std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(Sections, GatherRefusesPartsThatDoNotMatch) {
  EXPECT_FALSE(GatherColumns({Tensor{2, 1, {1, 2}}, Tensor{1, 1, {3}}}).ok());
  EXPECT_FALSE(GatherColumns({Tensor{2, 1, {1, 2}}, Tensor{2, 1, {3}}}).ok());
}

// The gathered register of section 0 is [rank 0's part, rank 1's part]; the fake stage hashes it in that order.
TEST(Sections, RanksRunSectionAfterSection) {
  using testing::Hash24;
  auto log = std::make_shared<testing::FakeLog>();
  testing::NoWeights weights;
  const Placement placement = testing::FakePlacement({2, 1});
  std::vector<testing::HashExecutor> executors(2, testing::HashExecutor(log));
  std::vector<StageSeat> seats;
  for (size_t r = 0; r < 2; ++r) {
    ASSERT_TRUE(executors[r].Configure(std::span(&placement.stages[r].stage, 1), weights, 1).ok());
    seats.push_back({&executors[r], 0, placement.stages[r].stage.label});
  }
  const std::vector<Row> rows{{.sequence = 0, .position = 0, .token = 9}};
  const std::vector<int32_t> table{0};
  const Pass pass{.id = 1, .load = LoadOf(rows), .rows = rows, .page_table = table, .pages_per_sequence = 1};
  const auto stream = RunStep(seats, pass, {}, false);
  ASSERT_TRUE(stream.ok());
  const uint32_t gathered = Hash24(Hash24(0, Hash24(9, 100)), Hash24(9, 101));
  ASSERT_EQ(stream->data.size(), 1u);
  EXPECT_EQ(stream->data[0], static_cast<float>(Hash24(1, Hash24(gathered, 0))));
}

}  // namespace
}  // namespace lodestone
