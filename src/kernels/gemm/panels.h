// How an axis of a matrix is cut into panels.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lodestone::kernels {

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

inline int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Piece `index` of `pieces` that differ in size by one at most.
inline Range PieceOf(int64_t size, int64_t pieces, int64_t index) {
  return {size * index / pieces, size * (index + 1) / pieces};
}

// [0, size) in units, the last of which may be shorter, and each unit in panels of at most `width`. A panel thus lies
// in one unit: the blocks of a mask, or all.
class Panels {
 public:
  // Even panels of a unit differ by one at most, so that none is left with a row or two; others are full but the last.
  Panels(int64_t size, int64_t unit, int64_t width, bool even)
      : size_(size), unit_(unit), width_(width), per_unit_(CeilDivide(unit, width)), even_(even) {}

  int64_t count() const { return size_ / unit_ * per_unit_ + CeilDivide(size_ % unit_, width_); }
  int64_t UnitOf(int64_t panel) const { return panel / per_unit_; }
  Range operator[](int64_t panel) const {
    const int64_t unit = UnitOf(panel), begin = unit * unit_, length = std::min(unit_, size_ - begin);
    const int64_t index = panel - unit * per_unit_;
    const Range in_unit = even_ ? PieceOf(length, CeilDivide(length, width_), index)
                                : Range{index * width_, std::min(length, (index + 1) * width_)};
    return {begin + in_unit.begin, begin + in_unit.end};
  }

 private:
  int64_t size_, unit_, width_, per_unit_;
  bool even_;
};

}  // namespace lodestone::kernels
