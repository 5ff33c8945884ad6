#include "lab/code/humaneval.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "base/quote.h"
#include "lab/code/json_lines.h"

namespace lodestone {
namespace {

bool IsName(std::string_view text) {
  const auto is_letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  const auto is_digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
  return !text.empty() && is_letter(text[0]) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_letter(c) || is_digit(c); });
}

}  // namespace

std::vector<std::string> CodeStops() { return {"\nclass", "\ndef", "\n#", "\nif", "\nprint"}; }

Result<std::vector<CodeProblem>> ParseCodeProblems(std::string_view text, std::string_view name) {
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<Json> lines, ParseJsonLines(text, name));
  std::vector<CodeProblem> problems;
  std::map<std::string, int> line_of;
  for (const Json& line : lines) {
    ObjectReader reader(line, std::string(name));
    CodeProblem problem{.task_id = reader.RequireString("task_id"),
                        .prompt = reader.RequireString("prompt"),
                        .entry_point = reader.RequireString("entry_point"),
                        .canonical_solution = reader.RequireString("canonical_solution"),
                        .test = reader.RequireString("test")};
    if (!IsName(problem.entry_point)) {
      reader.Fail("entry_point", fmt::format("found {}, expected the name of a function", Quoted(problem.entry_point)));
    }
    const auto [other, is_new] = line_of.emplace(problem.task_id, line.line);
    if (!is_new) {
      reader.Fail("task_id", fmt::format("{} is also on line {}", Quoted(problem.task_id), other->second));
    }
    LODESTONE_RETURN_IF_ERROR(reader.status());
    problems.push_back(std::move(problem));
  }
  if (problems.empty()) {
    return Invalid(
        fmt::format("{} has no problem: expected a JSON object a line with task_id, prompt, entry_point, "
                    "canonical_solution and test",
                    name));
  }
  return problems;
}

Result<std::vector<CodeSample>> ParseCompletions(std::string_view text, std::string_view name,
                                                 std::span<const CodeProblem> problems) {
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<Json> lines, ParseJsonLines(text, name));
  std::map<std::string, size_t> index;
  for (size_t i = 0; i < problems.size(); ++i) index[problems[i].task_id] = i;
  std::vector<int64_t> counts(problems.size());
  std::vector<CodeSample> samples;
  for (const Json& line : lines) {
    ObjectReader reader(line, std::string(name));
    const std::string task = reader.RequireString("task_id");
    const std::string completion = reader.RequireString("completion");
    const auto problem = index.find(task);
    if (problem == index.end()) {
      reader.Fail("task_id", fmt::format("found {}, which is none of the {} problems", Quoted(task), problems.size()));
    }
    LODESTONE_RETURN_IF_ERROR(reader.status());
    samples.push_back({problem->second, counts[problem->second]++, completion});
  }
  if (samples.empty()) {
    return Invalid(
        fmt::format("{} has no completion: expected a JSON object a line with task_id and completion", name));
  }
  return samples;
}

std::string ProgramOf(const CodeProblem& problem, std::string_view completion) {
  return fmt::format("{}{}\n{}\ncheck({})\n", problem.prompt, completion, problem.test, problem.entry_point);
}

double PassAtK(int64_t n, int64_t c, int64_t k) {
  LODESTONE_CHECK(0 <= c && c <= n && 1 <= k && k <= n);
  if (n - c < k) return 1;
  double none = 1;  // that none of the k passes
  for (int64_t i = n - c + 1; i <= n; ++i) none *= 1 - static_cast<double>(k) / static_cast<double>(i);
  return 1 - none;
}

}  // namespace lodestone
