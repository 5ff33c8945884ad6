#include "lab/genome.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <map>
#include <set>

#include "base/file.h"
#include "lab/codon_usage.h"
#include "lab/genome_census.h"

namespace lodestone::testing {
namespace {

std::vector<Gene> Make(const GenomeSettings& settings) {
  const auto genes = MakeGenome(settings);
  EXPECT_TRUE(genes.ok()) << genes.error().message;
  return *genes;
}

// FNV-1a: a few bytes that stand for all.
uint64_t HashOf(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

GenomeCensus CensusOfText(const std::string& text) {
  const auto path =
      std::filesystem::temp_directory_path() / ("lodestone-genome-" + std::to_string(getpid()) + ".fasta");
  EXPECT_TRUE(WriteFileAtomically(path, text).ok());
  const auto census = CensusOf(path);
  EXPECT_TRUE(census.ok()) << census.error().message;
  std::filesystem::remove(path);
  return *census;
}

TEST(CodonUsage, TheTableIsTheStandardCode) {
  const std::map<std::string, char> known{{"ATG", 'M'}, {"TGG", 'W'}, {"TAA", '*'}, {"TAG", '*'}, {"TGA", '*'},
                                          {"ATA", 'I'}, {"AGA", 'R'}, {"GGC", 'G'}, {"CTG", 'L'}, {"AGC", 'S'}};
  for (const auto& [codon, letter] : known) EXPECT_EQ(kGeneticCode[static_cast<size_t>(CodonIndex(codon))], letter);
  std::set<char> letters;
  for (int i = 0; i < kBases3; ++i) {
    EXPECT_EQ(CodonIndex(CodonAt(i)), i);
    letters.insert(kGeneticCode[static_cast<size_t>(i)]);
  }
  EXPECT_EQ(letters.size(), kAminoAcids.size() + 1);
}

TEST(CodonUsage, PublishedSharesAddUp) {
  int shares = 0;
  for (const int share : kAminoAcidShares) shares += share;
  EXPECT_EQ(shares, 1000);
  for (const char* name : {"ecoli", "ecoli-high"}) {
    const auto usage = FindCodonUsage(name);
    ASSERT_TRUE(usage.ok());
    std::map<char, std::pair<int, int>> sums;  // RSCU and codons
    for (size_t i = 0; i < kBases3; ++i) {
      sums[kGeneticCode[i]].first += (*usage)->rscu[i];
      ++sums[kGeneticCode[i]].second;
    }
    // The relative usages of n synonymous codons add up to n, but for the rounding of each.
    for (const auto& [letter, sum] : sums) EXPECT_NEAR(sum.first, 100 * sum.second, sum.second) << name << letter;
  }
  const auto unknown = FindCodonUsage("yeast");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message.find("ecoli-high"), std::string::npos);
}

TEST(Genome, BytesOfASeedAreTheSameOnEveryMachine) {
  const GenomeSettings settings{.genes = 200, .seed = 7, .mean_codons = 30, .held_out_percent = 20};
  const std::vector<Gene> genes = Make(settings);
  const std::string text = GenomeFasta(genes, settings, false);
  EXPECT_TRUE(text.starts_with(">family000000_000 codons=")) << text.substr(0, 80);
  EXPECT_EQ(HashOf(text + GenomeFasta(genes, settings, true)), 6135636911829741208u)
      << "recompute when the generator changes on purpose";
  EXPECT_NE(text,
            GenomeFasta(Make({.genes = 200, .seed = 8, .mean_codons = 30, .held_out_percent = 20}), settings, false));
}

TEST(Genome, GenesHaveTheShapeOfCodingSequences) {
  for (const char* organism : {"ecoli", "ecoli-high"}) {
    const GenomeSettings settings{.genes = 300, .seed = 3, .mean_codons = 120, .organism = organism};
    const GenomeCensus census = CensusOfText(GenomeFasta(Make(settings), settings, false));
    EXPECT_EQ(census.sequences(), 300);
    EXPECT_EQ(census.partial, 0);
    EXPECT_EQ(census.starts, 300);
    EXPECT_EQ(census.stops, 300);
    EXPECT_EQ(census.stopped_inside, 0);
    EXPECT_EQ(census.unknown_codons, 0);
    EXPECT_GE(census.lengths.front(), 3 * kFewestCodons - 9);  // a codon or two may be lost
    EXPECT_NEAR(static_cast<double>(census.atg) / 300, 0.83, 4 * std::sqrt(0.83 * 0.17 / 300));
  }
}

// Synonymous codons are used as the table says: within four standard errors of counts that families make alike, which
// are therefore taken as those of an eighth as many.
TEST(GenomeProperty, CodonsFollowTheTable) {
  const GenomeSettings settings{.genes = 600, .seed = 5, .mean_codons = 150, .family_genes = 4};
  const GenomeCensus census = CensusOfText(GenomeFasta(Make(settings), settings, false));
  const CodonUsage& usage = **FindCodonUsage("ecoli");
  for (const char letter : kAminoAcids) {
    double codons = 0, weights = 0;
    for (size_t i = 0; i < kBases3; ++i) {
      if (kGeneticCode[i] != letter || letter == 'M') continue;  // ATG is a start as well
      codons += static_cast<double>(census.codons[i]);
      weights += usage.rscu[i];
    }
    for (size_t i = 0; i < kBases3; ++i) {
      if (kGeneticCode[i] != letter || letter == 'M') continue;
      const double share = usage.rscu[i] / weights;
      const double bound = 4 * std::sqrt(8 * share * (1 - share) / codons) + 0.006;  // and the starts with GTG and TTG
      EXPECT_NEAR(static_cast<double>(census.codons[i]) / codons, share, bound) << CodonAt(static_cast<int>(i));
    }
  }
}

TEST(GenomeProperty, LengthsAreLogNormalWithTheMeanAskedFor) {
  const GenomeSettings settings{.genes = 4000, .seed = 2, .mean_codons = 100, .family_genes = 1};
  double sum = 0, logs = 0, squares = 0;
  for (const Gene& gene : Make(settings)) {
    const double codons = static_cast<double>(gene.sequence.size()) / 3;
    sum += codons;
    logs += std::log(codons);
    squares += std::log(codons) * std::log(codons);
  }
  EXPECT_NEAR(sum / 4000, 100, 4 * 66 / std::sqrt(4000.0) + 0.5);  // σ of the lengths is 66 codons
  const double mean = logs / 4000;
  EXPECT_NEAR(std::sqrt(squares / 4000 - mean * mean), 0.6, 0.05);
}

// Members of a family differ, mostly without a change of the protein; strangers have nothing in common.
TEST(GenomeProperty, MembersOfAFamilyAreAlike) {
  std::vector<Gene> genes = Make({.genes = 200, .seed = 9, .mean_codons = 150});
  int families = 0;
  double within = 0, between = 0, silent = 0;
  const auto same = [](const Gene& a, const Gene& b) {
    // Of the first 40 codons, before insertions tell; those after the start.
    int equal = 0;
    for (size_t i = 3; i < 123; i += 3) equal += a.sequence.compare(i, 3, b.sequence, i, 3) == 0;
    return equal / 40.0;
  };
  const auto same_protein = [](const Gene& a, const Gene& b) {
    int equal = 0;
    const auto letter = [](const Gene& g, size_t i) {
      return kGeneticCode[static_cast<size_t>(CodonIndex(std::string_view(g.sequence).substr(i, 3)))];
    };
    for (size_t i = 3; i < 123; i += 3) equal += letter(a, i) == letter(b, i);
    return equal / 40.0;
  };
  std::erase_if(genes, [](const Gene& gene) { return gene.sequence.size() < 130; });
  for (size_t i = 0; i + 1 < genes.size(); ++i) {
    if (genes[i].family != genes[i + 1].family) {
      between += same(genes[i], genes[i + 1]);
      ++families;
    } else {
      within += same(genes[i], genes[i + 1]);
      silent += same_protein(genes[i], genes[i + 1]) - same(genes[i], genes[i + 1]);
    }
  }
  ASSERT_GT(families, 5);
  const double pairs = static_cast<double>(genes.size()) - 1 - families;
  EXPECT_GT(within / pairs, 0.6);
  EXPECT_LT(within / pairs, 0.98);
  EXPECT_LT(between / families, 0.15);
  EXPECT_GT(silent / pairs, 0.04);
}

TEST(Genome, HeldOutFamiliesAreWholeAndStayWhenThereAreMore) {
  const auto held_out = [](int64_t genes) {
    std::map<int64_t, bool> families;
    for (const Gene& gene : Make({.genes = genes, .mean_codons = 20, .held_out_percent = 25})) {
      const auto [found, is_new] = families.try_emplace(gene.family, gene.held_out);
      EXPECT_EQ(found->second, gene.held_out) << gene.family;
    }
    return families;
  };
  const auto few = held_out(400), many = held_out(1000);
  for (const auto& [family, out] : few) EXPECT_EQ(many.at(family), out);
  int64_t out = 0;
  for (const auto& [family, is_out] : many) out += is_out;
  EXPECT_NEAR(static_cast<double>(out) / static_cast<double>(many.size()), 0.25, 0.15);
}

TEST(Genome, RefusesWhatItCannotMake) {
  const std::vector<std::pair<GenomeSettings, std::string>> cases{
      {{.genes = 0}, "the number of genes is 0"},
      {{.mean_codons = 5}, "the mean length in codons is 5"},
      {{.family_genes = 0}, "the genes of a family is 0"},
      {{.organism = "yeast"}, "no codon usage 'yeast'"},
      {{.genes = kMaxGenes, .mean_codons = kMaxMeanCodons}, "make fewer"},
      {{.genes = 2, .family_genes = 100, .held_out_percent = 1}, "too few to hold out"}};
  for (const auto& [settings, expected] : cases) {
    const auto genes = MakeGenome(settings);
    ASSERT_FALSE(genes.ok()) << expected;
    EXPECT_NE(genes.error().message.find(expected), std::string::npos) << genes.error().message;
  }
}

TEST(GenomeCensus, CountsByHand) {
  // GTG GGC TAA; then ATG TAA GGN A: a stop inside, an unknown codon and one cut short.
  const GenomeCensus census = CensusOfText(">a\nGTGGGCTAA\n>b\nATGTAAGGNA\n");
  EXPECT_EQ(census.sequences(), 2);
  EXPECT_EQ(census.bases, 19);
  EXPECT_EQ(census.known_bases, 18);
  EXPECT_EQ(census.gc, 5 + 3);
  EXPECT_EQ(census.third_bases, 5);
  EXPECT_EQ(census.third_gc, 3);
  EXPECT_EQ(census.partial, 1);
  EXPECT_EQ(census.starts, 2);
  EXPECT_EQ(census.atg, 1);
  EXPECT_EQ(census.stops, 1);
  EXPECT_EQ(census.stopped_inside, 1);
  EXPECT_EQ(census.unknown_codons, 2);
  EXPECT_EQ(census.codons[static_cast<size_t>(CodonIndex("TAA"))], 2);
}

}  // namespace
}  // namespace lodestone::testing
