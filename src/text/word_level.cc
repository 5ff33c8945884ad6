#include "text/word_level.h"

#include <fmt/format.h>

#include "base/quote.h"

namespace lodestone {

Result<WordLevel> WordLevel::Read(ObjectReader& reader, const Vocabulary& vocabulary) {
  WordLevel model;
  // The format always has the key; a vocabulary without that token has no unknown token.
  model.unknown_ = vocabulary.Find(reader.OptionalString("unk_token", ""));
  LODESTONE_RETURN_IF_ERROR(reader.status());
  return model;
}

Status WordLevel::Encode(std::string_view piece, const Vocabulary& vocabulary, bool allow_special,
                         std::vector<int32_t>& ids) const {
  std::optional<int32_t> id = vocabulary.FindInModel(piece, allow_special);
  if (!id) id = unknown_;
  if (!id) {
    return Invalid(fmt::format("the word {} is not in the vocabulary, which has no unknown token", Quoted(piece)));
  }
  ids.push_back(*id);
  return {};
}

}  // namespace lodestone
