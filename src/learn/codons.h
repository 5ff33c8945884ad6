// GenSLM's vocabulary: 64 codons and five special tokens, word level.
//
// Source: M. Zvyagin et al., "GenSLMs: Genome-scale language models reveal SARS-CoV-2 evolutionary dynamics", 2022; the
// ids are those of the repository's codon_wordlevel_69vocab.json, which every published GenSLM model uses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lodestone {

inline constexpr int32_t kCodonUnknown = 0;  // [UNK]: a codon with another letter than A, C, G, T, or one cut short
inline constexpr int32_t kCodonStart = 1;    // [CLS]; GenSLM's texts do not use it
inline constexpr int32_t kCodonEnd = 2;      // [SEP]: between two sequences of a row
inline constexpr int32_t kCodonPad = 3;
inline constexpr int32_t kCodonMask = 4;
inline constexpr int32_t kFirstCodon = 5;
inline constexpr int32_t kCodons = 64;
inline constexpr int32_t kCodonVocabulary = kFirstCodon + kCodons;

// The id of three upper-case letters of A, C, G, T; kCodonUnknown for any other text.
int32_t CodonId(std::string_view codon);
// "ATG", "[SEP]"; `id` in [0, kCodonVocabulary).
std::string_view CodonName(int32_t id);

// Cuts a sequence (upper case) from offset 0 into codons and appends their ids. One or two letters at the end are
// kCodonUnknown, as in GenSLM.
void AppendCodons(std::string_view sequence, std::vector<uint8_t>& ids);

// The tokenizer.json of these ids, for a model's directory. Text is cut at spaces, as in GenSLM's own file, and what
// stands between them from its start into threes, so that "ATG GGC" and "ATGGGC" are the same two tokens; letters are
// upper case. Decoding puts a space between codons.
std::string CodonTokenizerJson();

}  // namespace lodestone
