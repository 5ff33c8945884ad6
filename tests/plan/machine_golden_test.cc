// Estimates kept, so that a change of a formula shows as a difference here. The machine and its factors are the tests'
// own; what fits and published rows say is another matter.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "plan/machine_estimate.h"
#include "test_machine.h"

namespace lodestone {
namespace {

struct Golden {
  const char* model;
  const char* recipe;
  Parallelism parallelism;
  InferenceLoad load;
  const char* methods;
  const char* expected;  // TTFT, TPOT, total in ms with range; requests held; operations and bytes of a decoding step
};

std::string Answer(const Golden& golden) {
  const Result<ModelConfig> config = LoadModelConfig(golden.model);
  if (!config.ok()) return config.error().message;
  Deployment deployment = testing::Calibrated();
  deployment.parallelism = golden.parallelism;
  if (*golden.methods != 0) {
    const Result<Methods> methods = ParseMethods({golden.methods});
    if (!methods.ok()) return methods.error().message;
    deployment.methods = *methods;
  }
  const Result<InferenceEstimate> e = EstimateInference(*config, *ParseRecipe(golden.recipe), deployment, golden.load);
  if (!e.ok()) return e.error().message;
  const auto range = [](const Range& r) {
    return fmt::format("{:.5g} ({:.5g} {:.5g})", r.typical * 1e3, r.low * 1e3, r.high * 1e3);
  };
  int64_t operations = 0, bytes = 0;
  for (const OperatorShare& share : e->decode) {
    operations += share.operations;
    bytes += share.bytes;
  }
  return fmt::format("{} | {} | {} | {} | {:.5g} {:.5g}", range(e->ttft_s), e->tpot_s ? range(*e->tpot_s) : "-",
                     range(e->total_s), e->concurrent, static_cast<double>(operations), static_cast<double>(bytes));
}

constexpr Golden kGoldens[] = {
    {"llama-2-7b",
     "bf16",
     {},
     {1, 1024, 1024},
     "",
     "239.72 (219.29 264.69) | 19.285 (17.775 21.131) | 19968 (18423 21858) | 1 | 1.4036e+10 1.4031e+10"},
    {"llama-2-7b",
     "bf16",
     {},
     {64, 2048, 2048},
     "",
     "15664 (13396 18211) | 94.121 (82.743 106.96) | 4.0954e+05 (3.8037e+05 4.4576e+05) | 32 | 4.8939e+11 6.601e+10"},
    {"llama-3-8b",
     "w4a16",
     {},
     {16, 512, 128},
     "",
     "1994.9 (1821.2 2207.2) | 13.592 (12.703 14.677) | 3721.1 (3451.5 4051.5) | 16 | 2.4518e+11 5.4089e+09"},
    {"llama-3-8b",
     "w8a8",
     {},
     {16, 512, 128},
     "kv-budget=256",
     "1023.8 (936.87 1130.1) | 12.341 (11.458 13.421) | 2591.1 (2446.3 2771) | 16 | 2.4249e+11 7.9433e+09"},
    {"llama-2-70b",
     "bf16",
     {.tensor = 8},
     {32, 1024, 1024},
     "",
     "13076 (12183 14175) | 42.647 (40.128 45.789) | 56703 (53913 60186) | 32 | 5.664e+11 1.9976e+10"},
    {"llama-3-70b",
     "w4a8:g128",
     {.tensor = 2, .pipeline = 2, .data = 2},
     {16, 1000, 100},
     "",
     "7852.4 (7226.1 8619) | 31.109 (28.976 33.729) | 10932 (10266 11755) | 16 | 5.6743e+11 1.8903e+10"},
    {"mixtral-8x7b",
     "bf16",
     {.tensor = 4, .expert = 4},
     {8, 512, 512},
     "",
     "519.9 (479.76 569.07) | 32.304 (29.646 35.553) | 17027 (15667 18690) | 8 | 5.1852e+10 2.3568e+10"},
    {"qwen2-7b",
     "bf16",
     {.tensor = 4},
     {1, 128, 128},
     "self-speculation=7:tokens=3:acceptance=0.7",
     "12.394 (11.651 13.301) | 5.8583 (5.512 6.2706) | 756.4 (712.29 808.89) | 1 | 1.4228e+10 3.5603e+09"},
};

TEST(MachineGolden, EstimatesAreTheOnesThatWereKept) {
  for (const Golden& golden : kGoldens) {
    EXPECT_EQ(Answer(golden), golden.expected)
        << golden.model << " " << golden.recipe << " " << ToString(golden.parallelism);
  }
}

}  // namespace
}  // namespace lodestone
