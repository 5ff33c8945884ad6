// The model that looks each piece up whole, such as GenSLM's codons.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/vocabulary.h"

namespace lodestone {

class WordLevel {
 public:
  // Reads all of "model" but "type" and "vocab".
  static Result<WordLevel> Read(ObjectReader& reader, const Vocabulary& vocabulary);
  // Appends the id of `piece`, or of the unknown token where there is one. `allow_special`: see
  // Vocabulary::FindInModel.
  Status Encode(std::string_view piece, const Vocabulary& vocabulary, bool allow_special,
                std::vector<int32_t>& ids) const;

 private:
  std::optional<int32_t> unknown_;
};

}  // namespace lodestone
