// Regular expressions of tokenizer.json. PCRE2 stays behind regex.cc.
//
// Patterns come from files, so their length, nesting, steps, depth and memory are bounded; a search that would exceed a
// bound is an error, not a hang.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

struct pcre2_real_code_8;        // pcre2_code
struct pcre2_real_match_data_8;  // pcre2_match_data

namespace lodestone {

// Bytes [begin, end) of a text.
struct TextRange {
  size_t begin = 0, end = 0;
  friend bool operator==(const TextRange&, const TextRange&) = default;
};

// A compiled pattern; immutable and shareable between threads. `pattern` is in the dialect of regex_dialect.h.
class Regex {
 public:
  static Result<Regex> Compile(std::string_view pattern);
  const std::string& pattern() const { return pattern_; }

 private:
  friend class RegexSearch;
  std::string pattern_;
  std::shared_ptr<pcre2_real_code_8> code_;
};

// Searches with one pattern; one object a thread. The regex must outlive it.
class RegexSearch {
 public:
  explicit RegexSearch(const Regex& regex);

  // All matches in `text` (valid UTF-8), from left to right, without overlap. An empty match moves on by a character,
  // and one at the end of the match before it does not count. The span holds until the next call.
  Result<std::span<const TextRange>> FindAll(std::string_view text);

 private:
  const Regex* regex_;
  std::unique_ptr<pcre2_real_match_data_8, void (*)(pcre2_real_match_data_8*)> data_;
  std::vector<TextRange> found_;
};

}  // namespace lodestone
