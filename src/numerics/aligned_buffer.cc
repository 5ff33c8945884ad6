#include "numerics/aligned_buffer.h"

#include <sys/mman.h>

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace lodestone {
namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kSmallPage = size_t{4} << 10;
constexpr size_t kHugePage = size_t{2} << 20;

constexpr size_t RoundUp(size_t value, size_t to) { return (value + to - 1) / to * to; }

// The last huge page is filled up only where that wastes at most a sixteenth; otherwise small pages end the buffer.
constexpr size_t MappedBytes(size_t bytes) {
  const size_t huge = RoundUp(bytes, kHugePage);
  return huge - bytes <= bytes / 16 ? huge : RoundUp(bytes, kSmallPage);
}

// `bytes` of zero pages that begin at a huge page: mapped with one to spare, and the spare ends given back.
std::byte* MapHuge(size_t bytes) {
  const size_t spare = bytes + kHugePage;
  void* raw = mmap(nullptr, spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(raw);
  const size_t head = RoundUp(std::bit_cast<uintptr_t>(begin), kHugePage) - std::bit_cast<uintptr_t>(begin);
  if (head != 0) munmap(begin, head);
  if (head != kHugePage) munmap(begin + head + bytes, kHugePage - head);
  // A kernel without huge pages refuses the advice, and nothing is lost.
  madvise(begin + head, bytes, MADV_HUGEPAGE);
  return begin + head;
}

}  // namespace

AlignedBuffer::AlignedBuffer(size_t bytes) {
  if (bytes == 0 || bytes > std::numeric_limits<size_t>::max() / 2) return;
  if (bytes >= kHugePage) {
    const size_t mapped = MappedBytes(bytes);
    data_ = {MapHuge(mapped), Free{mapped}};
  } else {
    const size_t rounded = RoundUp(bytes, kCacheLine);
    data_ = {static_cast<std::byte*>(std::aligned_alloc(kCacheLine, rounded)), Free{}};
    if (data_ != nullptr) std::memset(data_.get(), 0, rounded);
  }
  if (data_ != nullptr) size_ = bytes;
}

void AlignedBuffer::Free::operator()(std::byte* p) const {
  if (mapped_bytes != 0) {
    munmap(p, mapped_bytes);
  } else {
    std::free(p);
  }
}

}  // namespace lodestone
