// Makes one pass of the users of a micro-batch: a row for everyone who decodes, then prompt tokens up to the chunk.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/output_text.h"

namespace lodestone {

// One request from its admission to its end.
struct RequestState {
  RequestId id = 0;
  Request request;  // its prompt is moved into `tokens`
  int64_t prompt_tokens = 0;
  Sink sink;
  OutputText text;
  RequestTimes* times = nullptr;
  std::vector<int32_t> tokens;  // prompt and output; empty where cards do not compute
  std::vector<int32_t> pages;   // empty until admitted
  int64_t fed = 0;              // positions 0 … fed − 1 went into the cards
  int group = -1;               // −1: not admitted
  bool in_pass = false, cancelled = false;

  bool decodes() const { return fed >= prompt_tokens; }
};

// What one pass brings of one user: positions [first, first + rows).
struct Share {
  RequestState* user = nullptr;
  int64_t first = 0, rows = 0;
  bool wants_logits = false;  // of its last row
};

// A pass under construction; kept by a group and reused, so that a long run does not allocate.
struct Batch {
  std::vector<Share> shares;
  Load load;
  std::vector<Row> rows;            // only where cards compute
  std::vector<int32_t> page_table;  // likewise; a row is filled up with the user's own last page
  int pages_per_sequence = 0;
};

// `users` in order of admission, none of them in a pass. `prefill_chunk` bounds the prompt tokens of all of them
// together. The load is the same with and without rows, and costs O(users), not O(tokens), without.
void BuildBatch(std::span<RequestState* const> users, int prefill_chunk, bool with_rows, Batch& batch);

}  // namespace lodestone
