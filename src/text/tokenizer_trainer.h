// Makes a tokenizer.json from texts: byte-level byte-pair encoding, as GPT-2 and Llama 3 use it.
//
// The file holds what the Hugging Face library writes for such tokenizers, so that both read it. Id b < 256 is byte b,
// spelled in GPT-2's alphabet (byte_level.h); then come the merges' tokens in order of rank, then the special tokens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "text/pre_tokenizer.h"

namespace lodestone {

struct TokenizerTraining {
  int32_t vocabulary = 4096;         // tokens in all, bytes and special ones counted
  std::string cutting = "gpt-2";     // how a text is cut into words: "gpt-2" or "llama3" (cutting_names.h)
  std::vector<std::string> special;  // control tokens, such as "<|endoftext|>"; a text never spells them
};

class TokenizerTrainer {
 public:
  // Refused: a vocabulary without room for bytes and special tokens or above kMaxVocabulary, another cutting, a special
  // token that is empty, twice, not UTF-8 or a single byte.
  static Result<TokenizerTrainer> Make(const TokenizerTraining& training);

  // Counts the words of one text. Refused: what is not UTF-8 (with the byte offset).
  Status Add(std::string_view utf8);

  int64_t bytes() const { return bytes_; }
  int64_t distinct_words() const { return static_cast<int64_t>(counts_.size()); }

  // The tokenizer.json. It depends on how often each word occurs and on nothing else. Refused: texts in which too few
  // pairs occur twice for a vocabulary of this size.
  Result<Json> Train() const;

 private:
  struct ViewHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  TokenizerTrainer(TokenizerTraining training, Json cutting, bool ignore_merges, PreTokenizer pre_tokenizer)
      : training_(std::move(training)),
        cutting_(std::move(cutting)),
        ignore_merges_(ignore_merges),
        pre_tokenizer_(std::move(pre_tokenizer)) {}

  TokenizerTraining training_;
  Json cutting_;  // "pre_tokenizer" of the file
  bool ignore_merges_;
  PreTokenizer pre_tokenizer_;
  std::unordered_map<std::string, int64_t, ViewHash, std::equal_to<>> counts_;  // by the word in the byte alphabet
  int64_t bytes_ = 0;
};

}  // namespace lodestone
