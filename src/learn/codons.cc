#include "learn/codons.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "base/status.h"

namespace lodestone {
namespace {

constexpr std::array<std::string_view, kCodonVocabulary> kNames = {
    "[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]",                       //
    "GGC",   "GCC",   "ATC",   "GAC",   "GAA",    "ATG", "GTG", "CTG",  //
    "GTC",   "GCG",   "GAT",   "AAA",   "GGT",    "AAG", "GAG", "ACC",  //
    "AAC",   "GTT",   "ATT",   "GCA",   "CTC",    "CGC", "GCT", "CAG",  //
    "CCG",   "TTC",   "GTA",   "TCG",   "GGA",    "AAT", "TAC", "CTT",  //
    "TTG",   "ACG",   "TCC",   "GGG",   "AGC",    "CCC", "ACA", "ACT",  //
    "TCT",   "TTA",   "CGT",   "TAT",   "CAA",    "CGG", "TTT", "CAC",  //
    "CCT",   "CCA",   "TGG",   "ATA",   "TCA",    "TGC", "AGT", "AGA",  //
    "CAT",   "TGT",   "CTA",   "AGG",   "TAA",    "CGA", "TGA", "TAG"};

constexpr int kNoBase = 4;
constexpr int BaseOf(char letter) {
  return letter == 'A' ? 0 : letter == 'C' ? 1 : letter == 'G' ? 2 : letter == 'T' ? 3 : kNoBase;
}

constexpr size_t IndexOf(std::string_view codon) {
  return static_cast<size_t>(BaseOf(codon[0]) * 16 + BaseOf(codon[1]) * 4 + BaseOf(codon[2]));
}

constexpr std::array<uint8_t, kCodons> MakeIds() {
  std::array<uint8_t, kCodons> ids{};
  for (size_t id = kFirstCodon; id < kNames.size(); ++id) ids[IndexOf(kNames[id])] = static_cast<uint8_t>(id);
  return ids;
}
constexpr std::array<uint8_t, kCodons> kIds = MakeIds();

constexpr bool EveryCodonHasAnId() {
  for (const uint8_t id : kIds) {
    if (id < kFirstCodon) return false;
  }
  return true;
}
static_assert(EveryCodonHasAnId(), "64 names and 64 codons: none is there twice");

}  // namespace

int32_t CodonId(std::string_view codon) {
  if (codon.size() != 3) return kCodonUnknown;
  for (const char letter : codon) {
    if (BaseOf(letter) == kNoBase) return kCodonUnknown;
  }
  return kIds[IndexOf(codon)];
}

std::string_view CodonName(int32_t id) {
  LODESTONE_CHECK(id >= 0 && id < kCodonVocabulary);
  return kNames[static_cast<size_t>(id)];
}

void AppendCodons(std::string_view sequence, std::vector<uint8_t>& ids) {
  for (; !sequence.empty(); sequence.remove_prefix(std::min<size_t>(3, sequence.size()))) {
    ids.push_back(static_cast<uint8_t>(CodonId(sequence.substr(0, 3))));
  }
}

std::string CodonTokenizerJson() {
  Json::Object vocabulary;
  for (const std::string_view name : kNames) {
    vocabulary.emplace_back(std::string(name), static_cast<int64_t>(vocabulary.size()));
  }
  Json::Array added;
  for (int64_t id = 0; id < kFirstCodon; ++id) {
    Json token;
    token.Set("id", id).Set("content", CodonName(static_cast<int32_t>(id)));
    for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized"}) token.Set(flag, false);
    token.Set("special", true);
    added.push_back(std::move(token));
  }
  Json threes;
  threes.Set("type", "Split").Set("pattern", Json::Object{{"Regex", "[A-Za-z]{3}"}});
  threes.Set("behavior", "Isolated").Set("invert", false);
  Json cutting;
  cutting.Set("type", "Sequence");
  cutting.Set("pretokenizers", Json::Array{Json::Object{{"type", "Whitespace"}}, std::move(threes)});
  Json model;
  model.Set("type", "WordLevel").Set("vocab", std::move(vocabulary)).Set("unk_token", CodonName(kCodonUnknown));
  Json file;
  file.Set("version", "1.0").Set("truncation", nullptr).Set("padding", nullptr).Set("added_tokens", std::move(added));
  file.Set("normalizer", nullptr).Set("pre_tokenizer", std::move(cutting));
  file.Set("post_processor", nullptr).Set("decoder", nullptr).Set("model", std::move(model));
  return file.Dump();
}

}  // namespace lodestone
