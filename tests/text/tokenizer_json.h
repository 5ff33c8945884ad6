// Small tokenizer.json texts for tests: vocabularies that fit on a page, components as the tests state them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/byte_level.h"

namespace lodestone::testing {

// The components of one file; empty means null.
struct TokenizerText {
  std::string model;
  std::string normalizer = "null";
  std::string pre_tokenizer = "null";
  std::string post_processor = "null";
  std::string decoder = "null";
  std::string added_tokens = "[]";

  std::string Json() const {
    return R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":)" + added_tokens + R"(,"normalizer":)" +
           normalizer + R"(,"pre_tokenizer":)" + pre_tokenizer + R"(,"post_processor":)" + post_processor +
           R"(,"decoder":)" + decoder + R"(,"model":)" + model + "}";
  }
};

inline std::string Quote(std::string_view text) { return Json(text).Dump(-1); }

// {"id": …, "content": …} with the given flags set, such as {"special", "lstrip"}.
inline std::string AddedTokenJson(int id, std::string_view content, const std::vector<std::string>& flags) {
  Json token;
  token.Set("id", id).Set("content", content);
  for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized", "special"}) token.Set(flag, false);
  for (const std::string& flag : flags) token.Set(flag, true);
  return token.Dump(-1);
}

// Byte-level BPE: the letter of byte b is token b, the i-th merge makes token 256 + i. Some merges join what the split
// patterns keep apart, so that a wrong cut shows in the ids.
inline std::string ByteLevelModel(bool ignore_merges = false) {
  static const std::vector<std::pair<const char*, const char*>> kMerges = {
      {"Ġ", "t"}, {"h", "e"},    {"Ġt", "he"}, {"i", "n"}, {"l", "l"}, {"o", "w"},  {"Ġ", "Ġ"},  {"ĠĠ", "ĠĠ"},
      {"Ċ", "Ċ"}, {"1", "2"},    {"12", "3"},  {"3", "4"}, {"4", "5"}, {"'", "s"},  {"'", "ll"}, {"f", "Ġ"},
      {"ĉ", "ĉ"}, {"č", "Ċ"},    {"!", "!"},   {"!", "Ċ"}, {"Ã", "©"}, {"Ġ", "1"},  {"e", "Ġ"},  {":", "Ċ"},
      {"Ċ", "Ġ"}, {"Ġ", "Ġthe"}, {"S", "S"},   {"'", "S"}, {"ð", "Ł"}, {"ðŁ", "ĳ"}, {"Ġ", "Ð"},  {"H", "e"}};
  Json vocab, merges = Json(Json::Array());
  for (int byte = 0; byte < 256; ++byte) {
    vocab.Set(ToByteLevel(std::string(1, static_cast<char>(byte))), byte);
  }
  int id = 256;
  for (const auto& [left, right] : kMerges) {
    vocab.Set(std::string(left) + right, id++);
    merges.as_array()->push_back(Json(Json::Array{Json(left), Json(right)}));
  }
  Json model;
  model.Set("type", "BPE").Set("dropout", nullptr).Set("unk_token", nullptr).Set("fuse_unk", false);
  model.Set("byte_fallback", false).Set("ignore_merges", ignore_merges).Set("vocab", vocab).Set("merges", merges);
  return model.Dump(-1);
}
inline constexpr int kByteLevelSize = 256 + 32;

// SentencePiece's manner: <unk> <s> </s>, 256 byte tokens from id 3, the characters below from id 259, then merges.
inline std::string SentencePieceModel(bool byte_fallback = true, bool fuse_unknown = true) {
  Json vocab;
  int id = 0;
  for (const char* token : {"<unk>", "<s>", "</s>"}) vocab.Set(token, id++);
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (size_t byte = 0; byte < 256; ++byte) {
    vocab.Set(std::string("<0x") + kHex[byte / 16] + kHex[byte % 16] + ">", id++);
  }
  for (const char* character : {"▁", "a", "b", "c", "d", "e", "h", "l", "o", "r", "w", "H", "!", "é", "<", "s", ">"}) {
    vocab.Set(character, id++);
  }
  Json merges = Json(Json::Array());
  for (const std::string rule : {"l l", "▁ w", "o r", "▁w or", "H e", "▁ He", "▁ ▁", "ll o", "a b"}) {
    std::string joined = rule;
    joined.erase(joined.find(' '), 1);
    vocab.Set(joined, id++);
    merges.as_array()->push_back(Json(rule));
  }
  Json model;
  model.Set("type", "BPE").Set("unk_token", "<unk>").Set("fuse_unk", fuse_unknown).Set("byte_fallback", byte_fallback);
  model.Set("vocab", vocab).Set("merges", merges);
  return model.Dump(-1);
}

inline std::string WordLevelModel(const std::vector<std::string>& words, std::string_view unknown = "[UNK]") {
  Json vocab;
  int id = 0;
  for (const std::string& word : words) vocab.Set(word, id++);
  Json model;
  model.Set("type", "WordLevel").Set("vocab", vocab).Set("unk_token", unknown);
  return model.Dump(-1);
}

inline std::string RegexSplit(std::string_view pattern, std::string_view behavior = "Isolated", bool invert = false) {
  return R"({"type":"Split","pattern":{"Regex":)" + Quote(pattern) + R"(},"behavior":)" + Quote(behavior) +
         R"(,"invert":)" + (invert ? "true" : "false") + "}";
}

inline std::string ByteLevelStepJson(bool add_prefix_space, bool use_regex) {
  Json step;
  step.Set("type", "ByteLevel").Set("add_prefix_space", add_prefix_space).Set("trim_offsets", true);
  return step.Set("use_regex", use_regex).Dump(-1);
}

inline std::string SequenceJson(std::string_view key, const std::vector<std::string>& steps) {
  std::string list;
  for (const std::string& step : steps) list += (list.empty() ? "" : ",") + step;
  return R"({"type":"Sequence",)" + Quote(key) + ":[" + list + "]}";
}

// "<bos> $A <eos>" with what is given; an empty name leaves a side out.
inline std::string TemplateJson(std::string_view bos, int bos_id, std::string_view eos = "", int eos_id = 0) {
  const auto part = [](std::string_view name) {
    return R"({"SpecialToken":{"id":)" + Quote(name) + R"(,"type_id":0}})";
  };
  const auto entry = [](std::string_view name, int id) {
    return Quote(name) + R"(:{"id":)" + Quote(name) + R"(,"ids":[)" + std::to_string(id) + R"(],"tokens":[)" +
           Quote(name) + "]}";
  };
  std::string single = R"({"Sequence":{"id":"A","type_id":0}})";
  std::string table;
  if (!bos.empty()) {
    single = part(bos) + "," + single;
    table = entry(bos, bos_id);
  }
  if (!eos.empty()) {
    single += "," + part(eos);
    table += (table.empty() ? "" : ",") + entry(eos, eos_id);
  }
  return R"({"type":"TemplateProcessing","single":[)" + single + R"(],"pair":[],"special_tokens":{)" + table + "}}";
}

// The split patterns of published families.
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwenPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// Files in the manner of the families that the project runs.
inline std::string Gpt2Like() {
  return TokenizerText{
      .model = ByteLevelModel(),
      .pre_tokenizer = ByteLevelStepJson(false, true),
      .post_processor = ByteLevelStepJson(true, true),
      .decoder = ByteLevelStepJson(true, true),
      .added_tokens = "[" + AddedTokenJson(kByteLevelSize, "<|endoftext|>", {"special", "normalized"}) + "]"}
      .Json();
}
inline std::string Llama3Like() {
  const std::string bos = "<|begin_of_text|>";
  return TokenizerText{
      .model = ByteLevelModel(true),
      .pre_tokenizer = SequenceJson("pretokenizers", {RegexSplit(kLlama3Pattern), ByteLevelStepJson(false, false)}),
      .post_processor = SequenceJson("processors", {ByteLevelStepJson(true, true), TemplateJson(bos, kByteLevelSize)}),
      .decoder = ByteLevelStepJson(true, true),
      .added_tokens = "[" + AddedTokenJson(kByteLevelSize, bos, {"special"}) + "," +
                      AddedTokenJson(kByteLevelSize + 1, "<|eot_id|>", {"special"}) + "]"}
      .Json();
}
inline std::string QwenLike() {
  return TokenizerText{
      .model = ByteLevelModel(),
      .normalizer = R"({"type":"NFC"})",
      .pre_tokenizer = SequenceJson("pretokenizers", {RegexSplit(kQwenPattern), ByteLevelStepJson(false, false)}),
      .post_processor = ByteLevelStepJson(false, false),
      .decoder = ByteLevelStepJson(false, false),
      .added_tokens = "[" + AddedTokenJson(kByteLevelSize, "<|im_start|>", {"special"}) + "," +
                      AddedTokenJson(kByteLevelSize + 1, "<|im_end|>", {"special"}) + "," +
                      AddedTokenJson(kByteLevelSize + 2, "<think>", {}) + "]"}
      .Json();
}
inline std::string StarCoderLike() {
  return TokenizerText{.model = ByteLevelModel(),
                       .pre_tokenizer = SequenceJson("pretokenizers", {R"({"type":"Digits","individual_digits":true})",
                                                                       ByteLevelStepJson(false, true)}),
                       .decoder = ByteLevelStepJson(true, true),
                       .added_tokens = "[" + AddedTokenJson(kByteLevelSize, "<fim_prefix>", {"special"}) + "]"}
      .Json();
}
inline std::string SentencePieceAdded() {
  return "[" + AddedTokenJson(0, "<unk>", {"special"}) + "," + AddedTokenJson(1, "<s>", {"special"}) + "," +
         AddedTokenJson(2, "</s>", {"special"}) + "]";
}
inline std::string Llama2Decoder() {
  return SequenceJson("decoders",
                      {R"({"type":"Replace","pattern":{"String":"▁"},"content":" "})", R"({"type":"ByteFallback"})",
                       R"({"type":"Fuse"})", R"({"type":"Strip","content":" ","start":1,"stop":0})"});
}
inline std::string Llama2Like() {
  return TokenizerText{
      .model = SentencePieceModel(),
      .normalizer = SequenceJson("normalizers", {R"({"type":"Prepend","prepend":"▁"})",
                                                 R"({"type":"Replace","pattern":{"String":" "},"content":"▁"})"}),
      .post_processor = TemplateJson("<s>", 1),
      .decoder = Llama2Decoder(),
      .added_tokens = SentencePieceAdded()}
      .Json();
}
inline std::string MistralLike() {
  return TokenizerText{
      .model = SentencePieceModel(),
      .pre_tokenizer = R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false})",
      .post_processor = TemplateJson("<s>", 1, "</s>", 2),
      .decoder = Llama2Decoder(),
      .added_tokens = SentencePieceAdded()}
      .Json();
}

}  // namespace lodestone::testing
