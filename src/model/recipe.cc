#include "model/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <optional>

#include "base/quote.h"

namespace lodestone {
namespace {

// One row of DESIGN's table by the codes of its columns; the scales follow from the codes and the suffixes.
struct Row {
  std::string_view name;
  Code weights;
  Code activations;
  Code query;
  Code probability;
  Code kv;
  Code output_weights, output_input;
  Code down_input;
  Code stream;
  bool static_by_default;
};

using enum Code;
constexpr auto kRows = std::to_array<Row>({
    {"f32", kF32, kF32, kF32, kF32, kF32, kF32, kF32, kF32, kF32, false},
    {"bf16", kBf16, kBf16, kBf16, kBf16, kBf16, kBf16, kBf16, kBf16, kBf16, false},
    {"w8a8", kInt8, kInt8, kInt8, kUint8, kInt8, kInt8, kInt8, kInt8, kBf16, false},
    {"w4a16", kInt4, kBf16, kBf16, kBf16, kBf16, kInt8, kBf16, kBf16, kBf16, false},
    {"w4a8", kInt4, kInt8, kInt8, kUint8, kInt8, kInt8, kInt8, kInt8, kBf16, false},
    {"w4a8c8", kInt4, kInt8, kInt8, kUint8, kInt8, kInt8, kInt8, kInt8, kBf16, true},
    {"w4a4", kInt4, kInt4, kInt4, kUint4, kInt4, kInt8, kInt8, kInt8, kBf16, false},
    {"w2a8", kInt2, kInt8, kInt8, kUint8, kInt8, kInt8, kInt8, kInt8, kBf16, false},
    {"w2a4", kInt2, kInt4, kInt4, kUint4, kInt4, kInt8, kInt8, kInt8, kBf16, false},
    {"w8a16", kInt8, kBf16, kBf16, kBf16, kBf16, kInt8, kBf16, kBf16, kBf16, false},
    {"w2a16", kInt2, kBf16, kBf16, kBf16, kBf16, kInt8, kBf16, kBf16, kBf16, false},
    {"f8", kFp8, kFp8, kBf16, kBf16, kBf16, kBf16, kBf16, kFp8, kBf16, false},
});

struct Suffixes {
  std::optional<uint16_t> group;
  std::optional<bool> is_static;
  std::optional<int> kv_bits;
};

Error Unknown(std::string_view what, std::string_view found, std::string_view text) {
  return Invalid(fmt::format(
      "recipe {}: {} {} is not known; recipes are {}, each with optional suffixes :g32, :g64 or :g128 (groups of "
      "int4 weights), :static or :dynamic (scales of integer activations) and :kv8 or :kv4 (K and V, estimates only)",
      Quoted(text), what, Quoted(found), fmt::join(RecipeNames(), ", ")));
}

Result<Suffixes> ReadSuffixes(std::string_view text, std::string_view rest) {
  Suffixes suffixes;
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the colon
    const std::string_view word = rest.substr(0, rest.find(':'));
    rest.remove_prefix(word.size());
    if (word == "g32" || word == "g64" || word == "g128") {
      if (suffixes.group) return Invalid(fmt::format("recipe {}: more than one group suffix", Quoted(text)));
      suffixes.group = static_cast<uint16_t>(word == "g32" ? 32 : word == "g64" ? 64 : 128);
    } else if (word == "static" || word == "dynamic") {
      if (suffixes.is_static)
        return Invalid(fmt::format("recipe {}: more than one of :static, :dynamic", Quoted(text)));
      suffixes.is_static = word == "static";
    } else if (word == "kv8" || word == "kv4") {
      if (suffixes.kv_bits) return Invalid(fmt::format("recipe {}: more than one of :kv8, :kv4", Quoted(text)));
      suffixes.kv_bits = word == "kv8" ? 8 : 4;
    } else {
      return Unknown("the suffix", word, text);
    }
  }
  return suffixes;
}

Format Weights(Code code, uint16_t group) {
  if (!IsScaled(code)) return {code, Scales::kNone, 0};
  return group == 0 ? Format{code, Scales::kChannel, 0} : Format{code, Scales::kGroup, group};
}

Format Activations(Code code, bool is_static, Scales dynamic) {
  if (!IsScaled(code)) return {code, Scales::kNone, 0};
  return {code, is_static ? Scales::kStatic : dynamic, 0};
}

}  // namespace

Result<Recipe> ParseRecipe(std::string_view text) {
  const std::string_view name = text.substr(0, text.find(':'));
  const Row* row = nullptr;
  for (const Row& candidate : kRows) {
    if (candidate.name == name) row = &candidate;
  }
  if (row == nullptr) return Unknown("the name", name, text);
  LODESTONE_ASSIGN_OR_RETURN(const Suffixes suffixes, ReadSuffixes(text, text.substr(name.size())));
  if (suffixes.group && row->weights != Code::kInt4) {
    return Invalid(
        fmt::format("recipe {}: group scales are for int4 weights (an int8 code times a group's multiplier is no "
                    "int8), and those of {} are {}",
                    Quoted(text), name, ToString(row->weights)));
  }
  if (suffixes.is_static && !IsInteger(row->activations)) {
    return Invalid(
        fmt::format("recipe {}: :static and :dynamic choose the scales of integer activations, and those of {} "
                    "are {}",
                    Quoted(text), name, ToString(row->activations)));
  }

  Code kv = row->kv;
  if (suffixes.kv_bits) {
    if (BitsOf(kv) <= *suffixes.kv_bits) {
      return Invalid(fmt::format("recipe {}: K and V of {} are {} already; a KV suffix makes them smaller",
                                 Quoted(text), name, ToString(kv)));
    }
    kv = *suffixes.kv_bits == 4 ? Code::kInt4 : row->weights == Code::kFp8 ? Code::kFp8 : Code::kInt8;
  }
  const bool is_static = suffixes.is_static.value_or(row->static_by_default);
  Recipe recipe;
  recipe.name = std::string(text);
  recipe.weights = Weights(row->weights, suffixes.group.value_or(0));
  recipe.activations = Activations(row->activations, is_static, Scales::kToken);
  recipe.query = Activations(row->query, is_static, Scales::kHead);
  recipe.probability = Activations(row->probability, is_static, Scales::kToken);
  recipe.kv = Activations(kv, is_static, Scales::kHead);
  recipe.output_weights = Weights(row->output_weights, 0);
  recipe.output_input = Activations(row->output_input, is_static, Scales::kToken);
  recipe.down_input = Activations(row->down_input, is_static, Scales::kToken);
  recipe.stream = row->stream;
  return recipe;
}

std::vector<std::string> RecipeNames() {
  std::vector<std::string> names;
  for (const Row& row : kRows) names.emplace_back(row.name);
  return names;
}

}  // namespace lodestone
