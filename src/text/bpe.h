// Byte-pair encoding: a piece starts as its characters, and the best-ranked pair of neighbours merges until no pair of
// neighbours has a rule. Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", ACL
// 2016.
//
// Cost: O(n log n) for a piece of n characters, by a linked list of symbols and a heap of candidate merges.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "text/vocabulary.h"

namespace lodestone {

class Bpe {
 public:
  // What the pieces of one text share: the vocabulary, and memory for the symbols. One a thread.
  class Scratch;

  // `left` and `right` side by side become `whole`; the lowest rank first, and the leftmost pair of a rank.
  struct Rule {
    int32_t left, right, whole, rank;
  };
  struct Settings {
    bool byte_fallback = false;  // a character without a token becomes the tokens <0xXX> of its bytes
    bool fuse_unknown = false;   // unknown characters side by side are one unknown token
    bool ignore_merges = false;  // a piece that is a token is that token, whatever the merges say
    std::optional<int32_t> unknown;
  };
  // A pair that has two rules keeps the last one.
  static Bpe Make(std::span<const Rule> rules, const Settings& settings, const Vocabulary& vocabulary);
  // The rule of two tokens; refused where one of them, or their whole, is not in the vocabulary.
  static Result<Rule> FindRule(std::string_view left, std::string_view right, int32_t rank,
                               const Vocabulary& vocabulary);
  // Reads all of "model" but "type" and "vocab".
  static Result<Bpe> Read(ObjectReader& reader, const Vocabulary& vocabulary);

  // Appends the ids of `piece` (valid UTF-8). A character without a token becomes its bytes' tokens (byte fallback) or
  // the unknown token; an error where the model has neither.
  Status Encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& ids) const;

 private:
  struct Merge {
    int32_t rank, id;
  };
  // Both halves of a key are small integers; the identity hash of the standard library would put related pairs
  // together.
  struct PairHash {
    size_t operator()(uint64_t pair) const;
  };
  static uint64_t PairOf(int32_t left, int32_t right) {
    return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
  }

  static Result<std::vector<Rule>> ReadMerges(ObjectReader& reader, const Vocabulary& vocabulary);
  Status Spell(std::string_view piece, Scratch& scratch) const;
  void AddCandidate(Scratch& scratch, int32_t left) const;
  void MergeAll(Scratch& scratch) const;

  std::unordered_map<uint64_t, Merge, PairHash> merges_;  // by the ids of left and right
  Settings settings_;
  std::vector<int32_t> byte_tokens_;  // 256 ids of <0x00>..<0xFF>, −1 where absent; empty: no fallback
};

class Bpe::Scratch {
 public:
  // Whether a piece may spell special tokens: Vocabulary::FindInModel.
  Scratch(const Vocabulary& vocabulary, bool allow_special) : vocabulary_(&vocabulary), allow_special_(allow_special) {}

 private:
  friend class Bpe;
  struct Symbol {
    int32_t id;              // −1 once merged into its left neighbour
    int32_t previous, next;  // positions, −1 at the ends
  };
  struct Candidate {
    int32_t rank, position;  // of the left symbol
    int32_t left, right, id;
    // A heap's top is its greatest: the lowest rank, then the leftmost.
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };

  std::optional<int32_t> Find(std::string_view text) const { return vocabulary_->FindInModel(text, allow_special_); }
  bool Allows(int32_t id) const { return allow_special_ || !vocabulary_->IsSpecial(id); }

  const Vocabulary* vocabulary_;
  bool allow_special_;
  std::vector<Symbol> symbols_;
  std::vector<Candidate> heap_;
};

}  // namespace lodestone
