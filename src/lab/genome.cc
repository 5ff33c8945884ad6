#include "lab/genome.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/split_mix.h"
#include "lab/codon_usage.h"

namespace lodestone {
namespace {

// Random numbers by counting: number i of a key is the same whatever else was drawn.
class Draws {
 public:
  explicit Draws(uint64_t key) : key_(Mix(key)) {}
  // In [0, end). Ends are below 2^24: the bias of the remainder is below 2^-40.
  int64_t Below(int64_t end) { return static_cast<int64_t>(Mix(key_ ^ count_++) % static_cast<uint64_t>(end)); }
  bool Chance(int64_t per_mille) { return Below(1000) < per_mille; }
  // An index with a probability in proportion to its weight.
  template <typename Weights>
  size_t Pick(const Weights& weights) {
    int64_t total = 0;
    for (const int64_t weight : weights) total += weight;
    int64_t left = Below(total);
    size_t index = 0;
    for (; left >= weights[index]; ++index) left -= weights[index];
    return index;
  }

 private:
  uint64_t key_, count_ = 0;
};

// Quantiles of a log-normal variable of mean 1 and σ 0.6, × 1024: exp(0.6 z(p) − 0.18) at p = 0.002, 1/32, …, 31/32,
// 0.998, between which lengths are interpolated.
constexpr std::array<int64_t, 33> kLengths = {152,  280,  341,  388,  429,  467,  502,  537,  571,  604,  638,
                                              672,  706,  742,  778,  816,  855,  897,  940,  986,  1036, 1089,
                                              1147, 1211, 1282, 1363, 1456, 1568, 1706, 1886, 2147, 2615, 4810};
constexpr int64_t kBetween = 1024;  // places between two of them

// The mean of what is drawn, so that it can be divided out.
constexpr int64_t MeanLength() {
  int64_t twice = 0;
  for (size_t i = 0; i + 1 < kLengths.size(); ++i) twice += kLengths[i] + kLengths[i + 1];
  return twice / 2 / static_cast<int64_t>(kLengths.size() - 1);
}

int64_t DrawLength(Draws& draws, int64_t mean) {
  const int64_t place = draws.Below(kBetween * static_cast<int64_t>(kLengths.size() - 1));
  const auto i = static_cast<size_t>(place / kBetween);
  const int64_t factor = kLengths[i] + (kLengths[i + 1] - kLengths[i]) * (place % kBetween) / kBetween;
  return std::max(kFewestCodons, mean * factor / MeanLength());
}

// Shortest and longest run of a fold, in amino acids, and how often each fold follows it.
struct FoldRun {
  int64_t shortest, longest;
  std::array<int, 3> next;
};
constexpr std::array<FoldRun, 3> kFoldRuns = {{{5, 18, {0, 1, 3}}, {3, 9, {1, 0, 3}}, {2, 6, {1, 1, 0}}}};

struct Residue {
  Fold fold;
  int amino_acid;  // in kAminoAcids
  int codon;
};

// The tables of one organism, as weights.
class Organism {
 public:
  explicit Organism(const CodonUsage& usage) : usage_(&usage) {
    for (size_t fold = 0; fold < kFoldPropensities.size(); ++fold) {
      for (size_t a = 0; a < kAminoAcidShares.size(); ++a) {
        amino_acids_[fold][a] = kAminoAcidShares[a] * kFoldPropensities[fold][a];
      }
    }
  }

  int DrawAminoAcid(Draws& draws, Fold fold) const {
    return static_cast<int>(draws.Pick(amino_acids_[static_cast<size_t>(fold)]));
  }
  // Of an amino acid's letter, or '*' for a stop.
  int DrawCodon(Draws& draws, char letter) const {
    std::array<int, kBases3> weights{};
    for (size_t codon = 0; codon < weights.size(); ++codon) {
      if (kGeneticCode[codon] == letter) weights[codon] = usage_->rscu[codon];
    }
    return static_cast<int>(draws.Pick(weights));
  }

  Residue DrawResidue(Draws& draws, Fold fold) const {
    const int amino_acid = DrawAminoAcid(draws, fold);
    return {fold, amino_acid, DrawCodon(draws, kAminoAcids[static_cast<size_t>(amino_acid)])};
  }

  // The protein between start and stop.
  std::vector<Residue> DrawAncestor(Draws& draws, int64_t residues) const {
    std::vector<Residue> protein;
    Fold fold = Fold::kTurn;
    while (static_cast<int64_t>(protein.size()) < residues) {
      const FoldRun& run = kFoldRuns[static_cast<size_t>(fold)];
      int64_t length = run.shortest + draws.Below(run.longest - run.shortest + 1);
      for (; length > 0 && static_cast<int64_t>(protein.size()) < residues; --length) {
        protein.push_back(DrawResidue(draws, fold));
      }
      fold = static_cast<Fold>(draws.Pick(run.next));
    }
    return protein;
  }

 private:
  const CodonUsage* usage_;
  std::array<std::array<int, 20>, 3> amino_acids_{};
};

// One member of a family: substitutions at a rate of its own, four synonymous for each that changes the protein, and
// whole codons gained and lost.
std::string DrawMember(Draws& draws, const Organism& organism, const std::vector<Residue>& ancestor) {
  const int64_t changed = 5 + draws.Below(56);  // per mille: a member is 0.5 % to 6 % away in its protein
  const int64_t synonymous = 4 * changed, moved = 2;
  std::string sequence(
      kStartCodons[draws.Pick(std::array{kStartCodons[0].weight, kStartCodons[1].weight, kStartCodons[2].weight})]
          .codon);
  const auto letter = [](const Residue& residue) { return kAminoAcids[static_cast<size_t>(residue.amino_acid)]; };
  for (Residue residue : ancestor) {
    if (draws.Chance(moved)) {
      if (draws.Chance(500)) continue;
      sequence += CodonAt(organism.DrawResidue(draws, residue.fold).codon);
    }
    if (draws.Chance(changed)) {
      residue = organism.DrawResidue(draws, residue.fold);
    } else if (draws.Chance(synonymous)) {
      residue.codon = organism.DrawCodon(draws, letter(residue));
    }
    sequence += CodonAt(residue.codon);
  }
  return sequence + CodonAt(organism.DrawCodon(draws, '*'));
}

Status CheckRange(const char* what, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return {};
  return Invalid(fmt::format("{} is {}, expected {} to {}", what, value, low, high));
}

Status Check(const GenomeSettings& settings) {
  LODESTONE_RETURN_IF_ERROR(CheckRange("the number of genes", settings.genes, 1, kMaxGenes));
  LODESTONE_RETURN_IF_ERROR(
      CheckRange("the mean length in codons", settings.mean_codons, kFewestCodons, kMaxMeanCodons));
  LODESTONE_RETURN_IF_ERROR(CheckRange("the genes of a family", settings.family_genes, 1, kMaxFamilyGenes));
  LODESTONE_RETURN_IF_ERROR(CheckRange("the share held out, in percent,", settings.held_out_percent, 0, 99));
  if (settings.genes * settings.mean_codons <= kMaxGenomeCodons) return {};
  return Infeasible(fmt::format("{} genes of {} codons are more than {} codons together; make fewer, or several files",
                                settings.genes, settings.mean_codons, kMaxGenomeCodons));
}

}  // namespace

Result<std::vector<Gene>> MakeGenome(const GenomeSettings& settings) {
  LODESTONE_RETURN_IF_ERROR(Check(settings));
  LODESTONE_ASSIGN_OR_RETURN(const CodonUsage* usage, FindCodonUsage(settings.organism));
  const Organism organism(*usage);
  std::vector<Gene> genes;
  int64_t held_out = 0;
  for (int64_t family = 0; static_cast<int64_t>(genes.size()) < settings.genes; ++family) {
    Draws draws(Mix(settings.seed) + static_cast<uint64_t>(family));
    const int64_t members = 1 + draws.Below(2 * settings.family_genes - 1);
    const bool is_held_out = draws.Below(100) < settings.held_out_percent;
    const std::vector<Residue> ancestor = organism.DrawAncestor(draws, DrawLength(draws, settings.mean_codons) - 2);
    for (int64_t member = 0; member < members && static_cast<int64_t>(genes.size()) < settings.genes; ++member) {
      genes.push_back({family, member, is_held_out, DrawMember(draws, organism, ancestor)});
      held_out += is_held_out ? 1 : 0;
    }
  }
  if (settings.held_out_percent > 0 && (held_out == 0 || held_out == settings.genes)) {
    return Infeasible(
        fmt::format("{} families are too few to hold out {} % of them: {} genes fell to validation; make "
                    "more genes, or smaller families",
                    genes.back().family + 1, settings.held_out_percent, held_out == 0 ? "no" : "all"));
  }
  return genes;
}

std::string GenomeFasta(std::span<const Gene> genes, const GenomeSettings& settings, bool held_out) {
  constexpr size_t kWidth = 60;
  std::string text;
  for (const Gene& gene : genes) {
    if (gene.held_out != held_out) continue;
    text += fmt::format(">family{:06}_{:03} codons={} organism={} seed={}\n", gene.family, gene.member,
                        gene.sequence.size() / 3, settings.organism, settings.seed);
    for (size_t i = 0; i < gene.sequence.size(); i += kWidth) {
      text.append(gene.sequence, i, kWidth).push_back('\n');
    }
  }
  return text;
}

}  // namespace lodestone
