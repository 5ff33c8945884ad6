#include "engine/output_text.h"

#include <utility>

namespace lodestone {

OutputText::OutputText(std::shared_ptr<const Tokenizer> tokenizer, std::vector<std::string> stops)
    : stops_(std::move(stops)) {
  if (tokenizer) decoder_.emplace(std::move(tokenizer), /*skip_special=*/true);
}

StopMatcher::Piece OutputText::Push(int32_t id) {
  if (!decoder_) return {};
  return stops_.Push(decoder_->Push(id));
}

StopMatcher::Piece OutputText::Finish() {
  if (!decoder_) return {};
  StopMatcher::Piece piece = stops_.Push(decoder_->Finish());
  if (!piece.stopped) piece.text += stops_.Finish();
  return piece;
}

}  // namespace lodestone
