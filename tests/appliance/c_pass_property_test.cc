// Random passes, most of them wrong somewhere: what submission accepts, the cards compute; all else is refused whole.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>

#include "appliance/c_interface.h"

namespace lodestone::testing {
namespace {

class RandomPasses {
 public:
  explicit RandomPasses(uint32_t seed) : random_(seed) {}

  CPass Next(uint64_t id) {
    const int sequences = Number(1, 3), pages = Number(1, 3);
    std::vector<lodestone_row> rows;
    for (int sequence = 0; sequence < sequences; ++sequence) {
      int32_t position = Number(0, 64 * pages - 1);
      for (int i = Number(Rarely() ? 0 : 1, 2); i > 0; --i) {
        rows.push_back({static_cast<uint32_t>(Rarely() ? Number(0, 9) : sequence), Rarely() ? Strange() : position,
                        Rarely() ? Strange() : Number(0, kSmallVocab - 1), Rarely() ? Number(-1, 2) : Number(0, 1)});
        position += Number(Rarely() ? 0 : 1, 3);
      }
    }
    std::vector<int32_t> table(4);  // a different page each, as long as there are some
    std::iota(table.begin(), table.end(), 0);
    std::shuffle(table.begin(), table.end(), random_);
    table.resize(static_cast<size_t>(sequences * pages), Number(0, 3));
    if (Rarely()) table[static_cast<size_t>(Number(0, sequences * pages - 1))] = Strange();
    return CPass(std::move(rows), std::move(table), static_cast<size_t>(sequences), id);
  }

 private:
  int32_t Number(int32_t least, int32_t most) { return std::uniform_int_distribution<int32_t>(least, most)(random_); }
  bool Rarely() { return Number(0, 19) == 0; }
  int32_t Strange() {
    constexpr int32_t kStrange[] = {-1, INT32_MIN, INT32_MAX, 4, 127, 128, 2047, 2048};
    return kStrange[Number(0, 7)];
  }

  std::mt19937 random_;
};

TEST(CPassProperty, WhatIsAcceptedIsComputed) {
  const CModel model;
  const CAppliance cpu, cards("northpole-16");
  const lodestone_demand demand = SmallDemand();
  for (const CAppliance* appliance : {&cpu, &cards}) {
    ASSERT_EQ(lodestone_appliance_configure(appliance->handle, model.handle, &demand), LODESTONE_OK);
    RandomPasses passes(7);
    int accepted = 0, refused = 0;
    for (uint64_t id = 0; id < 400; ++id) {
      const CPass pass = passes.Next(id);
      const lodestone_result result = lodestone_appliance_submit(appliance->handle, &pass.pass);
      if (result != LODESTONE_OK) {
        ++refused;
        EXPECT_EQ(result, LODESTONE_INVALID) << lodestone_error_message();
        EXPECT_EQ(appliance->Describe().in_flight, 0);
        continue;
      }
      ++accepted;
      size_t wanted = 0;
      for (const lodestone_row& row : pass.rows) wanted += row.wants_logits == 1 ? 1 : 0;
      lodestone_done done{.size = sizeof done};
      ASSERT_EQ(lodestone_appliance_next(appliance->handle, &done), LODESTONE_OK) << lodestone_error_message();
      EXPECT_EQ(done.id, id);
      EXPECT_EQ(done.logit_rows, wanted);
      EXPECT_EQ(done.logits != nullptr, wanted > 0);
    }
    EXPECT_GT(accepted, 40);
    EXPECT_GT(refused, 40);
  }
}

}  // namespace
}  // namespace lodestone::testing
