// A tokenizer given as lists instead of as a tokenizer.json: what the metadata of a GGUF file hold.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace lodestone {

// What a token is for; the numbers are SentencePiece's (`sentencepiece_model.proto`, SentencePiece.Type) and GGUF's.
enum class TokenKind : uint8_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

struct TokenList {
  enum class Model {
    kByteLevelBpe,   // merges by rank, over the letters that stand for bytes (byte_level.h)
    kSentencePiece,  // merges by the score of what they make; spaces are "▁", bytes are <0xXX>
  };
  Model model = Model::kByteLevelBpe;
  std::vector<std::string> tokens;  // by id
  std::vector<TokenKind> kinds;     // by id, or empty: all normal
  std::vector<float> scores;        // by id, of kSentencePiece
  std::vector<std::string> merges;  // "left right", the first one first, of kByteLevelBpe
  std::string cutting;              // how kByteLevelBpe cuts a text: a name of cutting_names.h
  bool space_prefix = true;         // kSentencePiece: a space in front of each text
  std::optional<int32_t> bos, eos, unknown;
  std::optional<bool> add_bos, add_eos;  // around each text; without a word the model and the cutting decide
};

}  // namespace lodestone
