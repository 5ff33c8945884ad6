// A made-up set of coding sequences with the shape of a real one: what GenSLM's commands are tried on where no genomes
// are at hand.
//
// Genes come in families, as in nature. A family has an ancestor: its protein is a chain of helices, strands and turns
// whose amino acids follow the published preference for each; its codons follow the organism's published bias. Every
// member is the ancestor after substitutions, most of which keep the amino acid and so change the third base, and a few
// insertions and deletions of whole codons. Lengths are log-normal (σ 0.6). A gene begins with ATG, GTG or TTG in E.
// coli's proportions and ends with a stop codon; none is inside. So there is bias to learn at once, the order of amino
// acids with more effort, and families for whoever has room to remember; nothing else about biology.
//
// Only integers are used: the same settings give the same bytes on every machine. Tables and sources: codon_usage.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace lodestone {

struct GenomeSettings {
  int64_t genes = 2000;
  uint64_t seed = 7;
  int64_t mean_codons = 300;  // of a gene, start and stop counted
  int64_t family_genes = 8;   // of a family, on average; sizes are 1 to twice that, less 1, all as likely
  std::string organism = "ecoli";
  int held_out_percent = 0;  // of the families
};

inline constexpr int64_t kMaxGenes = 1'000'000;
inline constexpr int64_t kMaxMeanCodons = 20'000;
inline constexpr int64_t kMaxFamilyGenes = 1'000;
inline constexpr int64_t kMaxGenomeCodons = int64_t{1} << 29;  // genes × mean: 1.6 GB of text
inline constexpr int64_t kFewestCodons = 10;                   // of an ancestor

struct Gene {
  int64_t family = 0, member = 0;
  bool held_out = false;  // the whole family is: for validation
  std::string sequence;   // letters A, C, G, T; a multiple of three
};

// In order of family and member. Family f is the same however many there are. Refused: numbers out of range, an unknown
// organism, held-out families of which none or all fell to validation.
Result<std::vector<Gene>> MakeGenome(const GenomeSettings& settings);

// The genes of one part as FASTA, 60 letters a line, with what made them in each name.
std::string GenomeFasta(std::span<const Gene> genes, const GenomeSettings& settings, bool held_out);

}  // namespace lodestone
