// How fast a model runs on this host: prefill and decode, one user and many, in passes without sampling.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "host/energy.h"
#include "lab/pass_runner.h"
#include "numerics/format.h"

namespace lodestone {

// One kind of work: prompts of `prompt_tokens` for each of `batch` users, or `tokens` decoded by each behind `depth`
// positions. Exactly one of the two numbers is not zero.
struct InferenceCase {
  int64_t prompt_tokens = 0, tokens = 0, depth = 0;
  int batch = 1;

  int64_t positions() const { return prompt_tokens + tokens + depth; }  // that each user needs
  double tokens_of_all() const { return static_cast<double>(batch) * static_cast<double>(prompt_tokens + tokens); }
  std::string Name() const;  // as llama-bench writes it: "pp512", "tg128", "tg128 @ d8192"
};

// Rates of this host for the threads in use, as measured; 0 where unknown.
struct Rates {
  double dram_bytes_per_s = 0, l3_bytes_per_s = 0;
  int64_t l3_bytes = 0;                          // what stays in the cache from pass to pass
  double f32_ops_per_s = 0, int8_ops_per_s = 0;  // bf16 is multiplied in f32

  // Of matrix products whose wider operand is `code`.
  double OperationsPerSecond(Code code) const;
};

// What the passes of one case do, summed, and how long the host's rates allow for it.
struct CaseWork {
  double weight_bytes = 0, kv_bytes = 0;  // codes, scales, norms and biases read once a pass; KV read and written
  double operations = 0;       // of matrix products, attention's too; a multiplication and an addition are two
  double memory_seconds = 0;   // the bytes at the rate of DRAM, or of the cache where a pass fits it
  double compute_seconds = 0;  // the operations
  double limit_seconds = 0;    // Σ over passes of the longer of the two
};

struct CaseResult {
  InferenceCase test;
  CaseWork work;
  std::vector<double> seconds;   // one a repetition
  std::optional<double> joules;  // over all repetitions
  std::string joules_reason;     // why absent
  std::vector<double> tokens_per_s() const;
};

class InferenceBench {
 public:
  // Tokens are a function of sequence and position, so that every repetition computes the same.
  // `runner` was opened for the largest batch and the most positions among `cases`, with rows_per_pass ≥
  // `prefill_chunk` and ≥ every batch; it and `rates` outlive this.
  InferenceBench(PassRunner& runner, const ModelConfig& config, std::vector<InferenceCase> cases, int prefill_chunk,
                 const Rates& rates);

  // A short run of everything, so that memory is touched and threads are awake; its times are not kept.
  Status WarmUp();
  // Every case once. Positions before a decoding case are filled first, outside its time.
  Status Repeat();

  std::span<const CaseResult> results() const { return results_; }

 private:
  Status FillTo(const InferenceCase& test);
  Status RunCase(CaseResult& result, int64_t tokens_at_most, bool keep);

  PassRunner& runner_;
  const ModelConfig& config_;
  int prefill_chunk_;
  const Rates& rates_;
  std::vector<int64_t> filled_;  // positions with KV, a sequence
  Result<EnergyMeter> meter_;
  std::vector<CaseResult> results_;
};

// The passes of one case, in order: rows of each. A prompt's last row and every decoded row want logits.
std::vector<std::vector<Row>> PassesOf(const InferenceCase& test, int prefill_chunk, int vocab);

// Work of one pass with these rows.
CaseWork WorkOfPass(const Program& program, std::span<const Row> rows, const Rates& rates);

}  // namespace lodestone
