// One half of a card's framebuffer: tensors lie in it, each in a slot of its own, from their first byte in to their
// last byte out, first in first out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "base/units.h"

namespace lodestone {

class FramebufferHalf {
 public:
  static constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

  struct Hold {
    Time from, until;
    int64_t bytes = 0;
  };

  explicit FramebufferHalf(int64_t slots = kUnlimited) : slots_(slots), ring_(kFirstRoom) {}

  // When the next tensor finds a slot: the moment when the tensor `slots` before it was gone, or the beginning of time
  // where that is past for certain. That tensor has been released.
  Time FreeAt() const { return taken_ - head_ < slots_ ? Time{} : At(taken_ - slots_).until; }

  // The next tensor takes its slot.
  void Take() { ++taken_; }

  // The oldest tensor that was not released lay there for that time; neither end is before that of the tensor before.
  void Release(const Hold& hold) {
    byte_ps_ += static_cast<double>(hold.bytes) * static_cast<double>((hold.until - hold.from).ps);
    if (last_until_.ps <= hold.from.ps) {  // it found the half empty, as it mostly does
      head_ = released_;
      held_bytes_ = hold.bytes;
    } else {
      for (; At(head_).until.ps <= hold.from.ps; ++head_) held_bytes_ -= At(head_).bytes;
      held_bytes_ += hold.bytes;
      if (released_ - head_ > mask_) Grow();
    }
    At(released_++) = {hold.until, hold.bytes};
    last_until_ = hold.until;
    peak_bytes_ = std::max(peak_bytes_, held_bytes_);
  }

  int64_t peak_bytes() const { return peak_bytes_; }
  double byte_seconds() const { return byte_ps_ * 1e-12; }

 private:
  struct Left {
    Time until;
    int64_t bytes = 0;
  };

  static constexpr int64_t kFirstRoom = 4;

  Left& At(int64_t index) { return ring_[static_cast<size_t>(index & mask_)]; }
  const Left& At(int64_t index) const { return ring_[static_cast<size_t>(index & mask_)]; }
  [[gnu::noinline]] void Grow() {
    const int64_t mask = 2 * mask_ + 1;
    std::vector<Left> larger(static_cast<size_t>(mask + 1));
    for (int64_t i = head_; i < released_; ++i) larger[static_cast<size_t>(i & mask)] = At(i);
    ring_ = std::move(larger);
    mask_ = mask;
  }

  int64_t slots_;
  int64_t taken_ = 0, released_ = 0;
  int64_t head_ = 0;               // tensors before were gone when the one released last came
  Time last_until_;                // of that one
  std::vector<Left> ring_;         // tensors [head, released)
  int64_t mask_ = kFirstRoom - 1;  // tensor i lies at i & mask: room for a power of two
  int64_t held_bytes_ = 0, peak_bytes_ = 0;
  double byte_ps_ = 0;
};

}  // namespace lodestone
