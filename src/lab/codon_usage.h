// The genetic code, and how organisms use it: published tables, as integers.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace lodestone {

inline constexpr int kBases3 = 64;  // codons, in the order TTT, TTC, TTA, TTG, TCT, …: bases T, C, A, G

// What each codon stands for in the standard code, '*' for a stop: one-letter names of amino acids.
extern const std::array<char, kBases3> kGeneticCode;
std::string CodonAt(int index);          // "TTT"
int CodonIndex(std::string_view codon);  // of three upper-case letters of A, C, G, T

// The twenty amino acids, alphabetically by their letters.
inline constexpr std::string_view kAminoAcids = "ACDEFGHIKLMNPQRSTVWY";
int AminoAcidIndex(char letter);  // in kAminoAcids

struct CodonUsage {
  std::string_view name, description;
  // Relative synonymous codon usage × 100: how often a codon is used, over its share if all codons of its amino acid
  // (or all stops) were used alike.
  std::array<int, kBases3> rscu;
};
// "ecoli" (all genes of E. coli K-12) or "ecoli-high" (40 highly expressed ones). An unknown name is refused with those
// there are.
Result<const CodonUsage*> FindCodonUsage(std::string_view name);

// Start codons of E. coli K-12, of 1000, in the order ATG, GTG, TTG.
struct StartCodon {
  std::string_view codon;
  int weight;
};
extern const std::array<StartCodon, 3> kStartCodons;

// Share of each amino acid in proteins, in tenths of a percent, in the order of kAminoAcids.
extern const std::array<int, 20> kAminoAcidShares;

// How much more often than elsewhere an amino acid is found in a helix, a strand and a turn, × 100.
enum class Fold : uint8_t { kHelix, kStrand, kTurn };
extern const std::array<std::array<int, 20>, 3> kFoldPropensities;

}  // namespace lodestone
