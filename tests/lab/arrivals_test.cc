#include "lab/arrivals.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace lodestone::testing {
namespace {

constexpr const char* kHeader = "arrival_s,prompt_tokens,output_tokens\n";

TEST(Arrivals, OfCsvInAnyOrderOfColumns) {
  const auto arrivals =
      ParseArrivals("output_tokens, arrival_s ,prompt_tokens\r\n16,0.5,128\r\n\r\n2, 1e1 ,3\n", "t.csv");
  ASSERT_TRUE(arrivals.ok()) << arrivals.error().message;
  ASSERT_EQ(arrivals->size(), 2u);
  EXPECT_EQ((*arrivals)[0].at, Time::Seconds(0.5));
  EXPECT_EQ((*arrivals)[0].prompt_tokens, 128);
  EXPECT_EQ((*arrivals)[0].output_tokens, 16);
  EXPECT_EQ((*arrivals)[1].at, Time::Seconds(10));
}

TEST(Arrivals, ByteOrderMarkOfSpreadsheetsIsNoColumn) {
  const auto arrivals = ParseArrivals("\xEF\xBB\xBF" + std::string(kHeader) + "0,1,1\n", "t.csv");
  EXPECT_TRUE(arrivals.ok()) << arrivals.error().message;
}

TEST(Arrivals, OfJsonLines) {
  const auto arrivals = ParseArrivals(
      "\n{\"arrival_s\": 0, \"prompt_tokens\": 5, \"output_tokens\": 6}\n"
      "{\"output_tokens\": 1, \"prompt_tokens\": 2, \"arrival_s\": 0.125}\n",
      "t.jsonl");
  ASSERT_TRUE(arrivals.ok()) << arrivals.error().message;
  ASSERT_EQ(arrivals->size(), 2u);
  EXPECT_EQ((*arrivals)[1].at, Time::Seconds(0.125));
  EXPECT_EQ((*arrivals)[1].prompt_tokens, 2);
}

TEST(Arrivals, RefuseWithTheLine) {
  const struct {
    std::string text, says;
  } cases[] = {
      {"", "no request"},
      {kHeader, "no request"},
      {"arrival_s,prompt_tokens\n0,1\n", "t:1: found 2 columns"},
      {"arrival_s,prompt_tokens,output_tokens,user\n", "t:1: unknown column 'user'"},
      {"arrival_s,prompt_tokens,prompt_tokens\n", "t:1: column 'prompt_tokens' is there twice"},
      {std::string(kHeader) + "0,1,1\n0,1\n", "t:3: found 2 fields"},
      {std::string(kHeader) + "0,1,1,\n", "t:2: found 4 fields"},
      {std::string(kHeader) + "nan,1,1\n", "t:2: arrival_s is 'nan'"},
      {std::string(kHeader) + "-1,1,1\n", "t:2: arrival_s is '-1'"},
      {std::string(kHeader) + "0,1.5,1\n", "t:2: prompt_tokens is '1.5'"},
      {std::string(kHeader) + "0,0,1\n", "t:2: prompt_tokens is '0'"},
      {std::string(kHeader) + "0,1,99999999999999999999\n", "t:2: output_tokens is '9999"},
      {std::string(kHeader) + "2,1,1\n1,1,1\n", "t:3: arrival_s 1 is earlier"},
      {"{\"arrival_s\": 0, \"prompt_tokens\": 5}\n", "output_tokens"},
      {"{\"arrival_s\": 0, \"prompt_tokens\": 5, \"output_tokens\": 6, \"user\": 1}\n", "user"},
      {"{\"arrival_s\": 0, \"prompt_tokens\": 5, \"output_tokens\": 6}\n[1]\n", "t:2: found an array"},
      {"{\"arrival_s\": 0\n", "t:1"},
  };
  for (const auto& c : cases) {
    const auto arrivals = ParseArrivals(c.text, "t");
    ASSERT_FALSE(arrivals.ok()) << c.text;
    EXPECT_NE(arrivals.error().message.find(c.says), std::string::npos) << arrivals.error().message;
  }
}

TEST(Arrivals, PoissonHasItsRateAndItsRanges) {
  const PoissonProcess process{
      .requests_per_s = 5, .requests = 20'000, .prompt_tokens = {10, 20}, .output_tokens = {7, 7}, .seed = 3};
  const auto arrivals = PoissonArrivals(process);
  ASSERT_TRUE(arrivals.ok()) << arrivals.error().message;
  ASSERT_EQ(arrivals->size(), 20'000u);
  double sum = 0, squares = 0, prompts = 0;
  Time last;
  for (const Arrival& arrival : *arrivals) {
    const double gap = (arrival.at - last).seconds();
    ASSERT_GE(gap, 0);
    sum += gap;
    squares += gap * gap;
    ASSERT_TRUE(arrival.prompt_tokens >= 10 && arrival.prompt_tokens <= 20);
    prompts += static_cast<double>(arrival.prompt_tokens);
    ASSERT_EQ(arrival.output_tokens, 7);
    last = arrival.at;
  }
  // Of an exponential: mean 1/5, variance 1/25; five standard errors of n = 20,000 (that of the variance is √8 of its
  // value over √n).
  const double n = 20'000, mean = sum / n, variance = squares / n - mean * mean;
  EXPECT_NEAR(mean, 0.2, 5 * 0.2 / std::sqrt(n));
  EXPECT_NEAR(variance, 0.04, 5 * 0.04 * std::sqrt(8 / n));
  EXPECT_NEAR(prompts / n, 15, 5 * std::sqrt(10 / n));
}

TEST(Arrivals, PoissonDependsOnTheSeedAlone) {
  PoissonProcess process{
      .requests_per_s = 2, .requests = 50, .prompt_tokens = {1, 9}, .output_tokens = {1, 9}, .seed = 1};
  const auto times = [&] {
    std::vector<int64_t> all;
    const std::vector<Arrival> arrivals = *PoissonArrivals(process);
    for (const Arrival& a : arrivals) all.insert(all.end(), {a.at.ps, a.prompt_tokens, a.output_tokens});
    return all;
  };
  const auto first = times();
  EXPECT_EQ(first, times());
  // More requests come behind the same ones.
  process.requests = 60;
  auto more = times();
  more.resize(first.size());
  EXPECT_EQ(first, more);
  process.seed = 2;
  EXPECT_NE(first, times());
}

TEST(Arrivals, PoissonRefusesWhatIsOutOfRange) {
  const PoissonProcess good{.requests_per_s = 1, .requests = 1, .prompt_tokens = {1, 2}, .output_tokens = {1, 2}};
  ASSERT_TRUE(PoissonArrivals(good).ok());
  const auto refused = [&](auto change) {
    PoissonProcess process = good;
    change(process);
    return !PoissonArrivals(process).ok();
  };
  EXPECT_TRUE(refused([](PoissonProcess& p) { p.requests_per_s = 0; }));
  EXPECT_TRUE(refused([](PoissonProcess& p) { p.requests_per_s = -1; }));
  EXPECT_TRUE(refused([](PoissonProcess& p) { p.requests_per_s = std::numeric_limits<double>::quiet_NaN(); }));
  EXPECT_TRUE(refused([](PoissonProcess& p) { p.requests_per_s = 1e-9; }));
  EXPECT_TRUE(refused([](PoissonProcess& p) { p.requests = 0; }));
  EXPECT_TRUE(refused([](PoissonProcess& p) { p.requests = kMaxArrivals + 1; }));
  EXPECT_TRUE(refused([](PoissonProcess& p) { p.prompt_tokens = {3, 2}; }));
  EXPECT_TRUE(refused([](PoissonProcess& p) { p.output_tokens = {0, 2}; }));
}

}  // namespace
}  // namespace lodestone::testing
