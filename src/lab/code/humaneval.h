// Programming problems that a program decides: HumanEval (M. Chen et al., "Evaluating Large Language Models Trained on
// Code", 2021) and files of its form.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace lodestone {

struct CodeProblem {
  std::string task_id;             // "HumanEval/0"
  std::string prompt;              // the function's head and its docstring
  std::string entry_point;         // the function's name
  std::string canonical_solution;  // its body
  std::string test;                // defines check(candidate)
};

inline constexpr size_t kMaxProblemsFile = size_t{64} << 20;
// What ends a completion: the first line that is no part of the function.
std::vector<std::string> CodeStops();

// JSON Lines with the members of CodeProblem, others passed over. Refused: no problem, one without a member, a task_id
// twice, an entry_point that is no name of Python.
Result<std::vector<CodeProblem>> ParseCodeProblems(std::string_view text, std::string_view name);

// One answer to a problem; the samples of each are numbered from 0.
struct CodeSample {
  size_t problem = 0;
  int64_t sample = 0;
  std::string completion;
};
// JSON Lines with task_id and completion, others passed over; the samples of a problem in the order of the file.
// Refused: no line, a task_id that `problems` does not have.
Result<std::vector<CodeSample>> ParseCompletions(std::string_view text, std::string_view name,
                                                 std::span<const CodeProblem> problems);

// What is run: prompt, completion, tests, and the call of check.
std::string ProgramOf(const CodeProblem& problem, std::string_view completion);

// The unbiased estimate of the chance that at least one of k samples passes, of n samples of which c passed:
// 1 − C(n − c, k) / C(n, k), as the product of equation 1. 0 ≤ c ≤ n, 1 ≤ k ≤ n.
double PassAtK(int64_t n, int64_t c, int64_t k);

}  // namespace lodestone
