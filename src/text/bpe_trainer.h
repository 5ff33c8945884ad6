// Learns the merges of byte-pair encoding from counted words: of all pairs of neighbouring tokens the most frequent one
// becomes a token, again and again. Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword
// Units", ACL 2016, algorithm 1, over bytes as Radford et al. 2019.
//
// Every merge makes bytes that no token has yet: wherever those bytes stand between the same two borders of tokens,
// they have been merged alike, so that all of them became one token together. A merged pair never comes back for the
// same reason.
//
// Cost: counts change in the words that hold the merged pair alone, and the next pair comes from a heap whose stale
// entries are corrected when they surface: about the length of the words times the logarithm of the vocabulary.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lodestone {

struct WordCount {
  std::string bytes;
  int64_t count = 0;
};

struct BpeMerges {
  struct Merge {
    int32_t left, right;  // ids
  };
  std::vector<std::string> tokens;  // bytes, by id: id b < 256 is byte b, 256 + i is what merge i makes
  std::vector<Merge> merges;        // in order of rank
};

// At most `tokens` tokens (at least 256); fewer where no pair is left that occurs twice. A word's pairs overlap ("aaa"
// holds "aa" twice) and merge from the left. Between equal counts the bytes decide, those of the left token first, so
// that the result depends on the counts alone and not on the order of the words.
BpeMerges LearnMerges(std::span<const WordCount> words, int32_t tokens);

}  // namespace lodestone
