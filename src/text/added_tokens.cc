#include "text/added_tokens.h"

#include <fmt/format.h>

#include "base/quote.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace lodestone {
namespace {

// The search restarts at every byte, so this bounds its cost on texts that nearly match.
constexpr size_t kMaxContentBytes = 1024;

AddedToken ReadToken(ObjectReader& reader) {
  AddedToken token;
  token.id = static_cast<int32_t>(reader.RequireInt("id", 0, kMaxVocabulary - 1));
  token.content = reader.RequireString("content");
  token.single_word = reader.OptionalBool("single_word", false);
  token.lstrip = reader.OptionalBool("lstrip", false);
  token.rstrip = reader.OptionalBool("rstrip", false);
  token.special = reader.OptionalBool("special", false);
  token.normalized = reader.OptionalBool("normalized", !token.special);
  if (token.content.empty()) reader.Fail("content", "an empty token");
  if (token.content.size() > kMaxContentBytes) {
    reader.Fail("content", fmt::format("{} bytes; the limit is {}", token.content.size(), kMaxContentBytes));
  }
  return token;
}

bool IsWordAt(std::string_view text, size_t position) {
  return position < text.size() && IsWord(ReadUtf8(text, position).value);
}

bool IsWordBefore(std::string_view text, size_t position) {
  return position > 0 && IsWord(ReadUtf8(text, PreviousCharacter(text, position)).value);
}

size_t SkipSpaceBackwards(std::string_view text, size_t position, size_t stop) {
  while (position > stop) {
    const size_t previous = PreviousCharacter(text, position);
    if (!IsWhitespace(ReadUtf8(text, previous).value)) break;
    position = previous;
  }
  return position;
}

size_t SkipSpace(std::string_view text, size_t position) {
  while (position < text.size()) {
    const Utf8Unit unit = ReadUtf8(text, position);
    if (!IsWhitespace(unit.value)) break;
    position += unit.length;
  }
  return position;
}

}  // namespace

ByteTrie::ByteTrie() : values_(1, kNoValue) {}

void ByteTrie::Add(std::string_view content, size_t value) {
  first_[static_cast<uint8_t>(content[0])] = true;
  uint64_t node = 0;
  for (const char c : content) {
    const auto [edge, added] =
        edges_.try_emplace(node * 256 + static_cast<uint8_t>(c), static_cast<uint32_t>(values_.size()));
    if (added) values_.push_back(kNoValue);
    node = edge->second;
  }
  if (values_[node] == kNoValue) values_[node] = value;
}

std::optional<ByteTrie::Match> ByteTrie::LongestAt(std::string_view text, size_t position) const {
  if (!first_[static_cast<uint8_t>(text[position])]) return std::nullopt;
  std::optional<Match> best;
  uint64_t node = 0;
  for (size_t i = position; i < text.size(); ++i) {
    const auto edge = edges_.find(node * 256 + static_cast<uint8_t>(text[i]));
    if (edge == edges_.end()) break;
    node = edge->second;
    if (values_[node] != kNoValue) best = Match{i + 1 - position, values_[node]};
  }
  return best;
}

Result<AddedTokens> AddedTokens::Read(const Json* json, const JsonPlace& place, const Normalizer& normalizer,
                                      Vocabulary& vocabulary) {
  AddedTokens result;
  if (json == nullptr || json->is_null()) return result;
  if (json->as_array() == nullptr) {
    return Invalid(
        fmt::format("{}: key {}: found {}, expected an array", place.file, Quoted(place.path), json->TypeName()));
  }
  for (const Json& entry : *json->as_array()) {
    ObjectReader reader(entry, place.file, fmt::format("{}[{}]", place.path, result.tokens_.size()));
    AddedToken token = ReadToken(reader);
    LODESTONE_RETURN_IF_ERROR(reader.Finish());
    if (const Status added = vocabulary.AddAddedToken(token.content, token.id, token.special); !added.ok()) {
      reader.Fail("id", added.error().message);
      return reader.status().error();
    }
    const size_t index = result.tokens_.size();
    if (token.normalized) {
      LODESTONE_ASSIGN_OR_RETURN(const std::string content, normalizer.Apply(token.content));
      if (!content.empty()) result.normalized_.Add(content, index);
    } else {
      result.plain_.Add(token.content, index);
    }
    result.tokens_.push_back(std::move(token));
  }
  return result;
}

std::vector<AddedTokenSpan> AddedTokens::Split(std::string_view text, bool normalized, bool parse_special) const {
  const ByteTrie& trie = normalized ? normalized_ : plain_;
  std::vector<AddedTokenSpan> spans;
  size_t done = 0;
  for (size_t at = 0; !trie.empty() && at < text.size();) {
    const std::optional<ByteTrie::Match> match = trie.LongestAt(text, at);
    if (!match) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[match->value];
    const size_t begin = at;
    at += match->length;
    if (token.special && !parse_special) continue;
    if (token.single_word && (IsWordBefore(text, begin) || IsWordAt(text, at))) continue;
    const size_t from = token.lstrip ? SkipSpaceBackwards(text, begin, done) : begin;
    if (token.rstrip) at = SkipSpace(text, at);
    if (from > done) spans.push_back({{done, from}, std::nullopt});
    spans.push_back({{from, at}, token.id});
    done = at;
  }
  if (done < text.size()) spans.push_back({{done, text.size()}, std::nullopt});
  return spans;
}

}  // namespace lodestone
