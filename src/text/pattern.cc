#include "text/pattern.h"

namespace lodestone {

Result<Pattern> Pattern::Read(ObjectReader& reader, std::string_view key) {
  const Json* json = reader.Require(key);
  LODESTONE_RETURN_IF_ERROR(reader.status());
  ObjectReader inner(*json, reader.file(), reader.PathOf(key));
  const bool is_text = inner.Has("String");
  const std::string source = inner.RequireString(is_text ? "String" : "Regex");
  if (source.empty()) inner.Fail(is_text ? "String" : "Regex", "an empty pattern");
  LODESTONE_RETURN_IF_ERROR(inner.Finish());
  if (is_text) return Pattern(source);
  Result<Regex> regex = Regex::Compile(source);
  if (!regex.ok()) {
    inner.Fail("Regex", regex.error().message, regex.error().code);
    return inner.status().error();
  }
  return Pattern(*std::move(regex));
}

PatternSearch::PatternSearch(const Pattern& pattern)
    : form_(pattern.text() != nullptr ? std::variant<std::string_view, RegexSearch>(std::string_view(*pattern.text()))
                                      : std::variant<std::string_view, RegexSearch>(RegexSearch(*pattern.regex()))) {}

Result<std::span<const TextRange>> PatternSearch::FindAll(std::string_view text) {
  if (RegexSearch* regex = std::get_if<RegexSearch>(&form_)) return regex->FindAll(text);
  const std::string_view wanted = std::get<std::string_view>(form_);
  found_.clear();
  for (size_t at = text.find(wanted); at != std::string_view::npos; at = text.find(wanted, at + wanted.size())) {
    found_.push_back({at, at + wanted.size()});
  }
  return std::span<const TextRange>(found_);
}

}  // namespace lodestone
