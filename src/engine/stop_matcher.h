// Finds stop texts in text that arrives piece by piece, and holds back what could still become one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lodestone {

class StopMatcher {
 public:
  // `stops` are not empty strings.
  explicit StopMatcher(std::vector<std::string> stops = {}) : stops_(std::move(stops)) {}

  struct Piece {
    std::string text;      // may be shown now
    bool stopped = false;  // a stop text was completed; `text` ends before it, and nothing follows
  };

  // The match that is complete first wins; of several that end together, the longest. So how the text is cut into
  // pieces makes no difference. After a match every piece is empty.
  Piece Push(std::string_view text);
  // The text ends here: what was held back is text.
  std::string Finish();

 private:
  size_t HeldBytes() const;

  std::vector<std::string> stops_;
  std::string pending_;  // after a Push: the longest end of the text that begins a stop text
  bool stopped_ = false;
};

}  // namespace lodestone
