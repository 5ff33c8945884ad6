// The forward pass of a block in integers, by the executor that the engine runs.
#include <fmt/format.h>

#include "lab/pass_runner.h"
#include "lab/study/bench.h"
#include "lab/study/session.h"
#include "lab/study/stopwatch.h"

namespace lodestone {

Status TimeExecutor(const StudyClock& clock, StudyResult& result) {
  const StudyCase& test = result.test;
  if (test.sparsity.pattern != SparsityPattern::kNone) {
    return Infeasible(fmt::format("the integer kernels of {} skip no blocks", test.recipe));
  }
  LODESTONE_ASSIGN_OR_RETURN(const Recipe recipe, ParseRecipe(test.recipe));
  Model model;
  model.name = test.model;
  model.config = test.config;
  model.weights = RandomWeights(test.config, clock.seed);
  const int64_t rows_in_all = test.sequence * test.batch;
  LODESTONE_ASSIGN_OR_RETURN(const std::unique_ptr<PassRunner> runner,
                             PassRunner::Open(model, recipe,
                                              {.sequences = static_cast<int>(test.batch),
                                               .positions = test.sequence,
                                               .rows_per_pass = static_cast<int>(rows_in_all),
                                               .threads = result.threads}));
  std::vector<Row> rows;
  for (int64_t b = 0; b < test.batch; ++b) {
    const std::vector<int32_t> ids =
        SeededTokens(clock.seed, static_cast<uint64_t>(b), test.sequence, test.config.vocab);
    for (int64_t p = 0; p < test.sequence; ++p) {
      rows.push_back({.sequence = static_cast<uint32_t>(b),
                      .position = static_cast<int32_t>(p),
                      .token = ids[static_cast<size_t>(p)]});
    }
    rows.back().wants_logits = true;
  }
  for (int64_t i = 0; i < clock.warmup + clock.repetitions; ++i) {
    const Stopwatch watch;
    LODESTONE_RETURN_IF_ERROR(runner->Run(rows).status());
    if (i < clock.warmup) continue;
    result.forward_s.push_back(watch.Seconds());
    result.wall_s += result.forward_s.back();
    result.cpu_s += watch.CpuSeconds();
  }
  return {};
}

}  // namespace lodestone
