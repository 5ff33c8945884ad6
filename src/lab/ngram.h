// The baseline that a language model must beat: an n-gram over bytes, with interpolated modified Kneser-Ney smoothing.
//
// Source: S. Chen and J. Goodman, "An empirical study of smoothing techniques for language modeling", Harvard TR-10-98,
// 1998, equations 24 to 26. For a byte w after the k − 1 bytes h, h' being h without its first byte:
//
//   p_k(w | h) = (max(c(h w) − D(c(h w)), 0) + (D₁ N₁(h) + D₂ N₂(h) + D₃ N₃₊(h)) p_{k−1}(w | h')) / Σ_v c(h v)
//
// with p_0 = 1/256. c counts occurrences at the highest order, and below it the different bytes that stand in front
// (Kneser and Ney 1995). N_i(h) is the number of bytes seen i times after h. Each order has its discounts: with n_i the
// number of its n-grams counted i times and Y = n₁ / (n₁ + 2 n₂), D_i = i − (i + 1) Y n_{i+1} / n_i; where the counts
// of counts do not allow that (few bytes, much text), D_i = 1/2, absolute discounting (Ney et al. 1994). A history that
// was never seen leaves p_{k−1} as it is. The probabilities of the 256 bytes sum to 1 after every history.
//
// A document begins after order − 1 zero bytes, which are not predicted: every byte of it is.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace lodestone {

inline constexpr int kMaxNgramOrder = 8;
inline constexpr int64_t kMaxNgramBytes = int64_t{1} << 30;  // of training text: at most 24 bytes of memory each

class NgramModel {
 public:
  // Refused: an order outside 1 to kMaxNgramOrder, no text, more than kMaxNgramBytes.
  static Result<NgramModel> Train(std::span<const std::string_view> documents, int order);

  int order() const { return static_cast<int>(levels_.size()); }
  int64_t ngrams() const;  // different ones of the highest order

  // p(next | history), of which the last order − 1 bytes count; a shorter one stands at the beginning of a document.
  double Probability(std::string_view history, uint8_t next) const;

  // −Σ log₂ p over all bytes of a document.
  double Bits(std::string_view document) const;

 private:
  // N-grams of one order k, grouped by their first k − 1 bytes.
  struct History {
    uint64_t bytes;  // the earliest is the most significant
    uint32_t begin;  // in next_bytes and counts; its end is the next one's begin
    uint64_t total;
    double reserved;  // D₁ N₁ + D₂ N₂ + D₃ N₃₊, what discounting frees
  };
  struct Level {
    std::vector<History> histories;  // ascending, and a last one that only ends
    std::vector<uint8_t> next_bytes;
    std::vector<uint32_t> counts;
    std::array<double, 4> discounts{};  // by count, the last for 3 and more; the first is 0
  };
  struct Counted {
    uint64_t ngram;
    uint32_t count;
  };

  static Level MakeLevel(std::span<const Counted> ngrams);
  double Probability(uint64_t history, uint8_t next) const;

  std::vector<Level> levels_;  // of orders 1, 2, …
};

}  // namespace lodestone
