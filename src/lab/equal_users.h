// The passes of one micro-batch of equal users, as the engine makes them (engine.h): a row for every user who decodes,
// then up to `prefill_chunk` prompt tokens of the others, first come first served. Pages are reserved, so nobody gives
// way, and a user's life depends on its place in the micro-batch alone: a pass costs O(1), not O(users).
#pragma once

#include <cstdint>
#include <vector>

#include "program/work.h"

namespace lodestone {

class EqualUsers {
 public:
  // All at least 1.
  EqualUsers(int users, int64_t prompt_tokens, int64_t output_tokens, int prefill_chunk);

  bool done() const { return ended_ == users_; }
  // The load of the next pass. It has then to come back with Return before the next.
  Load Next();

  // Whose first and whose last tokens came with a pass: users [begin, end), in order of admission.
  struct Range {
    int begin = 0, end = 0;
  };
  struct Returned {
    Range began, ended;
  };
  Returned Return();

 private:
  int users_;
  int64_t prompt_, output_;
  int chunk_;
  // Users [0, ended_) have all their tokens, [ended_, decoding_) decode, the next is in its prompt, the others wait.
  int ended_ = 0, decoding_ = 0;
  int64_t fed_ = 0;                  // prompt tokens of user `decoding_` that went into the cards
  int completing_ = 0;               // prompts that the pass under way completes
  int64_t passes_ = 0;               // that came back
  std::vector<int64_t> first_pass_;  // of a user: the pass that brought its first token
  int64_t decode_context_ = 0;       // Σ over users who decode of the context of their next row
};

}  // namespace lodestone
