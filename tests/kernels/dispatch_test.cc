#include "kernels/dispatch.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string_view>
#include <vector>

#include "host/cpu.h"

namespace lodestone::kernels {
namespace {

// Sets an environment variable for one test.
class ScopedIsa {
 public:
  explicit ScopedIsa(const char* value) {
    if (const char* old = std::getenv("LODESTONE_ISA")) old_ = old;
    setenv("LODESTONE_ISA", value, 1);
  }
  ~ScopedIsa() { old_.empty() ? unsetenv("LODESTONE_ISA") : setenv("LODESTONE_ISA", old_.c_str(), 1); }

 private:
  std::string old_;
};

TEST(Dispatch, BestComesFirstAndTheReferenceAlwaysRuns) {
  const auto candidates = Candidates();
  ASSERT_FALSE(candidates.empty());
  EXPECT_STREQ(candidates.back().table->isa, "reference");
  EXPECT_EQ(candidates.back().declined, "");
#if defined(__x86_64__)
  ASSERT_EQ(candidates.size(), 4u);
  EXPECT_STREQ(candidates[0].table->isa, "amx");
  EXPECT_STREQ(candidates[1].table->isa, "avx512");
  EXPECT_STREQ(candidates[2].table->isa, "avx2");
#endif
}

TEST(Dispatch, DeclinesForAReasonThatNamesTheMissingFeature) {
  const CpuFeatures cpu = DetectCpuFeatures();
  for (const Candidate& candidate : Candidates()) {
    if (std::string_view(candidate.table->isa) != "avx512") continue;
    EXPECT_EQ(candidate.declined.find("avx512_vnni") != std::string::npos, !cpu.avx512_vnni) << candidate.declined;
    EXPECT_EQ(candidate.declined.empty(), cpu.avx512f && cpu.avx512bw && cpu.avx512vl && cpu.avx512dq &&
                                              cpu.avx512_vnni && cpu.avx2 && cpu.fma && cpu.f16c);
  }
}

TEST(Dispatch, AmxNeedsAllOfAvx512AndThePermissionOfTheSystem) {
  const CpuFeatures cpu = DetectCpuFeatures();
  const auto candidates = Candidates();
  if (std::string_view(candidates[0].table->isa) != "amx") GTEST_SKIP() << "not an x86 build";
  const std::string& declined = candidates[0].declined;
  const bool has_tiles = cpu.amx_tile && cpu.amx_int8;
  EXPECT_EQ(declined.find("amx_tile") != std::string::npos, !cpu.amx_tile) << declined;
  EXPECT_EQ(declined.find("amx_int8") != std::string::npos, !cpu.amx_int8) << declined;
  EXPECT_EQ(declined.empty(), has_tiles && candidates[1].declined.empty() && RequestAmxTiles().ok()) << declined;
}

TEST(Dispatch, NothingForcedIsTheFirstThatRuns) {
  const auto table = Select("");
  ASSERT_TRUE(table.ok());
  for (const Candidate& candidate : Candidates()) {
    if (!candidate.declined.empty()) continue;
    EXPECT_EQ(*table, candidate.table);
    break;
  }
}

TEST(Dispatch, EnvironmentForcesEachThatRunsAndIsRefusedForTheOthers) {
  for (const Candidate& candidate : Candidates()) {
    const ScopedIsa isa(candidate.table->isa);
    const auto table = SelectFromEnvironment();
    ASSERT_EQ(table.ok(), candidate.declined.empty()) << candidate.table->isa;
    if (table.ok()) {
      EXPECT_STREQ((*table)->isa, candidate.table->isa);
    } else {
      EXPECT_EQ(table.error().code, ErrorCode::kUnsupported);
      EXPECT_NE(table.error().message.find(candidate.declined), std::string::npos) << table.error().message;
    }
  }
}

TEST(Dispatch, UnknownNameIsAnErrorThatListsWhatCanRun) {
  const ScopedIsa isa("sse9");
  const auto table = SelectFromEnvironment();
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(table.error().code, ErrorCode::kNotFound);
  EXPECT_NE(table.error().message.find("LODESTONE_ISA"), std::string::npos) << table.error().message;
  EXPECT_NE(table.error().message.find("sse9"), std::string::npos) << table.error().message;
  EXPECT_NE(table.error().message.find("reference"), std::string::npos) << table.error().message;
}

std::vector<const void*> FunctionsOf(const KernelTable& t) {
  return {reinterpret_cast<const void*>(t.matmul_f32),
          reinterpret_cast<const void*>(t.matmul_bf16),
          reinterpret_cast<const void*>(t.matmul_bf16_int4),
          reinterpret_cast<const void*>(t.matmul_bf16_int8),
          reinterpret_cast<const void*>(t.matmul_int8_int4),
          reinterpret_cast<const void*>(t.matmul_int8_int8),
          reinterpret_cast<const void*>(t.norm),
          reinterpret_cast<const void*>(t.quantize),
          reinterpret_cast<const void*>(t.to_bf16),
          reinterpret_cast<const void*>(t.add),
          reinterpret_cast<const void*>(t.gate),
          reinterpret_cast<const void*>(t.rope),
          reinterpret_cast<const void*>(t.attend)};
}

// With object_code_test.cc, which shows what instructions each table's file holds: a table's name says what runs.
TEST(Dispatch, EveryEntryOfEveryTableIsItsOwnFunction) {
  std::set<const void*> functions;
  for (const Candidate& candidate : Candidates()) {
    if (std::string_view(candidate.table->isa) == "amx") continue;
    for (const void* f : FunctionsOf(*candidate.table)) EXPECT_TRUE(functions.insert(f).second) << candidate.table->isa;
  }
}

TEST(Dispatch, AmxIsAvx512ButForTheIntegerMatmuls) {
  const auto candidates = Candidates();
  if (std::string_view(candidates[0].table->isa) != "amx") GTEST_SKIP() << "not an x86 build";
  const KernelTable &amx = *candidates[0].table, &avx512 = *candidates[1].table;
  EXPECT_NE(amx.matmul_int8_int4, avx512.matmul_int8_int4);
  EXPECT_NE(amx.matmul_int8_int8, avx512.matmul_int8_int8);
  KernelTable same = amx;
  same.matmul_int8_int4 = avx512.matmul_int8_int4;
  same.matmul_int8_int8 = avx512.matmul_int8_int8;
  EXPECT_EQ(FunctionsOf(same), FunctionsOf(avx512));
}

}  // namespace
}  // namespace lodestone::kernels
