// The "pattern" of Split and Replace: {"String": "…"} or {"Regex": "…"}.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "text/regex.h"

namespace lodestone {

class Pattern {
 public:
  explicit Pattern(Regex regex) : form_(std::move(regex)) {}
  explicit Pattern(std::string text) : form_(std::move(text)) {}
  static Result<Pattern> Read(ObjectReader& reader, std::string_view key);

  // The plain text, or null for a regular expression. Never empty.
  const std::string* text() const { return std::get_if<std::string>(&form_); }
  const Regex* regex() const { return std::get_if<Regex>(&form_); }

 private:
  std::variant<std::string, Regex> form_;
};

// Searches with one pattern; one object a thread. The pattern must outlive it.
class PatternSearch {
 public:
  explicit PatternSearch(const Pattern& pattern);
  // As RegexSearch::FindAll.
  Result<std::span<const TextRange>> FindAll(std::string_view text);

 private:
  std::variant<std::string_view, RegexSearch> form_;
  std::vector<TextRange> found_;
};

}  // namespace lodestone
