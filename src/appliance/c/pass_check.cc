#include "appliance/c/pass_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "plan/placement.h"

namespace lodestone {
namespace {

Status CheckPageTable(const Pass& pass, int pages) {
  const int64_t entries = int64_t{pass.load.sequences} * pass.pages_per_sequence;
  if (pass.pages_per_sequence < 1 || entries != static_cast<int64_t>(pass.page_table.size())) {
    return Invalid(
        fmt::format("pass {} has a page table of {} entries, expected {} for each of the {} sequences that have rows",
                    pass.id, pass.page_table.size(), std::max(pass.pages_per_sequence, 1), pass.load.sequences));
  }
  for (size_t i = 0; i < pass.page_table.size(); ++i) {
    if (pass.page_table[i] >= 0 && pass.page_table[i] < pages) continue;
    return Invalid(fmt::format("pass {}, sequence {}: page {} of the {} that were reserved", pass.id,
                               i / static_cast<size_t>(pass.pages_per_sequence), pass.page_table[i], pages));
  }
  for (const PageCopy& copy : pass.page_copies) {
    if (std::min(copy.from, copy.to) >= 0 && std::max(copy.from, copy.to) < pages) continue;
    return Invalid(
        fmt::format("pass {} copies page {} to page {}, but {} were reserved", pass.id, copy.from, copy.to, pages));
  }
  return {};
}

// Two rows that write one KV entry would race for it.
Status CheckWrites(const Pass& pass) {
  std::vector<int64_t> entries;
  entries.reserve(pass.rows.size());
  for (const Row& row : pass.rows) {
    const size_t index = static_cast<size_t>(row.position / kPagePositions);
    const int64_t page = pass.page_table[row.sequence * static_cast<size_t>(pass.pages_per_sequence) + index];
    entries.push_back(page * kPagePositions + row.position % kPagePositions);
  }
  std::sort(entries.begin(), entries.end());
  const auto twice = std::adjacent_find(entries.begin(), entries.end());
  if (twice == entries.end()) return {};
  return Invalid(fmt::format("pass {}: two rows write entry {} of page {}", pass.id, *twice % kPagePositions,
                             *twice / kPagePositions));
}

}  // namespace

Status CheckRowCount(uint64_t pass_id, size_t rows, const PassLimits& limits) {
  if (rows == 0) return Invalid(fmt::format("pass {} has no rows", pass_id));
  if (rows <= static_cast<size_t>(limits.rows)) return {};
  return Invalid(fmt::format("pass {} has {} rows, but the appliance was configured for passes of at most {}", pass_id,
                             rows, limits.rows));
}

Status CheckRows(const Pass& pass, const PassLimits& limits) {
  std::unordered_map<uint32_t, int32_t> latest;
  for (size_t i = 0; i < pass.rows.size(); ++i) {
    const Row& row = pass.rows[i];
    const auto error = [&](const std::string& what) {
      return Invalid(fmt::format("pass {}, row {}: {}", pass.id, i, what));
    };
    if (row.position < 0 || row.position >= limits.positions) {
      return error(fmt::format("position {}, expected 0 to {}", row.position, limits.positions - 1));
    }
    const auto [before, first] = latest.try_emplace(row.sequence, row.position);
    if (!first && before->second >= row.position) {
      return error(fmt::format("position {} of sequence {} comes after position {}", row.position, row.sequence,
                               before->second));
    }
    before->second = row.position;
  }
  return {};
}

Status CheckPass(const Pass& pass, const PassLimits& limits) {
  LODESTONE_RETURN_IF_ERROR(CheckRows(pass, limits));
  LODESTONE_RETURN_IF_ERROR(CheckPageTable(pass, limits.pages));
  for (size_t i = 0; i < pass.rows.size(); ++i) {
    const Row& row = pass.rows[i];
    const auto error = [&](const std::string& what) {
      return Invalid(fmt::format("pass {}, row {}: {}", pass.id, i, what));
    };
    if (row.sequence >= static_cast<uint32_t>(pass.load.sequences)) {
      return error(fmt::format("sequence {} of a page table of {}", row.sequence, pass.load.sequences));
    }
    if (row.position / kPagePositions >= pass.pages_per_sequence) {
      return error(
          fmt::format("position {} lies beyond the {} pages of its sequence", row.position, pass.pages_per_sequence));
    }
    if (row.token < 0 || row.token >= limits.vocab) {
      return error(fmt::format("token {}, expected 0 to {}", row.token, limits.vocab - 1));
    }
  }
  return CheckWrites(pass);
}

}  // namespace lodestone
