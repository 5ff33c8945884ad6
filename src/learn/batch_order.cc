// A shuffle that needs no list: a keyed permutation of the windows, computed for one index at a time.
#include <fmt/format.h>

#include <bit>
#include <vector>

#include "base/split_mix.h"
#include "base/units.h"
#include "learn/training_data.h"

namespace lodestone {
namespace {

// A permutation of [0, 2^(2 half)) by a Feistel network: any round function gives one (M. Luby and C. Rackoff, 1988,
// who need four rounds for a random function), and six mixes more than a shuffle asks for.
uint64_t Feistel(uint64_t value, int half, uint64_t key) {
  constexpr uint64_t kRounds = 6;
  const uint64_t mask = (uint64_t{1} << half) - 1;
  uint64_t left = value >> half, right = value & mask;
  for (uint64_t round = 0; round < kRounds; ++round) {
    const uint64_t next = left ^ (Mix(key ^ Mix(round << 56 ^ right)) & mask);
    left = right;
    right = next;
  }
  return left << half | right;
}

}  // namespace

Result<BatchOrder> BatchOrder::Make(const TokenData& data, int length, uint64_t seed) {
  LODESTONE_CHECK(length >= 1);
  BatchOrder order;
  order.data_ = &data;
  order.length_ = length;
  order.seed_ = seed;
  order.windows_ = (data.size() - 1) / length;
  if (order.windows_ < 1) {
    return Invalid(
        fmt::format("{}: a sequence of {} tokens and the one to predict after it need {}; take a shorter sequence or "
                    "more data",
                    data.Describe(), length, length + 1));
  }
  return order;
}

int64_t BatchOrder::WindowOf(int64_t index) const {
  const int64_t epoch = index / windows_;
  const uint64_t key = Mix(seed_ ^ Mix(static_cast<uint64_t>(epoch)));
  // The smallest even number of bits that holds every window; values beyond them are permuted again until one is
  // within (cycle walking, J. Black and P. Rogaway, 2002), less than four times on average.
  const auto bits = static_cast<int>(std::bit_width(static_cast<uint64_t>(windows_ - 1)));
  const int half = (bits + 1) / 2;
  auto value = static_cast<uint64_t>(index % windows_);
  if (half == 0) return 0;
  do {
    value = Feistel(value, half, key);
  } while (value >= static_cast<uint64_t>(windows_));
  return static_cast<int64_t>(value);
}

void BatchOrder::Read(int64_t index, std::span<int32_t> tokens, std::span<int32_t> targets) const {
  const auto length = static_cast<size_t>(length_);
  LODESTONE_CHECK(tokens.size() == length && targets.size() == length);
  const int64_t begin = WindowOf(index) * length_;
  data_->Read(begin, tokens);
  data_->Read(begin + 1, targets);
}

}  // namespace lodestone
