// Memory that kernels stream: aligned, zero, and touched first by whoever uses it.
#pragma once

#include <cstddef>
#include <memory>

namespace lodestone {

// 64-byte aligned bytes that read as zero. Large buffers are mapped, begin at a huge page and are advised to be made of
// them; nothing is touched here, so that a page lands on the memory node of the thread that first writes it, and a page
// that nobody writes costs nothing. Size 0 where the system refuses the memory.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t bytes);

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    size_t mapped_bytes;  // 0: from the heap
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t size_ = 0;
};

}  // namespace lodestone
