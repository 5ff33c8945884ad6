#include "executor/attention_plan.h"

#include <algorithm>

#include "kernels/kernel_table.h"

namespace lodestone {
namespace {

constexpr int kBlock = kernels::kBlockTokens;
// Work is counted in products of a query lane with a block of K and V. Reading the block and turning its codes into
// operands costs about as much as four.
constexpr int kReadingLanes = 4;
constexpr double kNsPerProduct = 0.03;  // of two codes; floats take about twice as long
constexpr double kWorthSharingNs = 10'000;
// A tile shorter than this part of a share is not worth a cut: shares differ by it at most.
constexpr int kCutPart = 8;

int64_t RoundUp(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
int64_t CostOf(const AttentionPlan::Tile& tile, int group) {
  return (int64_t{tile.rows} * group + kReadingLanes) * (tile.block_end - tile.block_begin);
}

}  // namespace

std::span<const AttentionPlan::Piece> AttentionPlan::Share(int share) const {
  const size_t begin = share == 0 ? 0 : share_ends_[share - 1];
  return std::span(pieces_).subspan(begin, share_ends_[share] - begin);
}

void AttentionPlan::Plan(std::span<const Row> rows, const Shape& shape) {
  scratch_floats_ = static_cast<size_t>((kernels::kAttendLanes + 1) * RoundUp(shape.head_dim, 16));
  MakeTiles(rows, shape);
  Deal(shape);
}

void AttentionPlan::MakeTiles(std::span<const Row> rows, const Shape& shape) {
  const int most = std::max(1, kernels::kAttendLanes / shape.group);
  tiles_.clear();
  const auto count = static_cast<int>(rows.size());
  for (int row = 0; row < count;) {
    int end = row + 1;
    while (end < count && end - row < most && rows[end].sequence == rows[row].sequence &&
           rows[end].position == rows[end - 1].position + 1) {
      ++end;
    }
    const int first = shape.window > 0 ? std::max(0, rows[row].position + 1 - shape.window) : 0;
    for (int head = 0; head < shape.kv_heads; ++head) {
      tiles_.push_back({.row = row,
                        .rows = end - row,
                        .head = head,
                        .block_begin = first / kBlock,
                        .block_end = rows[end - 1].position / kBlock + 1});
    }
    row = end;
  }
}

void AttentionPlan::Deal(const Shape& shape) {
  pieces_.clear();
  cut_.clear();
  partial_floats_ = 0;
  merge_ns_ = 0;
  int64_t total = 0;
  for (const Tile& tile : tiles_) total += CostOf(tile, shape.group);
  const double ns = 2.0 * kNsPerProduct * kBlock * shape.head_dim * static_cast<double>(total);
  const int shares = ns < kWorthSharingNs ? 1 : shape.threads;
  share_ends_.assign(static_cast<size_t>(shares), 0);
  const auto give = [&](int64_t share, const Piece& piece) {
    pieces_.push_back(piece);
    ++share_ends_[static_cast<size_t>(share)];
  };
  int64_t begin = 0;
  for (int t = 0; t < static_cast<int>(tiles_.size()); ++t) {
    Tile& tile = tiles_[t];
    const int64_t cost = CostOf(tile, shape.group), each = cost / (tile.block_end - tile.block_begin);
    const int64_t first = begin * shares / total, last = (begin + cost - 1) * shares / total;
    if (first == last || cost * shares * kCutPart < total) {
      give((begin + cost / 2) * shares / total, {t, tile.block_begin, tile.block_end});
    } else {
      const int64_t lanes = int64_t{tile.rows} * shape.group, blocks = tile.block_end - tile.block_begin;
      const int64_t floats = lanes * (2 + RoundUp(shape.head_dim, 16)) * blocks;
      tile.partials = static_cast<int64_t>(partial_floats_);
      partial_floats_ += static_cast<size_t>(floats);
      merge_ns_ = std::max(merge_ns_, static_cast<double>(floats) * 0.2);
      cut_.push_back(t);
      int at = tile.block_begin;
      for (int64_t share = first; share <= last; ++share) {
        // The block nearest to where the next share begins.
        const int64_t boundary = (share + 1) * total / shares - begin;
        const int64_t nearest = tile.block_begin + (boundary + each / 2) / each;
        const int end =
            share == last ? tile.block_end : static_cast<int>(std::clamp<int64_t>(nearest, at, tile.block_end));
        if (at < end) give(share, {t, at, end});
        at = end;
      }
    }
    begin += cost;
  }
  for (size_t share = 1; share < share_ends_.size(); ++share) share_ends_[share] += share_ends_[share - 1];
}

}  // namespace lodestone
