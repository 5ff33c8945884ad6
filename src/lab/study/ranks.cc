#include "lab/study/ranks.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/json.h"
#include "base/quote.h"
#include "lab/peer.h"

namespace lodestone {
namespace {

Status CheckSingle(const StudyPlan& plan) {
  const auto check = [](const char* name, size_t size) -> Status {
    if (size <= 1) return {};
    return Invalid(fmt::format("a ranks sweep runs one case: {} has {} values, expected one", name, size));
  };
  LODESTONE_RETURN_IF_ERROR(check("model", plan.models.size()));
  LODESTONE_RETURN_IF_ERROR(check("recipe", plan.recipes.size()));
  LODESTONE_RETURN_IF_ERROR(check("sequence", plan.sequences.size()));
  LODESTONE_RETURN_IF_ERROR(check("batch", plan.batches.size()));
  LODESTONE_RETURN_IF_ERROR(check("gas", plan.accumulations.size()));
  LODESTONE_RETURN_IF_ERROR(check("recompute", plan.recompute.size()));
  return check("sparsity", plan.levels.size() * plan.patterns.size());
}

std::vector<std::string> WordsOf(const StudyPlan& plan, const StudyCase& test, const std::string& program, int ranks,
                                 bool root) {
  std::vector<std::string> words{"mpirun"};
  if (root) words.emplace_back("--allow-run-as-root");
  for (const std::string& word : {std::string("-n"), fmt::format("{}", ranks), std::string("--bind-to"),
                                  std::string("core"), program, std::string("bench")}) {
    words.push_back(word);
  }
  words.emplace_back(ToString(plan.kind));
  const auto add = [&](const char* option, std::string value) {
    words.emplace_back(option);
    words.push_back(std::move(value));
  };
  add("--model", test.model);
  add("--recipe", test.recipe);
  add("--sequence", fmt::format("{}", test.sequence));
  add("--batch", fmt::format("{}", test.batch));
  add("--gas", fmt::format("{}", test.accumulation));
  add("--recompute", test.recompute ? "1" : "0");
  if (const SparsitySettings& sparsity = test.sparsity; sparsity.pattern != SparsityPattern::kNone) {
    add("--pattern", std::string(ToString(sparsity.pattern)));
    add("--sparsity", fmt::format("{}", sparsity.level));
    add("--tile", fmt::format("{}", sparsity.block_rows));
  }
  add("--warmup", fmt::format("{}", plan.warmup.front()));
  add("--repetitions", fmt::format("{}", plan.repetitions.front()));
  add("--seed", fmt::format("{}", plan.seed.front()));
  words.emplace_back("--json");
  return words;
}

}  // namespace

Result<std::vector<RanksRun>> RanksRuns(const StudyPlan& plan, const std::string& program, int cores, bool root) {
  LODESTONE_RETURN_IF_ERROR(CheckSingle(plan));
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<StudyCase> cases, CasesOf(plan));
  std::vector<RanksRun> runs;
  for (const std::string& scaling : plan.scaling) {
    for (const int64_t ranks : plan.ranks) {
      RanksRun run{
          .scaling = scaling, .ranks = static_cast<int>(ranks), .test = cases.front(), .words = {}, .reason = {}};
      if (ranks > cores) {
        run.reason = fmt::format("{} ranks need as many cores, and this process has {}", ranks, cores);
      } else if (scaling == "strong" && run.test.batch % ranks != 0) {
        run.reason = fmt::format("a batch of {} cannot be shared among {} ranks", run.test.batch, ranks);
      }
      if (scaling == "strong" && run.reason.empty()) run.test.batch /= ranks;
      if (run.reason.empty()) run.words = WordsOf(plan, run.test, program, run.ranks, root);
      runs.push_back(std::move(run));
    }
  }
  return runs;
}

std::string ShellLine(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + ShellQuoted(word);
  return line;
}

std::optional<std::string> FindMpirun() {
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "";
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(':'), rest.size());
    const std::string candidate = std::string(rest.substr(0, end)) + "/mpirun";
    if (end > 0 && access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return std::nullopt;
}

Result<StudyResult> RunRanks(const RanksRun& run) {
  LODESTONE_ASSIGN_OR_RETURN(const std::string output, OutputOf(ShellLine(run.words)));
  LODESTONE_ASSIGN_OR_RETURN(const Json json, ParseJson(output, "the ranks' output"));
  const Json* rows = json.Find("rows");
  const Json::Array* list = rows != nullptr ? rows->as_array() : nullptr;
  if (list == nullptr || list->size() != 1) {
    return Invalid(fmt::format("the ranks' output: expected one row; the command was {}", ShellLine(run.words)));
  }
  return ReadStudyRow(list->front(), run.test);
}

}  // namespace lodestone
