#include <algorithm>
#include <map>

#include "executor/executor.h"

namespace lodestone {

Load LoadOf(std::span<const Row> rows) {
  Load load;
  std::map<uint32_t, int64_t> longest;
  load.rows = static_cast<int>(rows.size());
  for (const Row& row : rows) {
    const int64_t context = int64_t{row.position} + 1;
    load.logit_rows += row.wants_logits ? 1 : 0;
    load.context_sum += context;
    load.context_max = std::max(load.context_max, context);
    int64_t& of_sequence = longest[row.sequence];
    of_sequence = std::max(of_sequence, context);
  }
  load.sequences = static_cast<int>(longest.size());
  for (const auto& [sequence, context] : longest) load.kv_tokens_read += context;
  return load;
}

}  // namespace lodestone
