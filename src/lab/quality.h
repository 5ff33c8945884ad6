// How well a model predicts a text, and how far two models' predictions lie apart: teacher forcing, token by token.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "lab/pass_runner.h"

namespace lodestone {

// A text cut into disjoint windows of `context` tokens (the last may be shorter). Where the model has a begin-of-text
// token, every window begins with it. All tokens of a window but its first are predicted.
struct TextWindows {
  std::vector<std::vector<int32_t>> windows;
  int64_t predicted() const;
};
// Refused: fewer than two tokens, a context below 2 or beyond the model's positions, ids outside the vocabulary.
Result<TextWindows> CutWindows(const ModelConfig& config, std::span<const int32_t> tokens, int64_t context);

// Ids of a text for CutWindows: without the tokens that the tokenizer puts around a text.
Result<std::vector<int32_t>> EncodeText(const Tokenizer& tokenizer, std::string_view text);

// −log p(token | before) in nats of every predicted token, in order, in double from the logits as they are. Tokens of a
// text are not independent, so the standard error of their mean is a lower bound.
Result<std::vector<double>> NegativeLogLikelihoods(PassRunner& runner, const TextWindows& text,
                                                   const std::function<void(int64_t tokens)>& on_progress);

// What two models say at the same positions of the same text.
struct LogitsComparison {
  std::vector<double> kl;                            // Σ p log(p/q) in nats: p of the reference, q of the candidate
  int64_t same_top = 0;                              // positions where both have the same most likely token
  double largest_difference = 0;                     // of a logit
  std::vector<double> reference_nll, candidate_nll;  // of the text's own tokens
};
// Refused: vocabularies of different sizes.
Result<LogitsComparison> CompareLogits(PassRunner& reference, PassRunner& candidate, const TextWindows& text,
                                       const std::function<void(int64_t tokens)>& on_progress);

// Rows in a pass of teacher forcing: bounds the logits held at once.
inline constexpr int kTeacherForcingRows = 64;

}  // namespace lodestone
