// Another program's benchmark, run in turn with ours: its command, and the rows of its output.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace lodestone {

// One figure of a peer: prompt tokens/s (prompt_tokens > 0) or generated tokens/s (tokens > 0, after `depth`
// positions), over all `batch` sequences.
struct PeerRow {
  int64_t prompt_tokens = 0, tokens = 0, depth = 0;
  int batch = 1;
  double tokens_per_s = 0;
};

// Rows of llama-bench (`-o json` or `-o jsonl`: n_prompt, n_gen, n_depth, avg_ts) and of llama-batched-bench
// (`--output-format jsonl`: pl, pp, tg, speed_pp, speed_tg; its decode follows pp positions). Lines that are no JSON
// object are passed over, as such programs print them too. Refused: output without a row, a row without its figures.
Result<std::vector<PeerRow>> ParsePeerRows(std::string_view output);

// Runs `command` by the shell and returns its standard output; its standard error passes through. Refused: a command
// that fails, with its status, and more than 16 MiB of output.
Result<std::string> OutputOf(const std::string& command);
// The rows of that.
Result<std::vector<PeerRow>> RunPeer(const std::string& command);

// The row of the same work; none if the peer did not run it.
std::optional<double> FindPeerRow(std::span<const PeerRow> rows, int64_t prompt_tokens, int64_t tokens, int64_t depth,
                                  int batch);

}  // namespace lodestone
