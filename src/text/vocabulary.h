// Tokens and their ids, both ways.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"

namespace lodestone {

// Ids are below this: sixteen times the largest published vocabulary (262,144), and the table of all ids stays small
// whatever a file claims.
inline constexpr int32_t kMaxVocabulary = 1 << 22;

class Vocabulary {
 public:
  Vocabulary() = default;
  Vocabulary(Vocabulary&&) = default;  // the views stay valid: a deque never moves its strings
  Vocabulary& operator=(Vocabulary&&) = default;
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  void Reserve(size_t tokens);
  // Adding a pair that is there already does nothing; a token with two ids or an id with two tokens is refused.
  Status AddModelToken(std::string_view token, int64_t id) { return Add(token, id, kOfModel); }
  Status AddAddedToken(std::string_view token, int64_t id, bool special) {
    return Add(token, id, special ? kSpecial : 0);
  }

  std::optional<int32_t> Find(std::string_view token) const;
  // What the model may make of a piece of text: tokens of its own, and special ones only if allowed. A user's text that
  // happens to spell a control token must not become one.
  std::optional<int32_t> FindInModel(std::string_view text, bool allow_special) const;
  bool IsSpecial(int32_t id) const { return Has(id) && (flags_[static_cast<size_t>(id)] & kSpecial) != 0; }
  // Empty for an id that no token has.
  std::string_view TokenOf(int32_t id) const;
  bool Has(int32_t id) const;
  // One above the highest id; ids need not be contiguous.
  int32_t size() const { return static_cast<int32_t>(tokens_.size()); }

 private:
  static constexpr uint8_t kOfModel = 1, kSpecial = 2;
  Status Add(std::string_view token, int64_t id, uint8_t flags);

  std::deque<std::string> storage_;
  std::unordered_map<std::string_view, int32_t> ids_;
  std::vector<std::string_view> tokens_;  // null data where no token has the id
  std::vector<uint8_t> flags_;            // by id
};

}  // namespace lodestone
