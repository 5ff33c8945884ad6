// Programming problems from the command line: answers, verdicts, resumption, refusals.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "e2e/program.h"
#include "fixtures.h"

namespace lodestone::testing {
namespace {

constexpr const char* kProblem =
    R"({"task_id": "own/0", "prompt": "def twice(x):\n", "entry_point": "twice", "canonical_solution": )"
    R"("    return 2 * x\n", "test": "def check(f):\n    assert f(3) == 6\n"})"
    "\n";

// Whether samples run here at all: python3, and a kernel that lets the program hold them.
bool CanRun(const TemporaryFolder& folder, const std::string& problems) {
  const Outcome outcome =
      RunProgram({"eval", "humaneval", "--canonical", "--problems", problems, "--output", folder.path() + "/probe"});
  if (outcome.exit_code != 0) std::fprintf(stderr, "%s", outcome.err.c_str());
  return outcome.exit_code == 0;
}

TEST(EvalHumaneval, CanonicalAndGivenAnswersAreJudged) {
  const TemporaryFolder folder;
  const std::string problems = folder.Write("problems.jsonl", kProblem);
  if (!CanRun(folder, problems)) GTEST_SKIP() << "samples cannot be held here";
  const std::string answers = folder.Write("answers.jsonl",
                                           "{\"task_id\": \"own/0\", \"completion\": \"    return x + x\\n\"}\n"
                                           "{\"task_id\": \"own/0\", \"completion\": \"    return x * x\\n\"}\n");
  const Json record = RunJson({"eval", "humaneval", "--completions", answers, "--problems", problems, "--k", "1,2",
                               "--output", folder.path() + "/run"});
  EXPECT_DOUBLE_EQ(MeasureOf(record, "pass_at_1"), 0.5);
  EXPECT_DOUBLE_EQ(MeasureOf(record, "pass_at_2"), 1);
  EXPECT_TRUE(std::filesystem::exists(folder.path() + "/run/record.json"));
}

TEST(EvalHumaneval, AModelAnswersAndTheRunGoesOn) {
  const TemporaryFolder folder;
  const std::string problems = folder.Write("problems.jsonl", kProblem);
  if (!CanRun(folder, problems)) GTEST_SKIP() << "samples cannot be held here";
  const std::vector<std::string> words{"eval",     "humaneval", "--model", "random:nano-14l", "--problems",
                                       problems,   "--tokens",  "4",       "--output",        folder.path() + "/run",
                                       "--samples"};
  const auto with = [&words](const char* samples) {
    std::vector<std::string> all = words;
    all.emplace_back(samples);
    return all;
  };
  EXPECT_DOUBLE_EQ(MeasureOf(RunJson(with("2")), "pass_at_1"), 0);
  const std::string two = *ReadFile(folder.path() + "/run/samples.jsonl", 1 << 20);
  RunJson(with("3"));
  const std::string three = *ReadFile(folder.path() + "/run/samples.jsonl", 1 << 20);
  EXPECT_TRUE(three.starts_with(two)) << "samples that exist are kept";

  // All three at once are the same three.
  std::filesystem::remove_all(folder.path() + "/run");
  RunJson(with("3"));
  const std::string fresh = *ReadFile(folder.path() + "/run/samples.jsonl", 1 << 20);
  EXPECT_EQ(fresh.size(), three.size());
}

TEST(EvalHumaneval, BadInputIsRefused) {
  const TemporaryFolder folder;
  const std::string problems = folder.Write("problems.jsonl", kProblem);
  const auto refusal = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"eval", "humaneval", "--output", folder.path() + "/run"});
    const Outcome outcome = RunProgram(words);
    EXPECT_EQ(outcome.exit_code, 1) << outcome.out;
    return outcome.err;
  };
  EXPECT_NE(refusal({"--problems", problems}).find("--canonical"), std::string::npos);
  EXPECT_NE(refusal({"--problems", problems, "--canonical", "--k", "2"}).find("pass@2 needs at least 2 samples"),
            std::string::npos);
  EXPECT_NE(refusal({"--problems", problems, "--canonical", "--python", "/nowhere"}).find("no Python 3"),
            std::string::npos);
  const std::string two =
      folder.Write("two.jsonl", std::string(kProblem) + R"({"task_id": "own/1", "prompt": "", )"
                                                        R"("entry_point": "f", "canonical_solution": "", "test": ""})");
  for (const char* source : {"--canonical", "--model=random:tiny-4l"}) {
    EXPECT_NE(refusal({"--problems", two, source, "--samples", "1000000", "--k", "1"}).find("are more than"),
              std::string::npos);
  }
  const std::string bad = folder.Write("bad.jsonl", "{\"task_id\": 1}\n");
  EXPECT_NE(refusal({"--problems", bad, "--canonical"}).find("bad.jsonl:1: key 'task_id'"), std::string::npos);
}

// All 164 problems: their own solutions pass.
TEST(EvalHumaneval, HumanEvalsOwnSolutionsScoreOne) {
  LODESTONE_REQUIRE_FIXTURE("datasets/humaneval/HumanEval.jsonl.gz");
  const TemporaryFolder folder;
  const std::string problems = folder.path() + "/problems.jsonl";
  const std::string archive = (SharedDir() / "datasets/humaneval/HumanEval.jsonl.gz").string();
  if (std::system(("gzip -dc '" + archive + "' > '" + problems + "'").c_str()) != 0) GTEST_SKIP() << "no gzip";
  if (!CanRun(folder, folder.Write("one.jsonl", kProblem))) GTEST_SKIP() << "samples cannot be held here";
  const Json record = RunJson({"eval", "humaneval", "--canonical", "--problems", problems, "--timeout", "120",
                               "--output", folder.path() + "/run"});
  EXPECT_DOUBLE_EQ(MeasureOf(record, "pass_at_1"), 1);
}

}  // namespace
}  // namespace lodestone::testing
