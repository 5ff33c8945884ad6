// `lodestone plan --search` as its users run it.
#include <gtest/gtest.h>

#include <algorithm>

#include "e2e/program.h"

namespace lodestone::testing {
namespace {

std::vector<std::string> Search(const std::string& model, const std::string& recipe, const std::string& appliance,
                                const std::string& users = "28", const std::string& context = "2048") {
  return {"plan",        "--search", "--model", model, "--recipe",  recipe,
          "--appliance", appliance,  "--users", users, "--context", context};
}

int64_t IntOf(const Json& json, const char* key) {
  const Json* found = json.Find(key);
  return found != nullptr && found->as_int() != nullptr ? *found->as_int() : -1;
}

TEST(PlanSearch, ProposesThePlacementOfThePaperFirst) {
  const Json record = RunJson(Search("granite-3b-14l", "w4a4", "northpole-16"));
  const Json& search = *record.Find("search");
  const Json& first = search.Find("proposals")->as_array()->front();
  EXPECT_EQ(IntOf(*first.Find("layers"), "steps"), 14);
  EXPECT_EQ(IntOf(first, "output_ranks"), 2);
  EXPECT_EQ(IntOf(first, "cards_used"), 16);
  EXPECT_EQ(*first.Find("estimate")->Find("provenance")->as_string(), "estimated");
  EXPECT_FALSE(first.Find("reasons")->as_array()->empty());
  EXPECT_EQ(search.Find("trade")->as_array()->size(), 5u);  // 256 to 4,096 positions
}

TEST(PlanSearch, ScreensFitAHundredColumnsAndSayWhy) {
  for (const auto& words :
       {Search("granite-3.3-8b", "w4a8c8", "northpole-288"), Search("llama-3-70b", "w4a8c8", "northpole-288"),
        Search("gpt2", "w8a8", "northpole-16", "4", "512")}) {
    const Outcome outcome = RunProgram(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    EXPECT_NE(outcome.out.find("estimated in closed form"), std::string::npos);
    EXPECT_NE(outcome.out.find("sets the pace"), std::string::npos);
    EXPECT_NE(outcome.out.find("arrangements compared"), std::string::npos);
    for (size_t begin = 0; begin < outcome.out.size(); begin = outcome.out.find('\n', begin) + 1) {
      const std::string line = outcome.out.substr(begin, outcome.out.find('\n', begin) - begin);
      const auto columns = std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; });
      EXPECT_LE(columns, 100) << line;
    }
  }
}

TEST(PlanSearch, SameInputSameBytes) {
  const auto words = Search("granite-3.3-8b", "w4a8c8", "northpole-288");
  EXPECT_EQ(RunProgram(words).out, RunProgram(words).out);
}

TEST(PlanSearch, APlanShowsTheFullestCores) {
  const Outcome plan = RunProgram({"plan", "--model", "granite-3b-14l", "--recipe", "w4a4", "--appliance",
                                   "northpole-16", "--users", "28", "--context", "2048"});
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_NE(plan.out.find("fullest core of a card: "), std::string::npos) << plan.out;
  EXPECT_NE(plan.out.find("of 768.0 KiB (layer 0–13)"), std::string::npos) << plan.out;
}

TEST(PlanSearch, RefusalsNameWhatIsWrong) {
  const auto refused = [](std::vector<std::string> words, const std::vector<std::string>& named) {
    const Outcome outcome = RunProgram(words);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_EQ(outcome.out, "");
    for (const std::string& text : named) EXPECT_NE(outcome.err.find(text), std::string::npos) << outcome.err;
  };
  refused({"plan", "--search", "--model", "gpt2"}, {"--search", "'cpu' is this host"});
  refused({"plan", "--objective", "latency", "--model", "gpt2", "--appliance", "northpole-16"}, {"give --search"});
  refused({"plan", "--search", "--objective", "speed", "--model", "gpt2", "--appliance", "northpole-16"},
          {"--objective", "'speed'", "throughput, latency or cards"});
  refused(Search("llama-3-70b", "w4a8c8", "northpole-16"), {"does not fit northpole-16", "246 such cards"});
  refused(Search("gpt2", "w8a8", "northpole-16", "4", "2000"), {"--context is 2000", "1024"});
}

}  // namespace
}  // namespace lodestone::testing
