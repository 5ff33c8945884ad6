#include "learn/sparsity.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/quote.h"

namespace lodestone {
namespace {

constexpr SparsityPattern kPatterns[] = {SparsityPattern::kNone, SparsityPattern::kUnstructured, SparsityPattern::k2of4,
                                         SparsityPattern::kTileBlocks};
constexpr int kRun = 4;  // of 2:4
constexpr int kBlockStep = 16;

bool IsMasked(const Parameter& p) {
  if (p.role != ParameterRole::kTensor) return false;
  switch (p.id.kind) {
    case WeightKind::kQ:
    case WeightKind::kK:
    case WeightKind::kV:
    case WeightKind::kO:
    case WeightKind::kGate:
    case WeightKind::kUp:
    case WeightKind::kDown:
      return true;
    default:
      return false;
  }
}

// Magnitudes as integers order as the floats do, NaN above all of them: the order is total whatever the weights are.
uint32_t Magnitude(float w) { return std::bit_cast<uint32_t>(w) & 0x7fffffffu; }

void Drop(std::vector<uint64_t>& bits, int64_t i) { bits[static_cast<size_t>(i / 64)] |= uint64_t{1} << (i % 64); }

// The `count` smallest magnitudes; of those equal to the largest dropped one, the first.
std::vector<uint64_t> DropSmallest(std::span<const float> w, int64_t count) {
  std::vector<uint64_t> bits((w.size() + 63) / 64);
  if (count == 0) return bits;
  std::vector<uint32_t> magnitudes(w.size());
  std::transform(w.begin(), w.end(), magnitudes.begin(), Magnitude);
  const auto last = magnitudes.begin() + (count - 1);
  std::nth_element(magnitudes.begin(), last, magnitudes.end());
  const uint32_t limit = *last;
  int64_t equal = count - std::count_if(w.begin(), w.end(), [limit](float x) { return Magnitude(x) < limit; });
  for (size_t i = 0; i < w.size(); ++i) {
    const uint32_t magnitude = Magnitude(w[i]);
    if (magnitude < limit || (magnitude == limit && equal-- > 0)) Drop(bits, static_cast<int64_t>(i));
  }
  return bits;
}

// The two smallest of every four consecutive inputs.
std::vector<uint64_t> DropTwoOfFour(std::span<const float> w) {
  std::vector<uint64_t> bits((w.size() + 63) / 64);
  for (size_t begin = 0; begin < w.size(); begin += kRun) {
    int order[kRun] = {0, 1, 2, 3};
    std::stable_sort(order, order + kRun,
                     [&](int a, int b) { return Magnitude(w[begin + a]) < Magnitude(w[begin + b]); });
    for (int i = 0; i < kRun / 2; ++i) Drop(bits, static_cast<int64_t>(begin) + order[i]);
  }
  return bits;
}

struct Block {
  size_t index = 0;
  int64_t weights = 0;
  double mean_square = 0;
};

kernels::BlockMask DropBlocks(std::span<const float> w, int n, int k, const SparsitySettings& settings) {
  kernels::BlockMask mask{.block_rows = settings.block_rows, .block_columns = settings.block_columns};
  mask.rows = (n + mask.block_rows - 1) / mask.block_rows;
  mask.columns = (k + mask.block_columns - 1) / mask.block_columns;
  std::vector<Block> blocks(static_cast<size_t>(mask.rows) * static_cast<size_t>(mask.columns));
  mask.kept.assign(blocks.size(), 1);
  for (size_t i = 0; i < blocks.size(); ++i) blocks[i].index = i;
  for (int row = 0; row < n; ++row) {
    const size_t first = static_cast<size_t>(row / mask.block_rows) * static_cast<size_t>(mask.columns);
    const float* values = w.data() + static_cast<int64_t>(row) * k;
    for (int column = 0; column < k; ++column) {
      Block& block = blocks[first + static_cast<size_t>(column / mask.block_columns)];
      block.mean_square += double{values[column]} * values[column];
      ++block.weights;
    }
  }
  for (Block& block : blocks) {
    block.mean_square /= static_cast<double>(block.weights);
    if (std::isnan(block.mean_square)) block.mean_square = HUGE_VAL;  // an order of the sort; kept like infinity
  }
  std::stable_sort(blocks.begin(), blocks.end(),
                   [](const Block& a, const Block& b) { return a.mean_square < b.mean_square; });
  // Whole blocks until the next one would lie further from the level than none.
  double left = settings.level * n * k;
  for (const Block& block : blocks) {
    if (left < 0.5 * static_cast<double>(block.weights)) break;
    left -= static_cast<double>(block.weights);
    mask.kept[block.index] = 0;
  }
  return mask;
}

// Calls visit(first, count) for every stretch of weights [n][k] of a row that a dropped block covers.
template <typename Visit>
void VisitDropped(const kernels::BlockMask& mask, int64_t n, int64_t k, const Visit& visit) {
  for (int64_t row = 0; row < n; ++row) {
    const int block_row = static_cast<int>(row / mask.block_rows);
    for (int column = 0; column < mask.columns; ++column) {
      if (mask.Keeps(block_row, column)) continue;
      const int64_t begin = int64_t{column} * mask.block_columns;
      visit(row * k + begin, std::min<int64_t>(mask.block_columns, k - begin));
    }
  }
}

Status Check(const SparsitySettings& settings) {
  if (!(settings.level >= 0 && settings.level < 1)) {
    return Invalid(fmt::format("sparsity: found level {}, expected a share from 0 to below 1", settings.level));
  }
  if (settings.pattern == SparsityPattern::k2of4 && settings.level != 0.5) {
    return Invalid(
        fmt::format("sparsity: found level {} with pattern 2:4, which is 0.5 by construction", settings.level));
  }
  if (settings.pattern == SparsityPattern::kTileBlocks) {
    for (const int side : {settings.block_rows, settings.block_columns}) {
      if (side < kBlockStep || side % kBlockStep != 0) {
        return Invalid(fmt::format("sparsity: found blocks of {} × {}, expected sides that are multiples of {}",
                                   settings.block_rows, settings.block_columns, kBlockStep));
      }
    }
  }
  return {};
}

}  // namespace

Result<SparsityPattern> ParseSparsityPattern(std::string_view text) {
  for (const SparsityPattern pattern : kPatterns) {
    if (text == ToString(pattern)) return pattern;
  }
  return Invalid(
      fmt::format("there is no sparsity pattern {}; there are none, unstructured, 2:4, tiles", Quoted(text)));
}

std::string_view ToString(SparsityPattern pattern) {
  switch (pattern) {
    case SparsityPattern::kNone:
      return "none";
    case SparsityPattern::kUnstructured:
      return "unstructured";
    case SparsityPattern::k2of4:
      return "2:4";
    case SparsityPattern::kTileBlocks:
      return "tiles";
  }
  return "";
}

Result<SparsityMasks> SparsityMasks::Make(const Parameters& parameters, const SparsitySettings& settings) {
  LODESTONE_RETURN_IF_ERROR(Check(settings));
  SparsityMasks masks;
  if (settings.pattern == SparsityPattern::kNone) return masks;
  int64_t weights = 0;
  for (const Parameter& p : parameters.list()) {
    if (!IsMasked(p)) continue;
    const std::span<const float> w = parameters.values(p);
    const int n = static_cast<int>(p.rows), k = static_cast<int>(p.columns);
    Entry entry{.id = p.id, .blocks = {}, .dropped = {}};
    if (settings.pattern == SparsityPattern::kTileBlocks) {
      entry.blocks = DropBlocks(w, n, k, settings);
      VisitDropped(entry.blocks, n, k, [&](int64_t, int64_t count) { masks.dropped_ += count; });
    } else if (settings.pattern == SparsityPattern::k2of4) {
      if (k % kRun != 0) {
        return Invalid(fmt::format("sparsity 2:4: {} has rows of {} weights, expected a multiple of {}",
                                   lodestone::ToString(p.id), k, kRun));
      }
      entry.dropped = DropTwoOfFour(w);
    } else {
      entry.dropped = DropSmallest(w, std::llround(settings.level * static_cast<double>(p.count())));
    }
    for (const uint64_t word : entry.dropped) masks.dropped_ += std::popcount(word);
    weights += p.count();
    masks.entries_.push_back(std::move(entry));
  }
  masks.level_ = weights > 0 ? static_cast<double>(masks.dropped_) / static_cast<double>(weights) : 0;
  return masks;
}

void SparsityMasks::Apply(const Parameters& parameters, std::span<float> buffer) const {
  for (const Entry& entry : entries_) {
    const Parameter* p = parameters.Find(entry.id, ParameterRole::kTensor);
    LODESTONE_CHECK(p != nullptr);  // the masks are of these parameters
    float* const w = buffer.data() + p->offset;
    if (entry.dropped.empty()) {
      VisitDropped(entry.blocks, p->rows, p->columns,
                   [w](int64_t first, int64_t count) { std::fill_n(w + first, count, 0.0f); });
      continue;
    }
    for (int64_t begin = 0; begin < p->count(); begin += 64) {
      uint64_t word = entry.dropped[static_cast<size_t>(begin / 64)];
      for (; word != 0; word &= word - 1) w[begin + std::countr_zero(word)] = 0;
    }
  }
}

const kernels::BlockMask* SparsityMasks::Blocks(const WeightId& id) const {
  for (const Entry& entry : entries_) {
    if (entry.id == id) return entry.blocks.kept.empty() ? nullptr : &entry.blocks;
  }
  return nullptr;
}

}  // namespace lodestone
