// The cutting of a text into the pieces within which the model merges: ByteLevel, Split, Digits, Metaspace, Whitespace,
// WhitespaceSplit, Punctuation.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "text/components.h"
#include "text/pattern.h"

namespace lodestone {

// A text and the pieces of it that the model sees, in order. Between pieces there may be gaps.
struct Pieces {
  struct Piece {
    TextRange range;
    bool at_start;  // begins where the user's text begins
  };
  std::string text;
  std::vector<Piece> pieces;

  std::string_view View(const Piece& piece) const {
    return std::string_view(text).substr(piece.range.begin, piece.range.end - piece.range.begin);
  }
};

class PreTokenizer {
 public:
  // `json` is the value of "pre_tokenizer" or null (the whole text is one piece).
  static Result<PreTokenizer> Read(const Json* json, const JsonPlace& place);
  // `text` is valid UTF-8. `at_start`: it begins where the user's text begins.
  Result<Pieces> Apply(std::string text, bool at_start) const;

 private:
  // What becomes of the matches of a pattern.
  enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
  struct Split {
    Pattern pattern;
    Behavior behavior;
    bool invert;  // the pattern describes what lies between the matches
  };
  struct ByteLevel {
    bool add_prefix_space;
    std::optional<Split> split;
  };
  enum class PrependScheme { kAlways, kFirst, kNever };
  struct Metaspace {
    std::string replacement;
    PrependScheme prepend;
    std::optional<Split> split;
  };
  using Step = std::variant<Split, ByteLevel, Metaspace>;

  static Behavior ReadBehavior(ObjectReader& reader);
  static Result<Step> ReadStep(ObjectReader& reader, std::string_view type);
  static Result<Step> ReadMetaspace(ObjectReader& reader);
  static Result<Split> SplitBy(std::string_view pattern, Behavior behavior);
  static Result<Pieces> Apply(const Split& step, Pieces in);
  static Result<Pieces> Apply(const ByteLevel& step, Pieces in);
  static Result<Pieces> Apply(const Metaspace& step, const Pieces& in);

  std::vector<Step> steps_;
};

}  // namespace lodestone
