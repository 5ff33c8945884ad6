#include "engine/batcher.h"

#include <algorithm>

namespace lodestone {
namespace {

void AddToLoad(const Share& share, Load& load) {
  const int64_t end = share.first + share.rows;  // the context of the last row
  load.rows += static_cast<int>(share.rows);
  load.logit_rows += share.wants_logits ? 1 : 0;
  load.sequences += 1;
  load.context_sum += share.rows * (share.first + 1 + end) / 2;  // Σ of first + 1 … end
  load.context_max = std::max(load.context_max, end);
  load.kv_tokens_read += end;
}

void AddRows(const Share& share, uint32_t sequence, Batch& batch) {
  for (int64_t i = 0; i < share.rows; ++i) {
    const int64_t position = share.first + i;
    batch.rows.push_back({.sequence = sequence,
                          .position = static_cast<int32_t>(position),
                          .token = share.user->tokens[static_cast<size_t>(position)],
                          .wants_logits = share.wants_logits && i + 1 == share.rows});
  }
}

void AddPages(const std::vector<int32_t>& pages, Batch& batch) {
  batch.page_table.insert(batch.page_table.end(), pages.begin(), pages.end());
  batch.page_table.insert(batch.page_table.end(), static_cast<size_t>(batch.pages_per_sequence) - pages.size(),
                          pages.back());
}

}  // namespace

void BuildBatch(std::span<Sequence* const> users, int prefill_chunk, bool with_rows, Batch& batch) {
  batch.shares.clear();
  batch.load = {};
  batch.rows.clear();
  batch.page_table.clear();
  batch.page_copies.clear();
  batch.pages_per_sequence = 0;
  for (Sequence* user : users) {
    if (user->decodes()) batch.shares.push_back({.user = user, .first = user->fed, .rows = 1, .wants_logits = true});
  }
  int64_t left = prefill_chunk;
  for (Sequence* user : users) {
    if (user->decodes() || left == 0) continue;
    const int64_t rows = std::min(left, user->to_chunk - user->fed);
    left -= rows;
    batch.shares.push_back(
        {.user = user, .first = user->fed, .rows = rows, .wants_logits = user->fed + rows == user->to_chunk});
  }
  for (const Share& share : batch.shares) {
    AddToLoad(share, batch.load);
    batch.pages_per_sequence = std::max(batch.pages_per_sequence, static_cast<int>(share.user->pages.size()));
  }
  if (!with_rows) return;
  uint32_t sequence = 0;
  for (const Share& share : batch.shares) {
    AddRows(share, sequence++, batch);
    AddPages(share.user->pages, batch);
    if (share.user->copy.from != kNoPage) batch.page_copies.push_back(share.user->copy);
  }
}

}  // namespace lodestone
