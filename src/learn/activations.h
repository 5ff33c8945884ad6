// The memory of a walk over the tapes: a frame a part for what is kept from forward to backward, and scratch that all
// parts share.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "learn/parts.h"
#include "numerics/aligned_buffer.h"

namespace lodestone {

class Activations {
 public:
  // `parts` outlive this.
  explicit Activations(std::span<const Part> parts);

  // Makes room for `rows` rows: for a walk forward and back, or (not `backward`) forward alone, which needs two frames
  // in turn. Contents are lost. kInfeasible, with the bytes, where that is more than the machine has beside
  // `held_bytes`, or than it gives.
  Status Reserve(int64_t rows, bool backward, int64_t held_bytes);

  // [rows][width] of a value of part `part`, and of its gradient.
  float* At(size_t part, const TapeValue& value);
  float* Gradient(const TapeValue& value);
  float* StreamGradient() { return reinterpret_cast<float*>(stream_gradient_.data()); }

  int64_t bytes() const;

 private:
  int64_t Frame(size_t part) const;  // floats a row before the frame

  std::span<const Part> parts_;
  std::vector<int64_t> frames_;  // where they begin, if all are kept, and where the last ends
  int64_t widest_frame_ = 0, scratch_width_ = 0, stream_width_ = 0;
  int64_t rows_ = 0;
  bool backward_ = false;
  AlignedBuffer kept_, scratch_, stream_gradient_;
};

}  // namespace lodestone
