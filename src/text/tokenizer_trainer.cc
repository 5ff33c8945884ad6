#include "text/tokenizer_trainer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/quote.h"
#include "text/bpe_trainer.h"
#include "text/byte_level.h"
#include "text/cutting_names.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace lodestone {
namespace {

constexpr int32_t kBytes = 256;

Status CheckSpecial(const std::vector<std::string>& special) {
  for (size_t i = 0; i < special.size(); ++i) {
    const std::string& token = special[i];
    if (token.empty()) return Invalid("a special token is empty");
    if (FindInvalidUtf8(token)) return Invalid(fmt::format("the special token {} is not UTF-8", Quoted(token)));
    if (CountCharacters(token) == 1) {
      return Invalid(
          fmt::format("the special token {} is one character, which may already spell a byte; expected "
                      "several, such as <|endoftext|>",
                      Quoted(token)));
    }
    if (std::find(special.begin(), special.begin() + static_cast<ptrdiff_t>(i), token) !=
        special.begin() + static_cast<ptrdiff_t>(i)) {
      return Invalid(fmt::format("the special token {} is given twice", Quoted(token)));
    }
  }
  return {};
}

Json SpecialToken(int64_t id, const std::string& content) {
  Json token;
  token.Set("id", id).Set("content", content);
  for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized"}) token.Set(flag, false);
  token.Set("special", true);
  return token;
}

}  // namespace

Result<TokenizerTrainer> TokenizerTrainer::Make(const TokenizerTraining& training) {
  const auto special = static_cast<int64_t>(training.special.size());
  if (training.vocabulary < kBytes + special || training.vocabulary > kMaxVocabulary) {
    return Invalid(fmt::format("a vocabulary of {}, expected {} (every byte and the special tokens) to {}",
                               training.vocabulary, kBytes + special, kMaxVocabulary));
  }
  LODESTONE_RETURN_IF_ERROR(CheckSpecial(training.special));
  if (training.cutting != "gpt-2" && training.cutting != "llama3") {
    return Unsupported(
        fmt::format("the cutting {} is not one to train with; gpt-2 and llama3 are", Quoted(training.cutting)));
  }
  LODESTONE_ASSIGN_OR_RETURN(Cutting cutting, FindCutting(training.cutting));
  LODESTONE_ASSIGN_OR_RETURN(PreTokenizer pre_tokenizer, PreTokenizer::Read(&cutting.pre_tokenizer, {}));
  return TokenizerTrainer(training, std::move(cutting.pre_tokenizer), cutting.ignore_merges, std::move(pre_tokenizer));
}

Status TokenizerTrainer::Add(std::string_view utf8) {
  if (const std::optional<size_t> offset = FindInvalidUtf8(utf8)) {
    return Invalid(
        fmt::format("the text is not UTF-8: byte 0x{:02X} at offset {}", static_cast<uint8_t>(utf8[*offset]), *offset));
  }
  LODESTONE_ASSIGN_OR_RETURN(const Pieces pieces, pre_tokenizer_.Apply(std::string(utf8), true));
  for (const Pieces::Piece& piece : pieces.pieces) {
    const std::string_view word = pieces.View(piece);
    const auto found = counts_.find(word);
    if (found != counts_.end()) {
      ++found->second;
    } else {
      counts_.emplace(word, 1);
    }
  }
  bytes_ += static_cast<int64_t>(utf8.size());
  return {};
}

Result<Json> TokenizerTrainer::Train() const {
  std::vector<WordCount> words;
  words.reserve(counts_.size());
  for (const auto& [letters, count] : counts_) words.push_back({*FromByteLevel(letters), count});
  const auto special = static_cast<int32_t>(training_.special.size());
  const BpeMerges learned = LearnMerges(words, training_.vocabulary - special);
  const auto tokens = static_cast<int64_t>(learned.tokens.size());
  if (tokens + special < training_.vocabulary) {
    return Infeasible(
        fmt::format("{} bytes of text with {} different words make a vocabulary of {} at most, since no "
                    "further pair occurs twice; give more text, or ask for that many instead of {}",
                    bytes_, counts_.size(), tokens + special, training_.vocabulary));
  }

  std::vector<std::string> letters;
  Json::Object vocabulary;
  for (const std::string& token : learned.tokens) {
    vocabulary.emplace_back(letters.emplace_back(ToByteLevel(token)), static_cast<int64_t>(vocabulary.size()));
  }
  Json::Array merges;
  for (const BpeMerges::Merge& merge : learned.merges) {
    merges.emplace_back(letters[static_cast<size_t>(merge.left)] + " " + letters[static_cast<size_t>(merge.right)]);
  }
  Json::Array added;
  for (int64_t i = 0; i < special; ++i) {
    added.push_back(SpecialToken(tokens + i, training_.special[static_cast<size_t>(i)]));
  }
  Json model;
  model.Set("type", "BPE");
  for (const char* absent : {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"}) {
    model.Set(absent, nullptr);
  }
  model.Set("fuse_unk", false).Set("byte_fallback", false).Set("ignore_merges", ignore_merges_);
  model.Set("vocab", std::move(vocabulary)).Set("merges", std::move(merges));
  Json file;
  file.Set("version", "1.0").Set("truncation", nullptr).Set("padding", nullptr).Set("added_tokens", std::move(added));
  file.Set("normalizer", nullptr).Set("pre_tokenizer", cutting_).Set("post_processor", nullptr);
  file.Set(
      "decoder",
      Json::Object{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}});
  file.Set("model", std::move(model));
  return file;
}

}  // namespace lodestone
