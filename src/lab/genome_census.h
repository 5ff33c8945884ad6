// What a FASTA file of coding sequences holds: counts, lengths, composition, codon usage.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "lab/codon_usage.h"

namespace lodestone {

struct GenomeCensus {
  int64_t bases = 0, known_bases = 0;     // known: A, C, G, T
  int64_t gc = 0;                         // of the known ones
  int64_t third_bases = 0, third_gc = 0;  // of known codons
  std::vector<int64_t> lengths;           // in bases, of each sequence, ascending
  int64_t partial = 0;                    // sequences whose length is no multiple of three
  int64_t starts = 0;                     // sequences that begin with ATG, GTG or TTG
  int64_t atg = 0;                        // … with ATG
  int64_t stops = 0;                      // sequences whose last whole codon is a stop
  int64_t stopped_inside = 0;             // sequences with a stop before their end
  int64_t unknown_codons = 0;             // with an ambiguous base, or cut short
  std::array<int64_t, kBases3> codons{};  // in the order of codon_usage.h

  int64_t sequences() const { return static_cast<int64_t>(lengths.size()); }
};

// Errors: those of learn/fasta.h.
Result<GenomeCensus> CensusOf(const std::filesystem::path& fasta);

std::string RenderCensus(const GenomeCensus& census);  // lines of at most 100 columns
Json CensusJson(const GenomeCensus& census);

}  // namespace lodestone
