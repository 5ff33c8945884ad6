#include "lab/equal_users.h"

#include <algorithm>

namespace lodestone {

EqualUsers::EqualUsers(int users, int64_t prompt_tokens, int64_t output_tokens, int prefill_chunk)
    : users_(users),
      prompt_(prompt_tokens),
      output_(output_tokens),
      chunk_(prefill_chunk),
      first_pass_(static_cast<size_t>(users)) {}

Load EqualUsers::Next() {
  Load load;
  load.rows = load.logit_rows = load.sequences = decoding_ - ended_;
  load.context_sum = load.kv_tokens_read = decode_context_;
  // The oldest has the longest context: its n-th pass after that of its first token attends prompt + n positions.
  if (ended_ < decoding_) load.context_max = prompt_ + passes_ - first_pass_[static_cast<size_t>(ended_)];
  completing_ = 0;
  int64_t left = chunk_;
  for (int user = decoding_; user < users_ && left > 0; ++user) {
    const int64_t rows = std::min(left, prompt_ - fed_), end = fed_ + rows;
    left -= rows;
    load.rows += static_cast<int>(rows);
    load.sequences += 1;
    load.context_sum += rows * (fed_ + 1 + end) / 2;  // Σ of fed + 1 … end
    load.context_max = std::max(load.context_max, end);
    load.kv_tokens_read += end;
    fed_ = end == prompt_ ? 0 : end;
    completing_ += end == prompt_ ? 1 : 0;
  }
  load.logit_rows += completing_;
  return load;
}

EqualUsers::Returned EqualUsers::Return() {
  const int64_t pass = passes_++;
  Returned returned{{decoding_, decoding_ + completing_}, {ended_, ended_}};
  decode_context_ += (decoding_ - ended_) + completing_ * (prompt_ + 1);
  std::fill_n(first_pass_.begin() + decoding_, completing_, pass);
  decoding_ += completing_;
  for (; ended_ < decoding_; ++ended_) {
    const int64_t generated = pass - first_pass_[static_cast<size_t>(ended_)] + 1;
    if (generated < output_) break;
    decode_context_ -= prompt_ + generated;
  }
  returned.ended.end = ended_;
  return returned;
}

}  // namespace lodestone
