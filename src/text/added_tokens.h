// Tokens that are found in the text as a whole, before the model sees it: "<|endoftext|>", runs of spaces, tool marks.
//
// The longest one at the leftmost position wins. Those with normalized=false are matched in the text as given, then
// those with normalized=true in each remaining part after normalization.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "text/components.h"
#include "text/normalizer.h"
#include "text/regex.h"
#include "text/vocabulary.h"

namespace lodestone {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false;  // not beside a word character
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool normalized = false;   // matched after normalization
  bool special = false;      // control, not text: skipped by decoding, matched in text only on request
};

// A part of a text: one added token, or text for the model.
struct AddedTokenSpan {
  TextRange range;
  std::optional<int32_t> id;
};

// Strings by their bytes, for the longest that begins at a position.
class ByteTrie {
 public:
  ByteTrie();
  void Add(std::string_view content, size_t value);
  struct Match {
    size_t length, value;
  };
  std::optional<Match> LongestAt(std::string_view text, size_t position) const;
  bool empty() const { return edges_.empty(); }

 private:
  static constexpr size_t kNoValue = ~size_t{0};
  std::unordered_map<uint64_t, uint32_t> edges_;  // node × 256 + byte → node
  std::vector<size_t> values_;                    // by node
  std::array<bool, 256> first_{};
};

class AddedTokens {
 public:
  // `json` is the value of "added_tokens" or null. Adds the tokens to the vocabulary.
  static Result<AddedTokens> Read(const Json* json, const JsonPlace& place, const Normalizer& normalizer,
                                  Vocabulary& vocabulary);

  // Covers `text` in order, but for white space that tokens strip. Where `parse_special` is false, the text of a
  // special token stays text.
  std::vector<AddedTokenSpan> Split(std::string_view text, bool normalized, bool parse_special) const;

 private:
  std::vector<AddedToken> tokens_;
  ByteTrie plain_, normalized_;  // values index tokens_
};

}  // namespace lodestone
