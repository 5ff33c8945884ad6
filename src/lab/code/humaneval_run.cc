#include "lab/code/humaneval_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/quote.h"
#include "lab/statistics.h"

namespace lodestone {
namespace {

constexpr size_t kMaxJournal = size_t{2} << 30;
constexpr size_t kMaxSettings = size_t{1} << 20;
constexpr int64_t kMaxSample = int64_t{1} << 40;

// The last line that a program printed: of an exception, its name and text.
std::string LastLine(std::string_view output) {
  const size_t end = output.find_last_not_of("\r\n ");
  if (end == std::string_view::npos) return "";
  output = output.substr(0, end + 1);
  const size_t begin = output.rfind('\n');
  return Quoted(output.substr(begin == std::string_view::npos ? 0 : begin + 1), 200);
}

// The first member in which they differ, shown; empty where they are equal.
std::string Difference(const Json& old_settings, const Json& settings) {
  const auto text = [](const Json* value) { return value == nullptr ? "nothing" : Quoted(value->Dump(-1)); };
  for (const auto& [key, value] : *settings.as_object()) {
    const Json* const old_value = old_settings.Find(key);
    if (text(old_value) != text(&value))
      return fmt::format("{} was {} and is now {}", key, text(old_value), text(&value));
  }
  return "";
}

// Writes the settings, or compares them with those of the run that is gone on with.
Status Settle(const std::filesystem::path& folder, const Json& settings) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return IoError(fmt::format("{}: cannot make the folder: {}", folder.string(), error.message()));
  const std::filesystem::path path = folder / "settings.json";
  if (!std::filesystem::exists(path, error)) return WriteFileAtomically(path, settings.Dump() + "\n");
  LODESTONE_ASSIGN_OR_RETURN(const Json old_settings, ReadJsonFile(path.string(), kMaxSettings));
  const std::string difference = Difference(old_settings, settings);
  if (difference.empty()) return {};
  return Invalid(
      fmt::format("{}: the run in this folder is another one: {}; choose another --output, or remove this one",
                  path.string(), difference));
}

}  // namespace

CodeRun::CodeRun(std::vector<CodeProblem> problems, int64_t samples, Journal completions, Journal results)
    : problems_(std::move(problems)),
      samples_(samples),
      completions_file_(std::move(completions)),
      results_file_(std::move(results)),
      completions_(problems_.size() * static_cast<size_t>(samples)),
      verdicts_(completions_.size()) {}

Result<CodeRun> CodeRun::Open(const std::filesystem::path& folder, const Json& settings,
                              std::vector<CodeProblem> problems, int64_t samples) {
  LODESTONE_RETURN_IF_ERROR(Settle(folder, settings));
  LODESTONE_ASSIGN_OR_RETURN(Journal completions, Journal::Open(folder / "samples.jsonl", kMaxJournal));
  LODESTONE_ASSIGN_OR_RETURN(Journal results, Journal::Open(folder / "results.jsonl", kMaxJournal));
  CodeRun run(std::move(problems), samples, std::move(completions), std::move(results));
  LODESTONE_RETURN_IF_ERROR(run.Read());
  return run;
}

Status CodeRun::Read() {
  std::map<std::string, size_t> problem_of;
  for (size_t i = 0; i < problems_.size(); ++i) problem_of[problems_[i].task_id] = i;
  const auto read = [&](const Journal& journal, const char* key,
                        std::vector<std::optional<std::string>>& into) -> Status {
    for (const Json& line : journal.lines()) {
      ObjectReader reader(line, journal.name());
      const std::string task = reader.RequireString("task_id");
      const int64_t sample = reader.RequireInt("sample", 0, kMaxSample);
      const std::string value = reader.RequireString(key);
      const auto problem = problem_of.find(task);
      if (problem == problem_of.end()) {
        reader.Fail("task_id", fmt::format("found {}, which is none of the problems", Quoted(task)));
      }
      LODESTONE_RETURN_IF_ERROR(reader.status());
      if (sample < samples_) into[IndexOf({problem->second, sample, ""})] = value;
    }
    return {};
  };
  LODESTONE_RETURN_IF_ERROR(read(completions_file_, "completion", completions_));
  return read(results_file_, "verdict", verdicts_);
}

std::vector<CodeSample> CodeRun::Missing() const {
  std::vector<CodeSample> missing;
  for (size_t i = 0; i < completions_.size(); ++i) {
    const auto samples = static_cast<size_t>(samples_);
    if (!completions_[i]) missing.push_back({i / samples, static_cast<int64_t>(i % samples), ""});
  }
  return missing;
}

Status CodeRun::Add(const CodeSample& sample, std::string_view finish) {
  Json line;
  line.Set("task_id", problems_[sample.problem].task_id);
  line.Set("sample", sample.sample);
  line.Set("completion", sample.completion);
  line.Set("finish", finish);
  LODESTONE_RETURN_IF_ERROR(completions_file_.Append(line));
  completions_[IndexOf(sample)] = sample.completion;
  return {};
}

int64_t CodeRun::Unchecked() const {
  int64_t count = 0;
  for (size_t i = 0; i < completions_.size(); ++i) count += completions_[i] && !verdicts_[i];
  return count;
}

Status CodeRun::Record(size_t index, const SandboxOutcome& outcome) {
  const auto samples = static_cast<size_t>(samples_);
  Json line;
  line.Set("task_id", problems_[index / samples].task_id);
  line.Set("sample", static_cast<int64_t>(index % samples));
  line.Set("verdict", ToString(outcome.verdict));
  line.Set("seconds", outcome.seconds);
  line.Set("error", outcome.verdict == SandboxVerdict::kPassed ? Json() : Json(LastLine(outcome.output)));
  LODESTONE_RETURN_IF_ERROR(results_file_.Append(line));
  verdicts_[index] = ToString(outcome.verdict);
  return {};
}

Status CodeRun::Check(const Sandbox& sandbox, int jobs, const std::function<void()>& progress) {
  std::vector<size_t> todo;
  for (size_t i = 0; i < completions_.size(); ++i) {
    if (completions_[i] && !verdicts_[i]) todo.push_back(i);
  }
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  Status failure;
  const auto work = [&] {
    for (size_t at = next++; at < todo.size(); at = next++) {
      const size_t index = todo[at];
      const CodeProblem& problem = problems_[index / static_cast<size_t>(samples_)];
      const Result<SandboxOutcome> outcome = sandbox.Run(ProgramOf(problem, *completions_[index]));
      const std::lock_guard lock(mutex);
      if (!failure.ok()) return;
      failure = outcome.ok() ? Record(index, *outcome) : outcome.status();
      if (!failure.ok()) return;
      progress();
    }
  };
  std::vector<std::thread> threads;
  for (int job = 1; job < jobs; ++job) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return failure;
}

std::map<std::string, int64_t> CodeRun::Verdicts() const {
  std::map<std::string, int64_t> counts;
  for (const auto& verdict : verdicts_) ++counts[verdict.value_or("not run")];
  return counts;
}

Measure CodeRun::PassAt(int64_t k) const {
  const std::string passed = ToString(SandboxVerdict::kPassed);
  std::vector<double> chances;
  for (size_t problem = 0; problem < problems_.size(); ++problem) {
    const auto begin = verdicts_.begin() + static_cast<std::ptrdiff_t>(IndexOf({problem, 0, ""}));
    chances.push_back(PassAtK(samples_, std::count(begin, begin + samples_, passed), k));
  }
  const Statistics statistics = StatisticsOf(chances);
  Measure measure =
      Measure::Of(fmt::format("pass_at_{}", k), statistics.mean, "fraction of problems", Provenance::kMeasured);
  if (problems_.size() < 2) return measure;
  const double reach = 1.96 * statistics.standard_error;
  measure.low = std::max(0.0, statistics.mean - reach);
  measure.high = std::min(1.0, statistics.mean + reach);
  return measure;
}

}  // namespace lodestone
