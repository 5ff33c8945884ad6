// Reading without instruction-set flags: the limit of a processor that has none of the others.
#include <cstring>

#include "lab/limits/probes.h"

namespace lodestone::limits {
namespace {

uint64_t Read(const std::byte* data, size_t bytes) {
  uint64_t sums[4] = {};
  for (size_t i = 0; i < bytes; i += sizeof sums) {
    uint64_t words[4];
    std::memcpy(words, data + i, sizeof words);
    for (int j = 0; j < 4; ++j) sums[j] += words[j];
  }
  return sums[0] + sums[1] + sums[2] + sums[3];
}

}  // namespace

const ReadFn kReadPlain = Read;

}  // namespace lodestone::limits
