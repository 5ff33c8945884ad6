// Requests that arrive over time, and sweeps, as their users run them.
#include <gtest/gtest.h>

#include "base/file.h"
#include "e2e/program.h"

namespace lodestone::testing {
namespace {

std::vector<std::string> Traffic(std::vector<std::string> more) {
  std::vector<std::string> words{
      "traffic", "--model", "granite-3b-14l", "--appliance", "northpole-16", "--recipe", "w4a4", "--users", "8"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

double NumberOf(const Json& json, const char* key) {
  const Json* found = json.Find(key);
  return found != nullptr && found->as_number() ? *found->as_number() : -1;
}

TEST(Traffic, PoissonArrivalsGiveTheSameBytesForTheSameSeed) {
  const auto words = Traffic({"--rate", "50", "--requests", "40", "--prompt-tokens", "16:64", "--tokens", "8:32"});
  const Outcome first = RunProgram(words);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(first.out, RunProgram(words).out);
  auto other = words;
  other.insert(other.end(), {"--seed", "7"});
  EXPECT_NE(first.out, RunProgram(other).out);
}

TEST(Traffic, AFileOfArrivalsIsServedWhole) {
  const TemporaryFolder folder;
  const std::string file =
      folder.Write("requests.csv", "arrival_s,prompt_tokens,output_tokens\n0,100,10\n0.001,50,20\n0.5,10,1\n");
  const Json result = RunJson(Traffic({"--arrivals", file, "--goal-ttft-ms", "1000"}));
  EXPECT_EQ(NumberOf(result, "completed"), 3);
  EXPECT_EQ(NumberOf(result, "total_input_tokens"), 160);
  EXPECT_EQ(NumberOf(result, "total_output_tokens"), 31);
  EXPECT_LE(NumberOf(result, "p50_ttft_ms"), NumberOf(result, "p99_ttft_ms"));
  EXPECT_NEAR(NumberOf(result, "request_goodput"), NumberOf(result, "request_throughput"), 1e-9);
}

// The longest prompt and the longest output together would be more positions than the model has; no request has both.
TEST(Traffic, PagesAreForTheLongestRequestAndNotForTheLongestPartsOfTwo) {
  const TemporaryFolder folder;
  const std::string file = folder.Write("requests.csv",
                                        "\xEF\xBB\xBF"
                                        "arrival_s,prompt_tokens,output_tokens\n0,3000,1\n0,1,3000\n");
  const Outcome outcome =
      RunProgram(Traffic({"--arrivals", file, "--prefill-chunk", "64", "--trace", folder.path() + "/trace.json"}));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("at 3001 positions"), std::string::npos) << outcome.out;
  EXPECT_TRUE(ReadFile(folder.path() + "/trace.json", 1 << 28).ok());
}

TEST(Traffic, MoreRequestsThanTheCardsServeWaitInTheQueue) {
  const auto at = [](const char* rate) {
    return RunJson(Traffic({"--rate", rate, "--requests", "60", "--prompt-tokens", "64", "--tokens", "64"}));
  };
  const Json calm = at("2"), crowded = at("5000");
  EXPECT_GT(NumberOf(crowded, "p99_ttft_ms"), 4 * NumberOf(calm, "p99_ttft_ms"));
  EXPECT_GT(NumberOf(crowded, "output_throughput"), NumberOf(calm, "output_throughput"));
}

TEST(Traffic, BadTracesAndRangesAreRefusedWithTheirPlace) {
  const TemporaryFolder folder;
  const std::string file =
      folder.Write("requests.csv", "arrival_s,prompt_tokens,output_tokens\n0,100,10\n0.1,many,20\n");
  const Outcome bad_line = RunProgram(Traffic({"--arrivals", file}));
  EXPECT_EQ(bad_line.exit_code, 1);
  EXPECT_NE(bad_line.err.find("requests.csv:3"), std::string::npos) << bad_line.err;
  const Outcome both = RunProgram(Traffic({"--arrivals", file, "--rate", "1"}));
  EXPECT_EQ(both.exit_code, 1);
  EXPECT_NE(both.err.find("--arrivals brings"), std::string::npos) << both.err;
  for (const char* range : {"9:3", "0", "x", "1:2:3"}) {
    const Outcome outcome = RunProgram(Traffic({"--prompt-tokens", range}));
    EXPECT_EQ(outcome.exit_code, 1) << range;
    EXPECT_NE(outcome.err.find("--prompt-tokens"), std::string::npos) << outcome.err;
  }
}

TEST(Sweep, WritesTheSameBytesForAnyNumberOfThreads) {
  const TemporaryFolder folder;
  const std::string one = folder.path() + "/1.csv", three = folder.path() + "/3.csv";
  EXPECT_EQ(RunProgram({"sweep", "northpole-rack", "--threads", "1", "--csv", one}).exit_code, 0);
  EXPECT_EQ(RunProgram({"sweep", "northpole-rack", "--threads", "3", "--csv", three}).exit_code, 0);
  const auto first = ReadFile(one, 1 << 24), second = ReadFile(three, 1 << 24);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, *second);
  EXPECT_NE(first->find("simulated"), std::string::npos);
}

TEST(Sweep, BadFilesNameTheirLine) {
  const TemporaryFolder folder;
  const std::string file = folder.Write(
      "mine.toml",
      "kind = \"sweep\"\nname = \"mine\"\nmodel = \"gpt2\"\nappliance = \"northpole-16\"\n\n[axes]\nuser = [1, 2]\n");
  const Outcome outcome = RunProgram({"sweep", file});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("mine.toml:7"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("users"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace lodestone::testing
