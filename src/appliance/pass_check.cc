#include "appliance/pass_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace lodestone {
namespace {

Error AtRow(const Pass& pass, size_t row, const std::string& what) {
  return Invalid(fmt::format("pass {}, row {}: {}", pass.id, row, what));
}

Status CheckRowCount(const Pass& pass) {
  if (pass.rows.empty()) return Invalid(fmt::format("pass {} has no rows, but the cards compute", pass.id));
  if (pass.rows.size() == static_cast<size_t>(pass.load.rows)) return {};
  return Invalid(fmt::format("pass {} has {} rows, its load says {}", pass.id, pass.rows.size(), pass.load.rows));
}

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

PassLimits LimitsOf(const Placement& placement, int pages) {
  PassLimits limits{.pages = pages};
  for (const Segment& segment : placement.stages.front().stage.program.segments) {
    for (const Op& op : segment.ops) {
      const auto* embed = std::get_if<Embed>(&op);
      if (embed == nullptr) continue;
      limits.vocab = embed->vocab;
      if (embed->max_positions > 0) limits.positions = embed->max_positions;
    }
  }
  return limits;
}

Status CheckPositions(const Pass& pass, int64_t positions) {
  std::unordered_map<uint32_t, int32_t> latest;
  for (size_t i = 0; i < pass.rows.size(); ++i) {
    const Row& row = pass.rows[i];
    if (row.position < 0 || row.position >= positions) {
      return AtRow(pass, i, fmt::format("position {}, expected 0 to {}", row.position, positions - 1));
    }
    const auto [before, first] = latest.try_emplace(row.sequence, row.position);
    if (!first && before->second >= row.position) {
      return AtRow(pass, i,
                   fmt::format("position {} of sequence {} comes after position {}", row.position, row.sequence,
                               before->second));
    }
    before->second = row.position;
  }
  return {};
}

Status CheckPass(const Pass& pass, const PassLimits& limits) {
  LODESTONE_RETURN_IF_ERROR(CheckRowCount(pass));
  LODESTONE_RETURN_IF_ERROR(CheckPositions(pass, limits.positions));
  LODESTONE_RETURN_IF_ERROR(CheckPageTable(pass, limits.pages));
  for (size_t i = 0; i < pass.rows.size(); ++i) {
    const Row& row = pass.rows[i];
    if (row.sequence >= static_cast<uint32_t>(pass.load.sequences)) {
      return AtRow(pass, i, fmt::format("sequence {} of a page table of {}", row.sequence, pass.load.sequences));
    }
    if (row.position / kPagePositions >= pass.pages_per_sequence) {
      return AtRow(
          pass, i,
          fmt::format("position {} lies beyond the {} pages of its sequence", row.position, pass.pages_per_sequence));
    }
    if (row.token < 0 || row.token >= limits.vocab) {
      return AtRow(pass, i, fmt::format("token {}, expected 0 to {}", row.token, limits.vocab - 1));
    }
  }
  return CheckWrites(pass);
}

}  // namespace lodestone
