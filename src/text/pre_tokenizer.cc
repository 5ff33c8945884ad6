#include "text/pre_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/quote.h"
#include "text/byte_level.h"

namespace lodestone {
namespace {

// Radford et al. 2019: contractions, words, numbers, other marks, and white space of which the last may join a word.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// Words (UTS 18, annex C) and what is neither word nor space.
constexpr std::string_view kWordsPattern =
    R"([\p{Alphabetic}\x{200c}\x{200d}\p{M}\p{Nd}\p{Pc}]+|[^\p{Alphabetic}\x{200c}\x{200d}\p{M}\p{Nd}\p{Pc}\s]+)";
constexpr std::string_view kPunctuationPattern = R"([\p{P}$+<=>^`|~])";

constexpr std::string_view kSupported =
    "ByteLevel, Split, Digits, Metaspace, Punctuation, Whitespace, WhitespaceSplit and Sequence";

// A stretch of a piece, matched by the pattern or not; both kinds together cover it.
struct Stretch {
  TextRange range;
  bool match;
};

std::vector<Stretch> Alternate(std::span<const TextRange> matches, size_t size, bool invert) {
  std::vector<Stretch> stretches;
  size_t done = 0;
  for (const TextRange& match : matches) {
    if (match.begin > done) stretches.push_back({{done, match.begin}, invert});
    stretches.push_back({match, !invert});
    done = match.end;
  }
  if (done < size) stretches.push_back({{done, size}, invert});
  return stretches;
}

// Whether a stretch continues the piece of the one before it.
template <typename Joins>
std::vector<TextRange> Join(const std::vector<Stretch>& stretches, Joins joins) {
  std::vector<TextRange> ranges;
  for (size_t i = 0; i < stretches.size(); ++i) {
    if (i > 0 && joins(stretches[i - 1], stretches[i])) {
      ranges.back().end = stretches[i].range.end;
    } else {
      ranges.push_back(stretches[i].range);
    }
  }
  return ranges;
}

}  // namespace

Result<PreTokenizer> PreTokenizer::Read(const Json* json, const JsonPlace& place) {
  PreTokenizer result;
  bool byte_level = false;
  const auto read = [&](ObjectReader& reader, std::string_view type) -> Status {
    if (type == "ByteLevel" && std::exchange(byte_level, true)) {
      reader.Fail("type", "a second ByteLevel would spell the bytes of the first one's letters",
                  ErrorCode::kUnsupported);
      return reader.status();
    }
    LODESTONE_ASSIGN_OR_RETURN(Step step, ReadStep(reader, type));
    result.steps_.push_back(std::move(step));
    return reader.status();
  };
  LODESTONE_RETURN_IF_ERROR(ReadSteps(json, place, "pretokenizers", read));
  return result;
}

PreTokenizer::Behavior PreTokenizer::ReadBehavior(ObjectReader& reader) {
  const std::string name = reader.OptionalString("behavior", "Isolated");
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  reader.Fail("behavior", fmt::format("found {}, expected Removed, Isolated, MergedWithPrevious, MergedWithNext or "
                                      "Contiguous",
                                      Quoted(name)));
  return Behavior::kIsolated;
}

Result<PreTokenizer::Split> PreTokenizer::SplitBy(std::string_view pattern, Behavior behavior) {
  LODESTONE_ASSIGN_OR_RETURN(Regex regex, Regex::Compile(pattern));
  return Split{Pattern(std::move(regex)), behavior, false};
}

Result<PreTokenizer::Step> PreTokenizer::ReadStep(ObjectReader& reader, std::string_view type) {
  const auto split_by = [](std::string_view pattern, Behavior behavior) -> Result<Step> {
    LODESTONE_ASSIGN_OR_RETURN(Split split, SplitBy(pattern, behavior));
    return Step(std::move(split));
  };
  if (type == "Split") {
    LODESTONE_ASSIGN_OR_RETURN(Pattern pattern, Pattern::Read(reader, "pattern"));
    if (!reader.Has("behavior")) reader.Require("behavior");
    const Behavior behavior = ReadBehavior(reader);
    return Step(Split{std::move(pattern), behavior, reader.OptionalBool("invert", false)});
  }
  if (type == "ByteLevel") {
    ByteLevel step{reader.OptionalBool("add_prefix_space", true), std::nullopt};
    reader.Ignore("trim_offsets");
    if (reader.OptionalBool("use_regex", true)) {
      LODESTONE_ASSIGN_OR_RETURN(step.split, SplitBy(kGpt2Pattern, Behavior::kIsolated));
    }
    return Step(std::move(step));
  }
  if (type == "Digits") {
    const bool individual = reader.OptionalBool("individual_digits", false);
    return split_by(R"(\p{N})", individual ? Behavior::kIsolated : Behavior::kContiguous);
  }
  if (type == "Metaspace") return ReadMetaspace(reader);
  if (type == "Punctuation") return split_by(kPunctuationPattern, ReadBehavior(reader));
  if (type == "WhitespaceSplit") return split_by(R"(\s)", Behavior::kRemoved);
  if (type == "Whitespace") {
    LODESTONE_ASSIGN_OR_RETURN(Split split, SplitBy(kWordsPattern, Behavior::kRemoved));
    split.invert = true;  // the pattern describes what is kept
    return Step(std::move(split));
  }
  return UnknownStep(reader, type, kSupported).error();
}

Result<PreTokenizer::Step> PreTokenizer::ReadMetaspace(ObjectReader& reader) {
  LODESTONE_ASSIGN_OR_RETURN(std::string replacement, ReadCharacter(reader, "replacement"));
  reader.Ignore("str_rep");  // the replacement again, in files of old versions
  const bool add_prefix_space = reader.OptionalBool("add_prefix_space", true);
  const std::string scheme = reader.OptionalString("prepend_scheme", add_prefix_space ? "always" : "never");
  PrependScheme prepend = PrependScheme::kNever;
  if (scheme == "always" || scheme == "first") {
    prepend = scheme == "always" ? PrependScheme::kAlways : PrependScheme::kFirst;
    if (!add_prefix_space)
      reader.Fail("prepend_scheme", fmt::format("{} contradicts add_prefix_space", Quoted(scheme)));
  } else if (scheme != "never") {
    reader.Fail("prepend_scheme", fmt::format("found {}, expected always, first or never", Quoted(scheme)));
  }
  std::optional<Split> split;
  if (reader.OptionalBool("split", true)) split = Split{Pattern(replacement), Behavior::kMergedWithNext, false};
  return Step(Metaspace{std::move(replacement), prepend, std::move(split)});
}

Result<Pieces> PreTokenizer::Apply(std::string text, bool at_start) const {
  Pieces pieces;
  if (!text.empty()) pieces.pieces.push_back({{0, text.size()}, at_start});
  pieces.text = std::move(text);
  for (const Step& step : steps_) {
    LODESTONE_ASSIGN_OR_RETURN(pieces, std::visit([&](const auto& s) { return Apply(s, std::move(pieces)); }, step));
  }
  return pieces;
}

Result<Pieces> PreTokenizer::Apply(const Split& step, Pieces in) {
  PatternSearch search(step.pattern);
  std::vector<Pieces::Piece> out;
  out.reserve(in.pieces.size());
  for (const Pieces::Piece& piece : in.pieces) {
    const std::string_view text = in.View(piece);
    LODESTONE_ASSIGN_OR_RETURN(const std::span<const TextRange> matches, search.FindAll(text));
    std::vector<Stretch> stretches = Alternate(matches, text.size(), step.invert);
    std::vector<TextRange> ranges;
    switch (step.behavior) {
      case Behavior::kRemoved:
        std::erase_if(stretches, [](const Stretch& s) { return s.match; });
        [[fallthrough]];
      case Behavior::kIsolated:
        ranges = Join(stretches, [](const Stretch&, const Stretch&) { return false; });
        break;
      case Behavior::kContiguous:
        ranges = Join(stretches, [](const Stretch& a, const Stretch& b) { return a.match == b.match; });
        break;
      case Behavior::kMergedWithPrevious:
        ranges = Join(stretches, [](const Stretch& a, const Stretch& b) { return !a.match && b.match; });
        break;
      case Behavior::kMergedWithNext:
        ranges = Join(stretches, [](const Stretch& a, const Stretch& b) { return a.match && !b.match; });
        break;
    }
    for (const TextRange& range : ranges) {
      if (range.begin == range.end) continue;
      const size_t base = piece.range.begin;
      out.push_back({{base + range.begin, base + range.end}, piece.at_start && range.begin == 0});
    }
  }
  in.pieces = std::move(out);
  return in;
}

Result<Pieces> PreTokenizer::Apply(const ByteLevel& step, Pieces in) {
  if (step.add_prefix_space) {
    Pieces prefixed;
    for (const Pieces::Piece& piece : in.pieces) {
      const std::string_view text = in.View(piece);
      const size_t begin = prefixed.text.size();
      if (!text.starts_with(' ')) prefixed.text += ' ';
      prefixed.text += text;
      prefixed.pieces.push_back({{begin, prefixed.text.size()}, piece.at_start});
    }
    in = std::move(prefixed);
  }
  if (step.split) {
    LODESTONE_ASSIGN_OR_RETURN(in, Apply(*step.split, std::move(in)));
  }
  Pieces out;
  out.text.reserve(in.text.size() + in.text.size() / 2);
  out.pieces.reserve(in.pieces.size());
  for (const Pieces::Piece& piece : in.pieces) {
    const size_t begin = out.text.size();
    AppendByteLevel(out.text, in.View(piece));
    out.pieces.push_back({{begin, out.text.size()}, piece.at_start});
  }
  return out;
}

Result<Pieces> PreTokenizer::Apply(const Metaspace& step, const Pieces& in) {
  Pieces out;
  for (const Pieces::Piece& piece : in.pieces) {
    const std::string_view text = in.View(piece);
    const size_t begin = out.text.size();
    const bool wanted =
        step.prepend == PrependScheme::kAlways || (step.prepend == PrependScheme::kFirst && piece.at_start);
    if (wanted && !text.starts_with(' ') && !text.starts_with(step.replacement)) out.text += step.replacement;
    for (const char c : text) {
      if (c == ' ') {
        out.text += step.replacement;
      } else {
        out.text += c;
      }
    }
    out.pieces.push_back({{begin, out.text.size()}, piece.at_start});
  }
  if (!step.split) return out;
  return Apply(*step.split, std::move(out));
}

}  // namespace lodestone
