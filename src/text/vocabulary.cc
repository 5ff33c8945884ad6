#include "text/vocabulary.h"

#include <fmt/format.h>

#include "base/quote.h"

namespace lodestone {

void Vocabulary::Reserve(size_t tokens) {
  ids_.reserve(tokens);
  tokens_.reserve(tokens);
  flags_.reserve(tokens);
}

Status Vocabulary::Add(std::string_view token, int64_t id, uint8_t flags) {
  if (id < 0 || id >= kMaxVocabulary) {
    return Invalid(fmt::format("token {} has id {}; ids are from 0 to {}", Quoted(token), id, kMaxVocabulary - 1));
  }
  const auto slot = static_cast<size_t>(id);
  if (const auto known = ids_.find(token); known != ids_.end()) {
    if (known->second == id) {
      flags_[slot] |= flags;
      return {};
    }
    return Invalid(fmt::format("token {} has two ids, {} and {}", Quoted(token), known->second, id));
  }
  if (Has(static_cast<int32_t>(id))) {
    return Invalid(fmt::format("id {} has two tokens, {} and {}", id, Quoted(tokens_[slot]), Quoted(token)));
  }
  if (slot >= tokens_.size()) {
    tokens_.resize(slot + 1);
    flags_.resize(slot + 1);
  }
  tokens_[slot] = storage_.emplace_back(token);
  flags_[slot] = flags;
  ids_.emplace(tokens_[slot], static_cast<int32_t>(id));
  return {};
}

std::optional<int32_t> Vocabulary::Find(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional<int32_t>(found->second);
}

std::optional<int32_t> Vocabulary::FindInModel(std::string_view text, bool allow_special) const {
  const std::optional<int32_t> id = Find(text);
  if (!id || (flags_[static_cast<size_t>(*id)] & kOfModel) == 0) return std::nullopt;
  return allow_special || !IsSpecial(*id) ? id : std::nullopt;
}

std::string_view Vocabulary::TokenOf(int32_t id) const {
  return Has(id) ? tokens_[static_cast<size_t>(id)] : std::string_view();
}

bool Vocabulary::Has(int32_t id) const {
  return id >= 0 && id < size() && tokens_[static_cast<size_t>(id)].data() != nullptr;
}

}  // namespace lodestone
