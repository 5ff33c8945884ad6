// The rows of `bench inference`: llama-bench's names where the meaning is the same, and what it does not have.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "lab/inference_bench.h"

namespace lodestone {

// What all rows of one run share.
struct InferenceSetting {
  std::vector<std::pair<std::string, std::string>> environment;  // version, commit, cpu, …
  std::string model, recipe, kernels, type_k, type_v;
  int64_t model_bytes = 0,
          parameters = 0;  // packed weights with scales, norms, biases and the embedding; weights in all
  int64_t kv_bytes = 0, peak_resident_bytes = 0;
  int prefill_chunk = 0, threads = 0;
  std::string limits_reason;  // why no share of a limit can be given; empty where it can
};

// A case with its peer's tokens/s, one a repetition; empty where there is none.
struct InferenceRow {
  CaseResult result;
  std::vector<double> peer_tokens_per_s;
};

// llama-bench: build_commit, cpu_info, backends, model_type, model_size, model_n_params, n_batch (prompt tokens a
// pass), n_threads, type_k, type_v, n_prompt, n_gen, n_depth, test_time, avg_ns, stddev_ns, avg_ts, stddev_ts,
// samples_ns, samples_ts. Ours: batch (users), recipe, kernels, bytes_per_token (weights and KV), operations_per_token
// (matrix products of all operators that ran, attention's too; the output layer for the rows whose logits were wanted),
// limit_ts, share_of_limit, bound, share_of_bandwidth, joules_per_token, kv_bytes, peak_resident_bytes, peer_avg_ts,
// peer_stddev_ts, ratio, ratio_low, ratio_high. What is unknown is null, and NAME_reason says why.
Json ToJson(const InferenceSetting& setting, const InferenceRow& row);
std::string ToCsv(const std::vector<Json>& rows);
// A table as people paste it: model, recipe, batch, test, t/s, share of the limit, bytes a token, peer, ratio.
std::string ToMarkdown(const std::vector<Json>& rows);

}  // namespace lodestone
