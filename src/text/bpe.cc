#include "text/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/quote.h"
#include "base/split_mix.h"
#include "text/utf8.h"

namespace lodestone {
namespace {

constexpr int32_t kNone = -1;

// The two halves of a rule, written "a b" or ["a", "b"].
std::optional<std::pair<std::string_view, std::string_view>> HalvesOf(const Json& rule) {
  if (const std::string* text = rule.as_string()) {
    const size_t space = text->find(' ');
    if (space == std::string::npos || text->find(' ', space + 1) != std::string::npos) return std::nullopt;
    return std::pair(std::string_view(*text).substr(0, space), std::string_view(*text).substr(space + 1));
  }
  const Json::Array* pair = rule.as_array();
  if (pair == nullptr || pair->size() != 2) return std::nullopt;
  const std::string* left = (*pair)[0].as_string();
  const std::string* right = (*pair)[1].as_string();
  if (left == nullptr || right == nullptr) return std::nullopt;
  return std::pair<std::string_view, std::string_view>(*left, *right);
}

std::vector<int32_t> FindByteTokens(const Vocabulary& vocabulary) {
  std::vector<int32_t> tokens;
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(vocabulary.Find(fmt::format("<0x{:02X}>", byte)).value_or(kNone));
  }
  return tokens;
}

}  // namespace

size_t Bpe::PairHash::operator()(uint64_t pair) const { return static_cast<size_t>(SplitMixFinal(pair)); }

Bpe Bpe::Make(std::span<const Rule> rules, const Settings& settings, const Vocabulary& vocabulary) {
  Bpe model;
  model.settings_ = settings;
  if (settings.byte_fallback) model.byte_tokens_ = FindByteTokens(vocabulary);
  model.merges_.reserve(rules.size());
  for (const Rule& rule : rules) {
    model.merges_.insert_or_assign(PairOf(rule.left, rule.right), Merge{rule.rank, rule.whole});
  }
  return model;
}

Result<Bpe::Rule> Bpe::FindRule(std::string_view left, std::string_view right, int32_t rank,
                                const Vocabulary& vocabulary) {
  const std::string whole = std::string(left).append(right);
  std::array<int32_t, 3> ids{};
  const std::array<std::string_view, 3> tokens = {left, right, whole};
  for (size_t i = 0; i < ids.size(); ++i) {
    const std::optional<int32_t> id = vocabulary.Find(tokens[i]);
    if (!id) return Invalid(fmt::format("{} is not in the vocabulary", Quoted(tokens[i])));
    ids[i] = *id;
  }
  return Rule{ids[0], ids[1], ids[2], rank};
}

Result<Bpe> Bpe::Read(ObjectReader& reader, const Vocabulary& vocabulary) {
  if (reader.OptionalNumber("dropout", 0, 0, 1) != 0) {
    reader.Fail("dropout", "merges dropped at random give other tokens at each call; set it to null",
                ErrorCode::kUnsupported);
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!reader.OptionalString(key, "").empty())
      reader.Fail(key, "is not supported unless empty", ErrorCode::kUnsupported);
  }
  Settings settings;
  settings.fuse_unknown = reader.OptionalBool("fuse_unk", false);
  settings.ignore_merges = reader.OptionalBool("ignore_merges", false);
  settings.byte_fallback = reader.OptionalBool("byte_fallback", false);
  if (reader.Has("unk_token")) {
    const std::string unknown = reader.RequireString("unk_token");
    settings.unknown = vocabulary.Find(unknown);
    if (!settings.unknown) reader.Fail("unk_token", fmt::format("{} is not in the vocabulary", Quoted(unknown)));
  } else {
    reader.Ignore("unk_token");
  }
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<Rule> rules, ReadMerges(reader, vocabulary));
  return Make(rules, settings, vocabulary);
}

// The rank of a merge is its place in the list. A pair that is listed twice keeps its last one, as in the reference
// implementation.
Result<std::vector<Bpe::Rule>> Bpe::ReadMerges(ObjectReader& reader, const Vocabulary& vocabulary) {
  const Json* json = reader.Require("merges");
  LODESTONE_RETURN_IF_ERROR(reader.status());
  const Json::Array* list = json->as_array();
  if (list == nullptr) {
    reader.Fail("merges", fmt::format("found {}, expected an array", json->TypeName()));
    return reader.status().error();
  }
  std::vector<Rule> rules;
  rules.reserve(list->size());
  for (size_t i = 0; i < list->size(); ++i) {
    const auto fail = [&](const std::string& message) {
      reader.Fail(fmt::format("merges[{}]", i), message);
      return reader.status().error();
    };
    const auto halves = HalvesOf((*list)[i]);
    if (!halves) return fail("expected \"left right\" or [\"left\", \"right\"]");
    const Result<Rule> rule = FindRule(halves->first, halves->second, static_cast<int32_t>(i), vocabulary);
    if (!rule.ok()) return fail(rule.error().message);
    rules.push_back(*rule);
  }
  return rules;
}

Status Bpe::Encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& ids) const {
  if (settings_.ignore_merges) {
    if (const std::optional<int32_t> id = scratch.Find(piece)) {
      ids.push_back(*id);
      return {};
    }
  }
  LODESTONE_RETURN_IF_ERROR(Spell(piece, scratch));
  MergeAll(scratch);
  for (const Scratch::Symbol& symbol : scratch.symbols_) {
    if (symbol.id != kNone) ids.push_back(symbol.id);
  }
  return {};
}

// The symbols before any merge: characters, bytes, unknowns.
Status Bpe::Spell(std::string_view piece, Scratch& scratch) const {
  std::vector<Scratch::Symbol>& symbols = scratch.symbols_;
  symbols.clear();
  const auto add = [&](int32_t id) {
    const auto position = static_cast<int32_t>(symbols.size());
    symbols.push_back({id, position - 1, position + 1});
  };
  bool after_unknown = false;
  for (size_t i = 0; i < piece.size();) {
    const Utf8Unit unit = ReadUtf8(piece, i);
    const std::string_view character = piece.substr(i, unit.length);
    i += unit.length;
    if (const std::optional<int32_t> id = scratch.Find(character)) {
      add(*id);
      after_unknown = false;
      continue;
    }
    const auto token_of = [&](char byte) { return byte_tokens_[static_cast<uint8_t>(byte)]; };
    if (!byte_tokens_.empty() &&
        std::all_of(character.begin(), character.end(), [&](char byte) { return token_of(byte) != kNone; })) {
      for (const char byte : character) add(token_of(byte));
      after_unknown = false;
      continue;
    }
    if (!settings_.unknown) {
      return Invalid(
          fmt::format("the character {} (U+{:04X}) has no token, and the tokenizer has neither an unknown token "
                      "nor byte fallback for it",
                      Quoted(character), static_cast<uint32_t>(unit.value)));
    }
    if (!after_unknown || !settings_.fuse_unknown) add(*settings_.unknown);
    after_unknown = true;
  }
  if (!symbols.empty()) symbols.back().next = kNone;
  return {};
}

void Bpe::AddCandidate(Scratch& scratch, int32_t left) const {
  const Scratch::Symbol& symbol = scratch.symbols_[static_cast<size_t>(left)];
  if (symbol.next == kNone) return;
  const int32_t right_id = scratch.symbols_[static_cast<size_t>(symbol.next)].id;
  const auto found = merges_.find(PairOf(symbol.id, right_id));
  if (found == merges_.end() || !scratch.Allows(found->second.id)) return;
  scratch.heap_.push_back({found->second.rank, left, symbol.id, right_id, found->second.id});
}

void Bpe::MergeAll(Scratch& scratch) const {
  std::vector<Scratch::Symbol>& symbols = scratch.symbols_;
  std::vector<Scratch::Candidate>& heap = scratch.heap_;
  heap.clear();
  for (size_t i = 0; i < symbols.size(); ++i) AddCandidate(scratch, static_cast<int32_t>(i));
  std::make_heap(heap.begin(), heap.end());
  const auto push_candidate = [&](int32_t left) {
    const size_t before = heap.size();
    AddCandidate(scratch, left);
    if (heap.size() != before) std::push_heap(heap.begin(), heap.end());
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Scratch::Candidate best = heap.back();
    heap.pop_back();
    Scratch::Symbol& left = symbols[static_cast<size_t>(best.position)];
    if (left.id != best.left || left.next == kNone) continue;  // merged since the candidate was found
    Scratch::Symbol& right = symbols[static_cast<size_t>(left.next)];
    if (right.id != best.right) continue;
    left.id = best.id;
    left.next = right.next;
    right.id = kNone;
    if (left.next != kNone) symbols[static_cast<size_t>(left.next)].previous = best.position;
    if (left.previous != kNone) push_candidate(left.previous);
    push_candidate(best.position);
  }
}

}  // namespace lodestone
