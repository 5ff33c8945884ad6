// A model on this host, driven pass by pass: rows in, logits out, without sampling. What teacher forcing and speed
// benchmarks have in common.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "appliance/machine.h"
#include "base/status.h"
#include "model/open_model.h"
#include "model/recipe.h"

namespace lodestone {

struct PassRunnerOptions {
  int sequences = 1;
  int64_t positions = 0;  // of each sequence; its KV pages are reserved
  int rows_per_pass = 1;  // at most
  int threads = 1;
};

class PassRunner {
 public:
  // Loads the weights of `model`, calibrating a static recipe on the built-in text where the checkpoint brings no step
  // sizes. Refused: more positions than the model or the host's memory has.
  static Result<std::unique_ptr<PassRunner>> Open(Model& model, const Recipe& recipe, const PassRunnerOptions& options);

  // One pass: logits of the rows that want them, in order, [rows that want][vocab]. Row::sequence counts all sequences
  // from 0; rows of one sequence lie side by side.
  Result<Tensor> Run(std::span<const Row> rows);
  // Positions [begin, begin + tokens.size()) of one sequence, in passes of at most rows_per_pass; no logits.
  Status Feed(uint32_t sequence, int64_t begin, std::span<const int32_t> tokens);

  const Program& program() const;
  int64_t host_bytes() const;                                        // of the embedding tables
  const Ledger& ledger() const;                                      // bytes that the placement counts
  const std::string& static_steps() const { return static_steps_; }  // where they came from; empty for dynamic recipes

 private:
  PassRunner() = default;

  OpenedMachine machine_;
  std::vector<int32_t> page_table_;  // of all sequences
  std::vector<Row> pass_rows_;       // of the pass that runs
  std::vector<int32_t> pass_pages_;
  int pages_per_sequence_ = 0, rows_per_pass_ = 1;
  uint64_t next_pass_ = 0;
  std::string static_steps_;
};

}  // namespace lodestone
