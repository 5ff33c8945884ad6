// One evaluation in a folder: completions, verdicts, and what they amount to. It can be ended at any moment and goes on
// where it was.
//
//   settings.json   what was asked for; another question in the same folder is refused
//   samples.jsonl   task_id, sample, completion, finish: in the form that other tools for these problems read
//   results.jsonl   task_id, sample, verdict, seconds, error
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "lab/code/humaneval.h"
#include "lab/code/json_lines.h"
#include "lab/code/sandbox.h"
#include "report/measure.h"

namespace lodestone {

class CodeRun {
 public:
  // Makes the folder or goes on with it. Refused: a folder whose settings are others, lines that belong to no problem.
  // Samples beyond `samples` a problem are passed over: the number may change from run to run.
  static Result<CodeRun> Open(const std::filesystem::path& folder, const Json& settings,
                              std::vector<CodeProblem> problems, int64_t samples);

  const std::vector<CodeProblem>& problems() const { return problems_; }
  int64_t samples() const { return samples_; }

  // Samples without a completion, those of a problem together; `completion` of each is empty.
  std::vector<CodeSample> Missing() const;
  // `finish`: "stop", "length", "prompt too long", …
  Status Add(const CodeSample& sample, std::string_view finish);

  // Completions that were not run yet.
  int64_t Unchecked() const;
  // Runs them, `jobs` at a time. `progress` hears of each, one call at a time.
  Status Check(const Sandbox& sandbox, int jobs, const std::function<void()>& progress);

  // How many samples ended with each verdict.
  std::map<std::string, int64_t> Verdicts() const;
  // pass@k, the mean over problems; low and high are 1.96 standard errors of that mean away, and none of one problem.
  // k ≤ samples; every sample has a verdict.
  Measure PassAt(int64_t k) const;

 private:
  CodeRun(std::vector<CodeProblem> problems, int64_t samples, Journal completions, Journal results);
  Status Read();
  size_t IndexOf(const CodeSample& sample) const {
    return sample.problem * static_cast<size_t>(samples_) + static_cast<size_t>(sample.sample);
  }
  Status Record(size_t index, const SandboxOutcome& outcome);

  std::vector<CodeProblem> problems_;
  int64_t samples_ = 0;
  Journal completions_file_, results_file_;
  std::vector<std::optional<std::string>> completions_;  // problem by problem
  std::vector<std::optional<std::string>> verdicts_;     // the same
};

}  // namespace lodestone
