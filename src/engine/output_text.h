// The text of one request as its tokens arrive: whole characters, up to the first stop text.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/stop_matcher.h"
#include "text/tokenizer.h"

namespace lodestone {

class OutputText {
 public:
  // Without a tokenizer all text is empty.
  OutputText(std::shared_ptr<const Tokenizer> tokenizer, std::vector<std::string> stops);

  StopMatcher::Piece Push(int32_t id);
  // No token follows: the rest of the decoder and what was held back.
  StopMatcher::Piece Finish();

 private:
  std::optional<StreamDecoder> decoder_;
  StopMatcher stops_;
};

}  // namespace lodestone
