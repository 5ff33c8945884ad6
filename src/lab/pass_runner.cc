#include "lab/pass_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "learn/calibration.h"

namespace lodestone {

Result<std::unique_ptr<PassRunner>> PassRunner::Open(Model& model, const Recipe& recipe,
                                                     const PassRunnerOptions& options) {
  std::unique_ptr<PassRunner> runner(new PassRunner);
  const Demand demand{.users = options.sequences, .context = options.positions, .rows_per_pass = options.rows_per_pass};
  LODESTONE_ASSIGN_OR_RETURN(Placement placement, PlaceOn(std::nullopt, model.config, recipe, demand));
  LODESTONE_ASSIGN_OR_RETURN(
      runner->machine_, OpenMachine(std::nullopt, std::move(placement), {.compute = true, .threads = options.threads}));
  LODESTONE_ASSIGN_OR_RETURN(runner->static_steps_, AddStepSizes(model, recipe, *runner->machine_.threads));
  const int64_t pages = PagesPerUser(options.positions);
  if (pages * options.sequences > std::numeric_limits<int32_t>::max()) {
    return Infeasible(
        fmt::format("{} sequences of {} positions: more KV pages than fit", options.sequences, options.positions));
  }
  runner->pages_per_sequence_ = static_cast<int>(pages);
  runner->rows_per_pass_ = options.rows_per_pass;
  runner->page_table_.resize(static_cast<size_t>(pages * options.sequences));
  std::iota(runner->page_table_.begin(), runner->page_table_.end(), 0);
  LODESTONE_RETURN_IF_ERROR(
      runner->machine_.appliance->Configure(model.weights.get(), static_cast<int>(runner->page_table_.size())));
  return runner;
}

Result<Tensor> PassRunner::Run(std::span<const Row> rows) {
  // A pass numbers the sequences that it has, from 0, each with its row of the page table.
  pass_rows_.assign(rows.begin(), rows.end());
  pass_pages_.clear();
  uint32_t sequences = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i == 0 || rows[i].sequence != rows[i - 1].sequence) {
      const auto pages = std::span(page_table_)
                             .subspan(rows[i].sequence * static_cast<size_t>(pages_per_sequence_),
                                      static_cast<size_t>(pages_per_sequence_));
      pass_pages_.insert(pass_pages_.end(), pages.begin(), pages.end());
      ++sequences;
    }
    pass_rows_[i].sequence = sequences - 1;
  }
  LODESTONE_RETURN_IF_ERROR(machine_.appliance->Submit({.id = next_pass_++,
                                                        .load = LoadOf(pass_rows_),
                                                        .rows = pass_rows_,
                                                        .page_table = pass_pages_,
                                                        .pages_per_sequence = pages_per_sequence_}));
  LODESTONE_ASSIGN_OR_RETURN(std::optional<Done> done, machine_.appliance->Next());
  LODESTONE_CHECK(done.has_value());  // a pass was submitted
  return std::move(done->logits);
}

Status PassRunner::Feed(uint32_t sequence, int64_t begin, std::span<const int32_t> tokens) {
  std::vector<Row> rows;
  for (size_t at = 0; at < tokens.size(); at += rows.size()) {
    rows.clear();
    for (size_t i = at; i < std::min(tokens.size(), at + static_cast<size_t>(rows_per_pass_)); ++i) {
      rows.push_back({.sequence = sequence,
                      .position = static_cast<int32_t>(begin + static_cast<int64_t>(i)),
                      .token = tokens[i]});
    }
    LODESTONE_RETURN_IF_ERROR(Run(rows).status());
  }
  return {};
}

const Program& PassRunner::program() const { return machine_.appliance->placement().stages.front().stage.program; }

int64_t PassRunner::host_bytes() const { return machine_.appliance->placement().host_bytes; }

const Ledger& PassRunner::ledger() const { return machine_.appliance->placement().stages.front().ledger; }

}  // namespace lodestone
