#include "kernels/gemm/gemm.h"

#include <algorithm>

namespace lodestone::kernels {
namespace {

// A sparse block of depths may be this many times as deep as a dense one: what its panels of B keep is what fills the
// cache. Of panels of A, whose dropped depths are not read, more than four times would leave too few in theirs.
constexpr int64_t kDeepestBlock = 4;

int64_t RoundUp(int64_t value, int64_t multiple) { return CeilDivide(value, multiple) * multiple; }

const float* At(const GemmOperand& operand, int64_t lane, int64_t depth) {
  return operand.depth_contiguous ? operand.data + lane * operand.stride + depth
                                  : operand.data + depth * operand.stride + lane;
}

Panels RowPanels(const GemmArgs& g, const GemmKernels& kernels) {
  const bool masked = g.mask != nullptr && g.axes == MaskAxes::kRowsByColumns;
  return {g.m, masked ? g.mask->block_rows : g.m, kernels.tile_rows, /*even=*/true};
}
Panels ColumnPanels(const GemmArgs& g, const GemmKernels& kernels) {
  int64_t unit = g.n;
  if (g.mask != nullptr) unit = g.axes == MaskAxes::kColumnsByDepth ? g.mask->block_rows : g.mask->block_columns;
  return {g.n, unit, kernels.tile_columns, /*even=*/false};
}

// Bytes of a panel of B over a block of depths, all of which are kept.
int64_t ColumnPanelBytes(const GemmKernels& kernels) {
  return int64_t{kernels.block_depth} * kernels.tile_columns * kernels.lane_bytes;
}

// Threads as a grid over panels of rows and of columns: the one whose busiest thread takes least time. Each thread
// packs the rows that it multiplies, which takes as long as about two tiles.
struct Grid {
  int64_t rows, columns;
};
Grid ChooseGrid(int threads, int64_t row_panels, int64_t column_panels) {
  Grid best{};
  int64_t least = 0;
  for (int64_t columns = 1; columns <= threads; ++columns) {
    const int64_t rows = threads / columns;
    const int64_t time = CeilDivide(row_panels, rows) * (CeilDivide(column_panels, columns) + 2);
    if (columns == 1 || time < least) {
      best = {rows, columns};
      least = time;
    }
  }
  return best;
}

// What is packed of every panel before the next is packed of any. Where lanes are contiguous, few depths: a line of
// memory holds lanes of several panels, and as many lines as a block has depths, a stride apart, evict each other.
constexpr int64_t kSliceDepth = 32;

template <typename Body>
void ForEachSlice(const GemmOperand& operand, int64_t depth, const Body& body) {
  const int64_t size = operand.depth_contiguous ? depth : kSliceDepth;
  for (int64_t begin = 0; begin < depth; begin += size) body(Range{begin, std::min(depth, begin + size)});
}

// Bytes of a panel of A over a block of depths.
int64_t RowPanelBytes(const GemmKernels& kernels, int64_t depth) {
  return RoundUp(depth, kernels.grain) * kernels.tile_rows * kernels.lane_bytes;
}

}  // namespace

// Elements of B that a product meets: those that are zero by the mask are left out where it lies on B.
struct Gemm::DepthMask {
  const BlockMask* mask;  // null: every depth is kept
  bool transposed;        // depths are the mask's rows

  explicit DepthMask(const GemmArgs& g)
      : mask(g.axes == MaskAxes::kRowsByColumns ? nullptr : g.mask), transposed(g.axes == MaskAxes::kDepthByColumns) {}
  int64_t unit() const { return transposed ? mask->block_rows : mask->block_columns; }
  bool Keeps(int64_t column_unit, int64_t depth_unit) const {
    const auto row = static_cast<int>(transposed ? depth_unit : column_unit);
    const auto column = static_cast<int>(transposed ? column_unit : depth_unit);
    return mask->Keeps(row, column);
  }
  double density() const {
    if (mask == nullptr || mask->kept.empty()) return 1.0;
    const auto kept = std::count_if(mask->kept.begin(), mask->kept.end(), [](uint8_t k) { return k != 0; });
    return static_cast<double>(kept) / static_cast<double>(mask->kept.size());
  }
};

Gemm::Gemm(ThreadPool& threads, const GemmKernels& kernels)
    : threads_(threads), kernels_(kernels), b_(static_cast<size_t>(kernels.b_bytes)) {
  for (int i = 0; i < threads.threads(); ++i) a_.emplace_back(static_cast<size_t>(kernels.a_bytes));
}

void Gemm::Multiply(const GemmArgs& g) {
  if (g.m == 0 || g.n == 0) return;
  Block block{RowPanels(g, kernels_), ColumnPanels(g, kernels_), 0, 0, 0, 0};
  const int64_t columns = block.columns.count();
  const int64_t at_once = kernels_.b_bytes / ColumnPanelBytes(kernels_);
  for (block.first_column = 0; block.first_column < columns; block.first_column = block.last_column) {
    block.last_column = std::min(columns, block.first_column + at_once);
    const int64_t count = block.last_column - block.first_column;
    const Grid grid = ChooseGrid(threads_.threads(), block.rows.count(), count);
    for (block.depth = 0; block.depth < g.k; block.depth = block.depth_end) {
      PlanBlock(g, block);
      threads_.ParallelFor(count, [&](int64_t begin, int64_t end, int) {
        ForEachSlice(g.b, block.depth_end - block.depth, [&](Range slice) {
          for (int64_t i = begin; i < end; ++i) PackColumns(g, block, block.first_column + i, slice);
        });
      });
      threads_.ParallelFor(grid.rows * grid.columns, [&](int64_t begin, int64_t end, int thread) {
        for (int64_t i = begin; i < end; ++i) {
          const Range columns_of = PieceOf(count, grid.columns, i % grid.columns);
          MultiplyPiece(g, block, PieceOf(block.rows.count(), grid.rows, i / grid.columns),
                        {block.first_column + columns_of.begin, block.first_column + columns_of.end}, thread);
        }
      });
    }
  }
}

// As even as can be; where B is sparse deeper, unless its panels then do not fit.
void Gemm::PlanBlock(const GemmArgs& g, Block& block) {
  const DepthMask mask(g);
  const double deeper = std::clamp(1.0 / std::max(mask.density(), 1e-9), 1.0, static_cast<double>(kDeepestBlock));
  for (auto deepest = static_cast<int64_t>(deeper * kernels_.block_depth);;
       deepest = std::max<int64_t>(deepest / 2, kernels_.block_depth)) {
    const int64_t left = g.k - block.depth;
    const int64_t depth = RoundUp(CeilDivide(left, CeilDivide(left, deepest)), kernels_.grain);
    block.depth_end = std::min(g.k, block.depth + depth);
    if (PlanColumns(g, block) <= kernels_.b_bytes) return;
  }
}

// Where each panel of B will lie and which depths it keeps; their bytes together.
int64_t Gemm::PlanColumns(const GemmArgs& g, const Block& block) {
  const DepthMask mask(g);
  packed_.clear();
  runs_.clear();
  int64_t offset = 0, bytes = 0, last_unit = -1;
  for (int64_t panel = block.first_column; panel < block.last_column; ++panel) {
    Packed packed = packed_.empty() ? Packed{} : packed_.back();
    const int64_t unit = mask.mask == nullptr ? 0 : block.columns.UnitOf(panel);
    if (unit != last_unit) {
      packed.first_run = static_cast<int32_t>(runs_.size());
      bytes = AppendRuns(mask, unit, block) * kernels_.tile_columns * kernels_.lane_bytes;
      packed.runs = static_cast<int32_t>(runs_.size()) - packed.first_run;
      last_unit = unit;
    }
    packed.offset = offset;
    offset += bytes;
    packed_.push_back(packed);
  }
  return offset;
}

// Runs of the depths that a unit of columns keeps, and how many they are.
int64_t Gemm::AppendRuns(const DepthMask& mask, int64_t column_unit, const Block& block) {
  const int64_t depth = RoundUp(block.depth_end - block.depth, kernels_.grain);
  const size_t first = runs_.size();
  if (mask.mask == nullptr) {
    runs_.push_back({0, static_cast<int32_t>(depth)});
  } else {
    const int64_t size = mask.unit();
    for (int64_t unit = block.depth / size; unit * size < block.depth_end; ++unit) {
      if (!mask.Keeps(column_unit, unit)) continue;
      const auto begin =
          static_cast<int32_t>(std::max<int64_t>(unit * size - block.depth, 0) / kernels_.grain * kernels_.grain);
      const auto end = static_cast<int32_t>(std::min(RoundUp((unit + 1) * size - block.depth, kernels_.grain), depth));
      if (runs_.size() > first && begin <= runs_.back().end) {
        runs_.back().end = end;
      } else {
        runs_.push_back({begin, end});
      }
    }
  }
  int64_t kept = 0;
  for (size_t i = first; i < runs_.size(); ++i) kept += runs_[i].end - runs_[i].begin;
  return kept;
}

// The runs of a panel of B within a slice of the block.
void Gemm::PackColumns(const GemmArgs& g, const Block& block, int64_t panel, Range slice) {
  const Packed& packed = packed_[static_cast<size_t>(panel - block.first_column)];
  const Range lanes = block.columns[panel];
  int64_t kept = 0;  // depths before this run
  for (int32_t i = packed.first_run; i < packed.first_run + packed.runs; ++i) {
    const GemmRun run = runs_[static_cast<size_t>(i)];
    const Range part{std::max<int64_t>(run.begin, slice.begin), std::min<int64_t>(run.end, slice.end)};
    if (part.size() > 0) {
      const int64_t at = packed.offset + (kept + part.begin - run.begin) * kernels_.tile_columns * kernels_.lane_bytes;
      kernels_.pack_b({At(g.b, lanes.begin, block.depth + part.begin), g.b.stride, g.b.depth_contiguous,
                       static_cast<int32_t>(lanes.size()), static_cast<int32_t>(part.size()), 1.0f, b_.data() + at});
    }
    kept += run.end - run.begin;
  }
}

void Gemm::PackRows(const GemmArgs& g, const Block& block, int64_t panel, Range slice, std::byte* to) const {
  const Range lanes = block.rows[panel];
  kernels_.pack_a({At(g.a, lanes.begin, block.depth + slice.begin), g.a.stride, g.a.depth_contiguous,
                   static_cast<int32_t>(lanes.size()), static_cast<int32_t>(slice.size()), g.a_scale,
                   to + slice.begin * kernels_.tile_rows * kernels_.lane_bytes});
}

// The part of one thread: panels of A that fill its cache, and all its panels of B past them.
void Gemm::MultiplyPiece(const GemmArgs& g, const Block& block, Range rows, Range columns, int thread) {
  const int64_t depth = block.depth_end - block.depth;
  const int64_t at_once = kernels_.a_bytes / RowPanelBytes(kernels_, depth);
  const int64_t columns_near = kernels_.near_bytes / ColumnPanelBytes(kernels_);
  std::byte* a = a_[static_cast<size_t>(thread)].data();
  if (kernels_.open != nullptr) kernels_.open();
  for (Range chunk{rows.begin, 0}; chunk.begin < rows.end; chunk.begin = chunk.end) {
    chunk.end = std::min(rows.end, chunk.begin + at_once);
    ForEachSlice(g.a, depth, [&](Range slice) {
      for (int64_t row = chunk.begin; row < chunk.end; ++row) {
        PackRows(g, block, row, slice, a + (row - chunk.begin) * RowPanelBytes(kernels_, depth));
      }
    });
    for (Range near{columns.begin, 0}; near.begin < columns.end; near.begin = near.end) {
      near.end = std::min(columns.end, near.begin + columns_near);
      for (int64_t row = chunk.begin; row < chunk.end; ++row) {
        MultiplyPanel(g, block, row, near, a + (row - chunk.begin) * RowPanelBytes(kernels_, depth));
      }
    }
  }
  if (kernels_.close != nullptr) kernels_.close();
}

// One panel of A, which stays in the first-level cache, and panels of B: along rows of C, where lines follow each
// other.
void Gemm::MultiplyPanel(const GemmArgs& g, const Block& block, int64_t row, Range columns, const std::byte* a) const {
  const Range rows = block.rows[row];
  const bool last = block.depth_end == g.k;
  const BlockMask* written = g.axes == MaskAxes::kRowsByColumns ? g.mask : nullptr;
  GemmTile tile{};
  tile.a = a;
  tile.rows = static_cast<int32_t>(rows.size());
  tile.c_stride = g.c_stride;
  tile.resume = g.accumulate || block.depth > 0;
  tile.multiplier = last ? g.multiplier : 1.0f;
  for (int64_t column = columns.begin; column < columns.end; ++column) {
    if (written != nullptr &&
        !written->Keeps(static_cast<int>(block.rows.UnitOf(row)), static_cast<int>(block.columns.UnitOf(column)))) {
      continue;
    }
    const Packed& packed = packed_[static_cast<size_t>(column - block.first_column)];
    const Range lanes = block.columns[column];
    tile.b = b_.data() + packed.offset;
    tile.runs = runs_.data() + packed.first_run;
    tile.run_count = packed.runs;
    tile.columns = static_cast<int32_t>(lanes.size());
    tile.c = g.c + rows.begin * g.c_stride + lanes.begin;
    tile.bias = last && g.bias != nullptr ? g.bias + lanes.begin : nullptr;
    if (tile.run_count == 0 && tile.resume && tile.multiplier == 1.0f && tile.bias == nullptr) continue;
    kernels_.multiply(tile);
  }
}

}  // namespace lodestone::kernels
