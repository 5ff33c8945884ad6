#include <fmt/format.h>

#include "base/json.h"
#include "model/open_model.h"

namespace lodestone {
namespace {

constexpr int kBytes = 256;

// 0 → "ka", 1 → "ke", …: syllables of a consonant and a vowel, at least two letters, a space in front.
std::string MadeUpWord(int number) {
  constexpr std::string_view kConsonants = "klmnprst", kVowels = "aeiou";
  std::string word = " ";
  int rest = number;
  do {
    const auto syllable = static_cast<size_t>(rest) % (kConsonants.size() * kVowels.size());
    word += kConsonants[syllable / kVowels.size()];
    word += kVowels[syllable % kVowels.size()];
    rest /= static_cast<int>(kConsonants.size() * kVowels.size());
  } while (rest > 0);
  return word;
}

Json SpecialToken(int32_t id, const char* content) {
  Json token;
  token.Set("id", id).Set("content", content).Set("special", true);
  for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized"}) token.Set(flag, false);
  return token;
}

// Puts <s> in front of every text.
Json BeginOfText() {
  Json begin, sequence, ids;
  begin.Set("SpecialToken", Json::Object{{"id", "<s>"}, {"type_id", 0}});
  sequence.Set("Sequence", Json::Object{{"id", "A"}, {"type_id", 0}});
  ids.Set("id", "<s>").Set("ids", Json::Array{kByteTokenizerBos}).Set("tokens", Json::Array{"<s>"});
  Json processor;
  processor.Set("type", "TemplateProcessing");
  processor.Set("single", Json::Array{begin, sequence});
  processor.Set("pair", Json::Array{begin, sequence});
  processor.Set("special_tokens", Json::Object{{"<s>", ids}});
  return processor;
}

}  // namespace

Result<std::string> ByteTokenizerJson(int vocab) {
  if (vocab <= kByteTokenizerEos) {
    return Infeasible(
        fmt::format("without a tokenizer text is read byte by byte, which needs a vocabulary of {} ids or more; "
                    "this shape has {}",
                    kByteTokenizerEos + 1, vocab));
  }
  Json::Object ids;
  for (int byte = 0; byte < kBytes; ++byte) ids.emplace_back(fmt::format("<0x{:02X}>", byte), byte);
  ids.emplace_back("<s>", kByteTokenizerBos);
  ids.emplace_back("</s>", kByteTokenizerEos);
  for (int id = kByteTokenizerEos + 1; id < vocab; ++id) ids.emplace_back(MadeUpWord(id - kByteTokenizerEos - 1), id);

  Json model;
  model.Set("type", "BPE").Set("byte_fallback", true).Set("vocab", std::move(ids)).Set("merges", Json::Array{});
  Json tokenizer;
  tokenizer.Set("version", "1.0").Set("model", std::move(model));
  tokenizer.Set("added_tokens",
                Json::Array{SpecialToken(kByteTokenizerBos, "<s>"), SpecialToken(kByteTokenizerEos, "</s>")});
  tokenizer.Set("post_processor", BeginOfText());
  const Json::Array decoders{Json::Object{{"type", "ByteFallback"}}, Json::Object{{"type", "Fuse"}}};
  tokenizer.Set("decoder", Json::Object{{"type", "Sequence"}, {"decoders", decoders}});
  return tokenizer.Dump(-1);
}

Result<std::shared_ptr<const Tokenizer>> MakeByteTokenizer(int vocab) {
  LODESTONE_ASSIGN_OR_RETURN(const std::string json, ByteTokenizerJson(vocab));
  return Tokenizer::Parse(json, "the built-in byte tokenizer");
}

}  // namespace lodestone
