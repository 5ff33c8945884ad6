// A card's memory as lines of bytes, from what a program keeps resident and what its users bring.
#pragma once

#include <string>

#include "plan/placement.h"
#include "program/work.h"

namespace lodestone {

// Products that would overflow saturate here: six lines still sum below 2^63, and no memory is as large.
inline constexpr int64_t kSaturatedBytes = int64_t{1} << 60;
int64_t SaturatedProduct(int64_t a, int64_t b);
int64_t SaturatedSum(int64_t a, int64_t b);

// `parts` of one card together: bytes add, buffers are reused and so the largest counts.
Residency Together(const Residency& a, const Residency& b);
// `times` equal layers of one card.
Residency Repeated(const Residency& layer, int times);

// KV is users × whole pages.
Ledger LedgerOf(const Residency& residency, const Demand& demand, int64_t capacity);

// KV of one user at `context` positions, whole pages.
int64_t KvBytesPerUser(const Residency& residency, int64_t context);

// "weight codes 104.0 MiB, weight scales …": every line that is not zero.
std::string FormatLines(const Ledger& ledger);

}  // namespace lodestone
