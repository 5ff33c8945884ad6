#include "cli/lists.h"

#include <fmt/format.h>

#include <charconv>

#include "base/quote.h"

namespace lodestone::cli {

Result<std::vector<std::string>> ParseWords(std::string_view option, std::string_view text) {
  std::vector<std::string> words;
  for (bool more = true; more;) {
    const size_t comma = text.find(',');
    more = comma != std::string_view::npos;
    std::string_view word = text.substr(0, comma);
    if (more) text.remove_prefix(comma + 1);
    while (word.starts_with(' ')) word.remove_prefix(1);
    while (word.ends_with(' ')) word.remove_suffix(1);
    if (word.empty()) return Invalid(fmt::format("{}: a value between commas is empty", option));
    words.emplace_back(word);
  }
  return words;
}

Result<std::vector<int64_t>> ParseNumbers(std::string_view option, std::string_view text, int64_t min, int64_t max) {
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<std::string> words, ParseWords(option, text));
  std::vector<int64_t> numbers;
  for (const std::string& word : words) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc() || end != word.data() + word.size() || number < min || number > max) {
      return Invalid(fmt::format("{}: {} is not a whole number from {} to {}", option, Quoted(word), min, max));
    }
    numbers.push_back(number);
  }
  return numbers;
}

}  // namespace lodestone::cli
