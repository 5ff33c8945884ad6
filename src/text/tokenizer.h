// Text to token ids and back, as a Hugging Face `tokenizer.json` or the metadata of a GGUF file describe it.
//
// Encoding: added tokens are found in the text; the rest is normalized (normalizer.h), cut into pieces
// (pre_tokenizer.h) and spelled by the model (bpe.h, word_level.h); the post-processor puts its tokens around the ids.
// Decoding runs the decoder's steps over the tokens (decode_stages.h).
//
// What a file asks for and this reader does not do is refused by name when it is loaded, never approximated: other
// models (Unigram, WordPiece), other components, truncation, dropout, unknown keys. Padding is ignored, since one text
// needs none.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace lodestone {

struct TokenizerParts;
struct TokenList;
class DecodeRun;

struct EncodeOptions {
  bool add_special_tokens = true;  // run the post-processor: "<s>" in front and the like
  // Whether the text may spell special tokens. False for anything that a user typed: then "<|im_end|>" is ten
  // characters.
  bool parse_special = false;
};

// Immutable; any number of threads may use one.
class Tokenizer {
 public:
  using EncodeOptions = lodestone::EncodeOptions;

  // Reads a tokenizer.json of at most 256 MiB.
  static Result<std::shared_ptr<const Tokenizer>> Load(const std::string& path);
  // `name` is what messages call the text.
  static Result<std::shared_ptr<const Tokenizer>> Parse(std::string_view json, std::string_view name);
  // Builds the same components from lists (token_list.h). Refused: lists of different lengths, a token twice or not
  // UTF-8, an unknown way of cutting, a merge of tokens that are not there.
  static Result<std::shared_ptr<const Tokenizer>> Make(const TokenList& list, const std::string& name);
  ~Tokenizer();

  // Errors: text that is not UTF-8 (with the byte offset), text above 256 MiB, a character that the vocabulary cannot
  // spell, a pattern that exceeds its limits. An empty text gives the post-processor's tokens alone.
  Result<std::vector<int32_t>> Encode(std::string_view utf8, EncodeOptions options = {}) const;

  // Valid UTF-8 whatever the ids: bytes that form no character become U+FFFD. Ids that no token has are passed over.
  std::string Decode(std::span<const int32_t> ids, bool skip_special = true) const;

  // One above the highest id. Ids may have gaps; a model's embedding may have more rows.
  int32_t vocab_size() const;
  std::optional<int32_t> TokenToId(std::string_view token) const;
  // As the file spells it ("Ġworld", "<0x0A>"); empty for an id that no token has.
  std::string_view IdToToken(int32_t id) const;
  bool IsSpecial(int32_t id) const;

 private:
  friend class StreamDecoder;
  explicit Tokenizer(std::unique_ptr<const TokenizerParts> parts);
  // The token that decoding writes for an id; nothing for special (if skipped) and unknown ids.
  std::optional<std::string_view> DecodedToken(int32_t id, bool skip_special) const;

  std::unique_ptr<const TokenizerParts> parts_;
};

// Decodes tokens as they arrive. Each push returns the text that is certain by then, in whole characters; all pushes
// and `Finish` together are `Tokenizer::Decode` of all ids. Text waits for later tokens only where they decide about
// it: a character whose bytes are not all there, a run of byte-fallback tokens, spaces that a Strip may remove.
class StreamDecoder {
 public:
  StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special = true);
  StreamDecoder(StreamDecoder&&) noexcept;
  StreamDecoder& operator=(StreamDecoder&&) noexcept;
  ~StreamDecoder();

  std::string Push(int32_t id);
  std::string Finish();  // the rest; then ready for a new text

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool skip_special_;
  std::unique_ptr<DecodeRun> run_;
};

}  // namespace lodestone
