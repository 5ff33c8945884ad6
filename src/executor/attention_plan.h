// Who computes which part of a pass's attention: rows in tiles, tiles among threads, long tiles cut over their blocks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "executor/executor.h"

namespace lodestone {

// A tile is a run of rows of one sequence at consecutive positions, for one KV head: its rows times its `group` query
// heads read each block of K and V once. All tiles are laid in a line, a tile as long as its work, and the line is cut
// into one share a thread. A tile on a cut goes to the share that holds its middle; one that is long beside a share is
// cut itself, between blocks, and its parts are merged afterwards. Only speed depends on the plan, never a bit.
class AttentionPlan {
 public:
  struct Shape {
    int kv_heads = 1, group = 1, head_dim = 1;
    int window = 0;  // 0: none
    int threads = 1;
  };
  struct Tile {
    int row = 0, rows = 0;  // of the pass
    int head = 0;           // of K and V
    int block_begin = 0, block_end = 0;
    int64_t partials = -1;  // of a cut tile: where its partial results begin, in floats
  };
  struct Piece {
    int tile = 0;
    int block_begin = 0, block_end = 0;
  };

  void Plan(std::span<const Row> rows, const Shape& shape);

  std::span<const Tile> tiles() const { return tiles_; }
  // 1 where the work is not worth sharing, else the number of threads.
  int shares() const { return static_cast<int>(share_ends_.size()); }
  std::span<const Piece> Share(int share) const;
  std::span<const int> cut_tiles() const { return cut_; }
  size_t scratch_floats() const { return scratch_floats_; }  // of a kernel call
  // Of all cut tiles: at most shares × (rows of a tile × group) × (2 + head_dim) for each 64 positions of a context.
  size_t partial_floats() const { return partial_floats_; }
  double merge_ns() const { return merge_ns_; }  // of a cut tile, at most

 private:
  void MakeTiles(std::span<const Row> rows, const Shape& shape);
  void Deal(const Shape& shape);

  std::vector<Tile> tiles_;
  std::vector<Piece> pieces_;       // in order of shares
  std::vector<size_t> share_ends_;  // one past the last piece of each
  std::vector<int> cut_;
  size_t scratch_floats_ = 0, partial_floats_ = 0;
  double merge_ns_ = 0;
};

}  // namespace lodestone
