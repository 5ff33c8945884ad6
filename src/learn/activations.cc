#include "learn/activations.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "host/cpu.h"

namespace lodestone {

Activations::Activations(std::span<const Part> parts) : parts_(parts), frames_(1, 0) {
  for (const Part& part : parts) {
    frames_.push_back(frames_.back() + part.tape.frame_width);
    widest_frame_ = std::max(widest_frame_, part.tape.frame_width);
    scratch_width_ = std::max(scratch_width_, part.tape.scratch_width);
    for (const TapeValue& value : part.tape.values) {
      if (value.stream) stream_width_ = std::max(stream_width_, value.width);
    }
  }
}

Status Activations::Reserve(int64_t rows, bool backward, int64_t held_bytes) {
  rows_ = rows;
  backward_ = backward;
  const auto bytes_of = [&](int64_t width) { return static_cast<size_t>(rows * width) * sizeof(float); };
  struct Need {
    AlignedBuffer* buffer;
    size_t bytes;
  };
  const Need needs[] = {{&kept_, bytes_of(backward ? frames_.back() : 2 * widest_frame_)},
                        {&scratch_, bytes_of(scratch_width_)},
                        {&stream_gradient_, backward ? bytes_of(stream_width_) : 0}};
  size_t total = 0;
  bool grows = false;
  for (const Need& need : needs) {
    total += std::max(need.bytes, need.buffer->size());
    grows |= need.buffer->size() < need.bytes;
  }
  if (!grows) return {};
  const int64_t memory = DescribeHost().memory_bytes;
  bool fits = memory <= 0 || static_cast<int64_t>(total) + held_bytes <= memory;  // 0: not known
  for (const Need& need : needs) {
    if (!fits || need.buffer->size() >= need.bytes) continue;
    *need.buffer = AlignedBuffer();  // given back before more is asked for
    *need.buffer = AlignedBuffer(need.bytes);
    fits = need.buffer->size() == need.bytes;
  }
  if (!fits) {
    return Infeasible(
        fmt::format("{} rows need {} of activations, and beside {} of parameters and gradients that is more than the "
                    "{} of this machine give; take fewer or shorter sequences at a time{}",
                    rows, FormatBytes(static_cast<int64_t>(total)), FormatBytes(held_bytes), FormatBytes(memory),
                    backward ? ", or recompute" : ""));
  }
  return {};
}

int64_t Activations::Frame(size_t part) const {
  return backward_ ? frames_[part] : static_cast<int64_t>(part % 2) * widest_frame_;
}

float* Activations::At(size_t part, const TapeValue& value) {
  const auto floats = [&](AlignedBuffer& buffer, int64_t offset) {
    return reinterpret_cast<float*>(buffer.data()) + rows_ * offset;
  };
  switch (value.place) {
    case Place::kFrame:
      return floats(kept_, Frame(part) + value.offset);
    case Place::kNextFrame:
      return floats(kept_, Frame(part + 1));  // which begins with the stream
    case Place::kScratch:
      break;
  }
  return floats(scratch_, value.offset);
}

float* Activations::Gradient(const TapeValue& value) {
  return value.stream ? StreamGradient() : reinterpret_cast<float*>(scratch_.data()) + rows_ * value.gradient_offset;
}

int64_t Activations::bytes() const {
  return static_cast<int64_t>(kept_.size() + scratch_.size() + stream_gradient_.size());
}

}  // namespace lodestone
