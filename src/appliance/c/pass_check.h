// Whether a pass may enter a configured appliance: what the C interface refuses before a card sees it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "executor/executor.h"

namespace lodestone {

struct PassLimits {
  int rows = 0;           // largest pass
  int vocab = 0;          // tokens are 0 … vocab − 1
  int64_t positions = 0;  // are 0 … positions − 1
  int pages = 0;          // of KV: 0 … pages − 1
};

// None, or more than the largest pass: before anything is read from them.
Status CheckRowCount(uint64_t pass_id, size_t rows, const PassLimits& limits);

// Refused with the row, the page or the shape at fault: a sequence without a row or beyond the page table, positions
// that do not rise within a sequence, two rows that write one KV entry, anything beyond the limits.
Status CheckPass(const Pass& pass, const PassLimits& limits);

// The same of rows alone, whose tokens and pages nobody reads: cards that tell times and make no tokens.
Status CheckRows(const Pass& pass, const PassLimits& limits);

}  // namespace lodestone
