#include "lab/codon_usage.h"

#include <fmt/format.h>

#include "base/quote.h"

namespace lodestone {
namespace {

constexpr std::string_view kBases = "TCAG";

// P. Sharp, L. Emery and K. Zeng, "Forces that influence the evolution of codon bias", Philosophical Transactions of
// the Royal Society B 365 (2010) 1203, table 1: E. coli K-12 MG1655 (U00096), all genes and 40 highly expressed genes.
// A line is one first base and second base T, C, A, G; in it the third base T, C, A, G.
constexpr std::array<CodonUsage, 2> kUsages = {
    CodonUsage{"ecoli",
               "E. coli K-12, all genes",
               {115, 85,  79, 77,  87, 89,  74, 92,  114, 86,  189, 23,  89,  111, 88, 100,   // TTx TCx TAx TGx
                62,  63,  22, 297, 64, 50,  76, 210, 114, 86,  69,  131, 227, 239, 39, 59,    // CTx CCx CAx CGx
                152, 126, 22, 100, 67, 174, 53, 107, 90,  110, 153, 47,  91,  166, 23, 14,    // ATx ACx AAx AGx
                103, 86,  62, 149, 65, 108, 85, 142, 126, 74,  138, 62,  135, 161, 44, 60}},  // GTx GCx GAx GGx
    CodonUsage{"ecoli-high",
               "E. coli K-12, 40 highly expressed genes",
               {45, 155, 14, 25,  254, 152, 19,  6,   48,  152, 285, 0,   77, 123, 15,  100, 30,  23,  1,  507, 59,  5,
                52, 285, 61, 139, 37,  163, 413, 180, 0,   3,   72,  227, 1,  100, 189, 175, 19,  17,  25, 175, 145, 55,
                29, 140, 3,  0,   207, 30,  114, 48,  183, 32,  109, 76,  69, 131, 151, 49,  253, 139, 3,  6}},
};

}  // namespace

const std::array<char, kBases3> kGeneticCode = {
    'F', 'F', 'L', 'L', 'S', 'S', 'S', 'S', 'Y', 'Y', '*', '*', 'C', 'C', '*', 'W',  //
    'L', 'L', 'L', 'L', 'P', 'P', 'P', 'P', 'H', 'H', 'Q', 'Q', 'R', 'R', 'R', 'R',  //
    'I', 'I', 'I', 'M', 'T', 'T', 'T', 'T', 'N', 'N', 'K', 'K', 'S', 'S', 'R', 'R',  //
    'V', 'V', 'V', 'V', 'A', 'A', 'A', 'A', 'D', 'D', 'E', 'E', 'G', 'G', 'G', 'G'};

// F. Blattner et al., "The complete genome sequence of Escherichia coli K-12", Science 277 (1997) 1453: of 4288 genes
// 3542 begin with ATG, 612 with GTG and 130 with TTG.
const std::array<StartCodon, 3> kStartCodons = {{{"ATG", 827}, {"GTG", 143}, {"TTG", 30}}};

// UniProtKB/Swiss-Prot release statistics (2023_01), amino acid composition, rounded to a tenth of a percent.
const std::array<int, 20> kAminoAcidShares = {
    83, 14, 55, 67, 39, 71, 23, 59, 58, 96,  // A C D E F G H I K L
    24, 41, 47, 39, 55, 66, 54, 69, 11, 29,  // M N P Q R S T V W Y
};

// Relative frequencies of residues in helices, strands and reverse turns: T. Creighton, "Proteins: Structures and
// Molecular Properties", 2nd edition (1992), page 256.
const std::array<std::array<int, 20>, 3> kFoldPropensities = {{
    // A   C    D   E    F    G    H    I    K    L    M    N    P    Q    R    S    T    V    W    Y
    {141, 66, 99, 159, 116, 43, 105, 109, 123, 134, 130, 76, 34, 127, 121, 57, 76, 90, 102, 74},
    {72, 140, 39, 52, 133, 58, 80, 167, 69, 122, 114, 48, 31, 98, 84, 96, 117, 187, 135, 145},
    {82, 54, 124, 101, 59, 177, 81, 47, 107, 57, 52, 134, 132, 84, 90, 122, 90, 41, 65, 76},
}};

std::string CodonAt(int index) {
  const auto base = [](int digit) { return kBases[static_cast<size_t>(digit)]; };
  return {base(index / 16), base(index / 4 % 4), base(index % 4)};
}

int CodonIndex(std::string_view codon) {
  int index = 0;
  for (const char base : codon) index = 4 * index + static_cast<int>(kBases.find(base));
  LODESTONE_CHECK(codon.size() == 3 && index >= 0 && index < kBases3);
  return index;
}

int AminoAcidIndex(char letter) { return static_cast<int>(kAminoAcids.find(letter)); }

Result<const CodonUsage*> FindCodonUsage(std::string_view name) {
  std::string known;
  for (const CodonUsage& usage : kUsages) {
    if (usage.name == name) return &usage;
    known += fmt::format("{}{} ({})", known.empty() ? "" : ", ", usage.name, usage.description);
  }
  return NotFound(fmt::format("there is no codon usage {}; there are {}", Quoted(name), known));
}

}  // namespace lodestone
