#include "text/cutting_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/quote.h"

namespace lodestone {
namespace {

// One published way to cut: the patterns, one after the other, of which each cuts the pieces of the one before.
struct Style {
  std::vector<std::string_view> names;
  std::vector<std::string_view> patterns;  // none: GPT-2's own, which the ByteLevel step brings
  bool gpt2_last = false;                  // GPT-2's pattern follows the others
  bool nfc = false;
  bool ignore_merges = false, add_bos = false;
};

// As the tokenizer.json files of the models write them (Llama 3, Qwen 2, Mistral Nemo, StarCoder, …).
const std::vector<Style>& Styles() {
  static const std::vector<Style> styles = {
      {.names = {"gpt-2", "phi-2", "mpt", "mellum", "gigachat", "trillion", "granite-docling"}, .gpt2_last = true},
      {.names = {"olmo"}, .gpt2_last = true, .nfc = true},  // GPT-NeoX's
      {.names = {"refact", "starcoder", "command-r", "smollm", "codeshell", "exaone", "minerva-7b"},
       .patterns = {R"(\p{N})"},
       .gpt2_last = true},
      // What files say whose model was not known to their converter.
      {.names = {"default"}, .patterns = {R"([\p{P}\$\+<=>\^~\|]+)"}, .gpt2_last = true},
      {.names = {"llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"},
       .patterns = {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
                    R"(\s*[\r\n]+|\s+(?!\S)|\s+)"},
       .ignore_merges = true,
       .add_bos = true},
      {.names = {"dbrx", "smaug-bpe"},
       .patterns = {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
                    R"(\s*[\r\n]+|\s+(?!\S)|\s+)"}},
      {.names = {"qwen2", "deepseek-r1-qwen", "stablelm2"},
       .patterns = {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
                    R"(\s*[\r\n]+|\s+(?!\S)|\s+)"},
       .nfc = true},
      {.names = {"tekken"},
       .patterns = {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
                    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
                    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
       .ignore_merges = true,
       .add_bos = true},
  };
  return styles;
}

Json SplitAt(std::string_view pattern) {
  Json step;
  step.Set("type", "Split")
      .Set("pattern", Json::Object{{"Regex", pattern}})
      .Set("behavior", "Isolated")
      .Set("invert", false);
  return step;
}

Json PreTokenizerOf(const Style& style) {
  Json::Array steps;
  for (const std::string_view pattern : style.patterns) steps.push_back(SplitAt(pattern));
  steps.push_back(Json::Object{
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", style.gpt2_last}});
  Json sequence;
  sequence.Set("type", "Sequence").Set("pretokenizers", std::move(steps));
  return sequence;
}

}  // namespace

Result<Cutting> FindCutting(std::string_view name) {
  std::vector<std::string_view> known;
  for (const Style& style : Styles()) {
    if (std::find(style.names.begin(), style.names.end(), name) == style.names.end()) {
      known.insert(known.end(), style.names.begin(), style.names.end());
      continue;
    }
    Cutting cutting{
        .pre_tokenizer = PreTokenizerOf(style), .ignore_merges = style.ignore_merges, .add_bos = style.add_bos};
    if (style.nfc) cutting.normalizer = Json::Object{{"type", "NFC"}};
    return cutting;
  }
  return Unsupported(
      fmt::format("the pre-tokenizer {} is not supported; supported are {}", Quoted(name), fmt::join(known, ", ")));
}

}  // namespace lodestone
