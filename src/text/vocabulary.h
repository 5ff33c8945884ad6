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
  Status Add(std::string_view token, int64_t id);

  std::optional<int32_t> Find(std::string_view token) const;
  // Empty for an id that no token has.
  std::string_view TokenOf(int32_t id) const;
  bool Has(int32_t id) const;
  // One above the highest id; ids need not be contiguous.
  int32_t size() const { return static_cast<int32_t>(tokens_.size()); }

 private:
  std::deque<std::string> storage_;
  std::unordered_map<std::string_view, int32_t> ids_;
  std::vector<std::string_view> tokens_;  // null data where no token has the id
};

}  // namespace lodestone
