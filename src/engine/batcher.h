// Makes one pass of the users of a micro-batch: a row for everyone who decodes, then prompt tokens up to the chunk.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/request_state.h"

namespace lodestone {

// What one pass brings of one user: positions [first, first + rows).
struct Share {
  Sequence* user = nullptr;
  int64_t first = 0, rows = 0;
  bool wants_logits = false;  // of its last row
};

// A pass under construction; kept by a group and reused, so that a long run does not allocate.
struct Batch {
  std::vector<Share> shares;
  Load load;
  std::vector<Row> rows;              // only where cards compute
  std::vector<int32_t> page_table;    // likewise; a row is filled up with the user's own last page
  std::vector<PageCopy> page_copies;  // likewise
  int pages_per_sequence = 0;
};

// `users` in order of admission, none of them in a pass, with pages for what they bring. `prefill_chunk` bounds the
// prompt tokens of all of them together. The load is the same with and without rows, and costs O(users), not
// O(tokens), without.
void BuildBatch(std::span<Sequence* const> users, int prefill_chunk, bool with_rows, Batch& batch);

}  // namespace lodestone
