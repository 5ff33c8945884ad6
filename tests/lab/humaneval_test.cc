// Problems, programs, pass@k, and an evaluation that is interrupted.
#include "lab/code/humaneval.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "base/temporary_folder.h"
#include "lab/code/humaneval_run.h"

extern "C" int FuzzProblems(const uint8_t* data, size_t size);

namespace lodestone::testing {
namespace {

// Two problems of our own, a line each.
constexpr const char* kProblems =
    R"({"task_id": "own/0", "prompt": "def twice(x):\n    \"\"\" Two times x. \"\"\"\n", "entry_point": "twice", )"
    R"("canonical_solution": "    return 2 * x\n", "test": "def check(f):\n    assert f(3) == 6\n    assert f(-1) == -2\n"})"
    "\n\n"
    R"({"task_id": "own/1", "prompt": "def vowels(s):\n    \"\"\" How many vowels s has. \"\"\"\n", "entry_point": )"
    R"("vowels", "canonical_solution": "    return sum(c in 'aeiou' for c in s)\n", )"
    R"("test": "def check(f):\n    assert f('lodestone') == 4\n    assert f('') == 0\n", "more": 1})"
    "\n";

std::vector<CodeProblem> Problems() { return *ParseCodeProblems(kProblems, "own.jsonl"); }

TEST(CodeProblems, AreRead) {
  const std::vector<CodeProblem> problems = Problems();
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_EQ(problems[1].task_id, "own/1");
  EXPECT_EQ(problems[0].entry_point, "twice");
  EXPECT_EQ(ProgramOf(problems[0], "    return x\n"),
            "def twice(x):\n    \"\"\" Two times x. \"\"\"\n    return x\n\n"
            "def check(f):\n    assert f(3) == 6\n    assert f(-1) == -2\n\ncheck(twice)\n");
}

TEST(CodeProblems, BadLinesAreRefusedWithTheirNumber) {
  const std::string good = kProblems;
  const auto refusal = [](const std::string& text) {
    const auto problems = ParseCodeProblems(text, "p.jsonl");
    return problems.ok() ? "" : problems.error().message;
  };
  EXPECT_EQ(refusal(good), "");
  EXPECT_NE(refusal(good + "{\"task_id\": \"x\"").find("p.jsonl:4:"), std::string::npos);
  EXPECT_NE(refusal(good + "{\"task_id\": \"x\"}").find("p.jsonl:4: key 'prompt'"), std::string::npos);
  EXPECT_NE(refusal(good + good).find("p.jsonl:4: key 'task_id': 'own/0' is also on line 1"), std::string::npos)
      << refusal(good + good);
  const std::string call =
      R"-({"task_id": "a", "prompt": "", "entry_point": "f('x')", "canonical_solution": "", "test": ""})-";
  EXPECT_NE(refusal(call).find("expected the name of a function"), std::string::npos) << refusal(call);
  EXPECT_NE(refusal("").find("has no problem"), std::string::npos);
  EXPECT_NE(refusal("\x1f\x8b\x08").find("compressed"), std::string::npos);
}

TEST(Completions, BelongToProblems) {
  const std::vector<CodeProblem> problems = Problems();
  const auto samples = ParseCompletions(
      "{\"task_id\": \"own/1\", \"completion\": \"a\"}\n{\"task_id\": \"own/0\", \"completion\": \"b\"}\n"
      "{\"task_id\": \"own/1\", \"completion\": \"c\"}",
      "c.jsonl", problems);
  ASSERT_TRUE(samples.ok()) << samples.error().message;
  ASSERT_EQ(samples->size(), 3u);
  EXPECT_EQ((*samples)[2].problem, 1u);
  EXPECT_EQ((*samples)[2].sample, 1);
  EXPECT_EQ((*samples)[2].completion, "c");
  const auto stranger = ParseCompletions("{\"task_id\": \"x\", \"completion\": \"\"}", "c.jsonl", problems);
  ASSERT_FALSE(stranger.ok());
  EXPECT_NE(stranger.error().message.find("'x', which is none of the 2 problems"), std::string::npos);
  EXPECT_FALSE(ParseCompletions("", "c.jsonl", problems).ok());
}

double Choose(int64_t n, int64_t k) {
  double value = 1;
  for (int64_t i = 1; i <= k; ++i) value = value * static_cast<double>(n - k + i) / static_cast<double>(i);
  return k > n ? 0 : value;
}

TEST(PassAtKProperty, IsTheFormulaOfBinomials) {
  for (int64_t n = 1; n <= 25; ++n) {
    for (int64_t c = 0; c <= n; ++c) {
      for (int64_t k = 1; k <= n; ++k) {
        const double expected = 1 - Choose(n - c, k) / Choose(n, k);
        // n factors and divisions, each rounded.
        EXPECT_NEAR(PassAtK(n, c, k), expected, 4 * static_cast<double>(n) * 0x1p-53) << n << " " << c << " " << k;
      }
      EXPECT_NEAR(PassAtK(n, c, 1), static_cast<double>(c) / static_cast<double>(n), 0x1p-48);
    }
  }
}

// Unbiased: over all ways in which k of n samples can be drawn, the mean of "one of them passes" is the estimate
// itself.
TEST(PassAtKProperty, IsTheMeanOverDrawsWithoutReplacement) {
  for (int n = 1; n <= 10; ++n) {
    for (int c = 0; c <= n; ++c) {
      for (int k = 1; k <= n; ++k) {
        int draws = 0, hits = 0;
        for (unsigned set = 0; set < (1U << n); ++set) {
          if (__builtin_popcount(set) != k) continue;
          ++draws;
          hits += (set & ((1U << c) - 1)) != 0;  // the first c pass
        }
        EXPECT_NEAR(PassAtK(n, c, k), static_cast<double>(hits) / draws, 1e-13);
      }
    }
  }
}

// ---- Evaluations

class CodeRunTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<Sandbox> sandbox = Sandbox::Open("/usr/bin/python3", {.wall_s = 300, .processor_s = 5});
    if (!sandbox.ok()) GTEST_SKIP() << sandbox.error().message;
    sandbox_ = std::make_unique<Sandbox>(*std::move(sandbox));
  }
  Result<CodeRun> Open(std::vector<CodeProblem> problems, int64_t samples, const char* setting = "a") const {
    Json settings;
    settings.Set("answers", setting);
    return CodeRun::Open(folder_.path() / "run", settings, std::move(problems), samples);
  }
  std::unique_ptr<Sandbox> sandbox_;
  TemporaryFolder folder_;
};

TEST_F(CodeRunTest, CanonicalSolutionsScoreOneAndWrongOnesZero) {
  {
    Result<CodeRun> run = Open(Problems(), 2);
    ASSERT_TRUE(run.ok()) << run.error().message;
    for (CodeSample sample : run->Missing()) {
      sample.completion = sample.sample == 0 ? run->problems()[sample.problem].canonical_solution : "    return None\n";
      ASSERT_TRUE(run->Add(sample, "given").ok());
    }
    EXPECT_TRUE(run->Missing().empty());
    int heard = 0;
    ASSERT_TRUE(run->Check(*sandbox_, 2, [&heard] { ++heard; }).ok());
    EXPECT_EQ(heard, 4);
    EXPECT_EQ(run->Verdicts(), (std::map<std::string, int64_t>{{"passed", 2}, {"failed", 2}}));
    EXPECT_DOUBLE_EQ(*run->PassAt(1).value, 0.5);
    EXPECT_DOUBLE_EQ(*run->PassAt(2).value, 1);
  }
  // Of one sample each, the canonical ones remain; none runs again.
  Result<CodeRun> again = Open(Problems(), 1);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_TRUE(again->Missing().empty());
  EXPECT_EQ(again->Unchecked(), 0);
  EXPECT_DOUBLE_EQ(*again->PassAt(1).value, 1);
  EXPECT_TRUE(again->PassAt(1).low.has_value());

  // One problem says nothing about others.
  const Result<CodeRun> single = CodeRun::Open(folder_.path() / "single", Json(), {Problems()[0]}, 1);
  ASSERT_TRUE(single.ok()) << single.error().message;
  EXPECT_FALSE(single->PassAt(1).low.has_value());
}

TEST_F(CodeRunTest, TwoAtATimeInOneFolderAreRefused) {
  const Result<CodeRun> first = Open(Problems(), 1);
  ASSERT_TRUE(first.ok()) << first.error().message;
  const Result<CodeRun> second = Open(Problems(), 1);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find("samples.jsonl: another run is writing it"), std::string::npos)
      << second.error().message;
}

TEST_F(CodeRunTest, AnInterruptedRunGoesOn) {
  {
    Result<CodeRun> run = Open(Problems(), 1);
    ASSERT_TRUE(run.ok());
    ASSERT_TRUE(run->Add({.problem = 1, .sample = 0, .completion = "    return 0\n"}, "stop").ok());
  }
  // The process was killed while it wrote a line.
  std::ofstream(folder_.path() / "run/samples.jsonl", std::ios::app) << "{\"task_id\": \"own/0\", \"sam";
  Result<CodeRun> run = Open(Problems(), 1);
  ASSERT_TRUE(run.ok()) << run.error().message;
  ASSERT_EQ(run->Missing().size(), 1u);
  EXPECT_EQ(run->Missing()[0].problem, 0u);
  EXPECT_EQ(run->Unchecked(), 1);
  ASSERT_TRUE(run->Add({.problem = 0, .sample = 0, .completion = "    return x + x\n"}, "stop").ok());
  ASSERT_TRUE(run->Check(*sandbox_, 1, [] {}).ok());
  EXPECT_DOUBLE_EQ(*run->PassAt(1).value, 0.5);
  const std::string results = folder_.Read("run/results.jsonl");
  EXPECT_NE(results.find("AssertionError"), std::string::npos) << results;
}

TEST_F(CodeRunTest, AnotherRunInTheFolderIsRefused) {
  ASSERT_TRUE(Open(Problems(), 1, "model a").ok());
  const Result<CodeRun> other = Open(Problems(), 1, "model b");
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().message.find("answers was '\"model a\"' and is now '\"model b\"'"), std::string::npos)
      << other.error().message;
}

TEST_F(CodeRunTest, LinesOfOtherProblemsAreRefused) {
  std::filesystem::create_directories(folder_.path() / "run");
  folder_.Write("run/results.jsonl", "{\"task_id\": \"own/7\", \"sample\": 0, \"verdict\": \"passed\"}\n");
  const Result<CodeRun> run = Open(Problems(), 1);
  ASSERT_FALSE(run.ok());
  EXPECT_NE(run.error().message.find("results.jsonl:1: key 'task_id'"), std::string::npos) << run.error().message;
}

TEST(LabFuzzCorpus, ProblemsAreReadOrRefused) {
  const std::filesystem::path corpus = std::filesystem::path(LODESTONE_SOURCE_DIR) / "tests/fuzz/corpus/problems";
  int read = 0, refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(corpus)) {
    SCOPED_TRACE(entry.path().string());
    const std::string text = *ReadFile(entry.path(), 1 << 20);
    EXPECT_EQ(FuzzProblems(reinterpret_cast<const uint8_t*>(text.data()), text.size()), 0);
    ++(ParseCodeProblems(text, "p").ok() ? read : refused);
  }
  EXPECT_GE(read, 2);
  EXPECT_GE(refused, 5);
}

}  // namespace
}  // namespace lodestone::testing
