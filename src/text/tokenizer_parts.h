// What a tokenizer.json holds, read and checked.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "base/json.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/vocabulary.h"
#include "text/word_level.h"

namespace lodestone {

struct TokenizerParts {
  Vocabulary vocabulary;  // of the model and of the added tokens
  std::variant<Bpe, WordLevel> model;
  Normalizer normalizer;
  AddedTokens added_tokens;
  PreTokenizer pre_tokenizer;
  PostProcessor post_processor;
  Decoder decoder;
};

Result<std::unique_ptr<const TokenizerParts>> ReadTokenizerParts(const Json& json, const std::string& file);

}  // namespace lodestone
