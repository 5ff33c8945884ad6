#include "lab/genome_census.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/units.h"
#include "learn/codons.h"
#include "learn/fasta.h"
#include "report/run_record.h"

namespace lodestone {
namespace {

bool IsStrong(char base) { return base == 'G' || base == 'C'; }
bool IsKnown(char base) { return IsStrong(base) || base == 'A' || base == 'T'; }

void Count(std::string_view sequence, GenomeCensus& census) {
  census.lengths.push_back(static_cast<int64_t>(sequence.size()));
  census.bases += static_cast<int64_t>(sequence.size());
  census.known_bases += std::count_if(sequence.begin(), sequence.end(), IsKnown);
  census.gc += std::count_if(sequence.begin(), sequence.end(), IsStrong);
  const std::string_view first = sequence.substr(0, 3);
  census.atg += first == "ATG";
  census.starts += std::any_of(kStartCodons.begin(), kStartCodons.end(),
                               [first](const StartCodon& start) { return start.codon == first; });
  const size_t whole = sequence.size() / 3;
  census.partial += sequence.size() % 3 != 0;
  census.unknown_codons += sequence.size() % 3 != 0;
  bool stop = false, inside = false;
  for (size_t i = 0; i < whole; ++i) {
    inside |= stop;
    stop = false;
    const std::string_view codon = sequence.substr(3 * i, 3);
    if (CodonId(codon) == kCodonUnknown) {
      ++census.unknown_codons;
      continue;
    }
    const auto index = static_cast<size_t>(CodonIndex(codon));
    ++census.codons[index];
    ++census.third_bases;
    census.third_gc += IsStrong(codon[2]);
    stop = kGeneticCode[index] == '*';
  }
  census.stops += stop;
  census.stopped_inside += inside;
}

double Share(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

int64_t Codons(const GenomeCensus& census) {
  return std::accumulate(census.codons.begin(), census.codons.end(), int64_t{0});
}

}  // namespace

Result<GenomeCensus> CensusOf(const std::filesystem::path& fasta) {
  GenomeCensus census;
  LODESTONE_RETURN_IF_ERROR(ForEachFastaRecord(fasta, [&census](const FastaRecord& record) -> Status {
    Count(record.sequence, census);
    return {};
  }));
  std::sort(census.lengths.begin(), census.lengths.end());
  return census;
}

std::string RenderCensus(const GenomeCensus& census) {
  const auto count = [](int64_t value) { return FormatNumber(static_cast<double>(value)); };
  const auto percent = [](int64_t part, int64_t whole) { return fmt::format("{:.2f} %", 100 * Share(part, whole)); };
  const int64_t sequences = census.sequences();
  std::string text = RenderTable(
      {{"Sequences", "", ""},
       {"number", count(sequences), ""},
       {"bases", count(census.bases), fmt::format("{} a sequence on average", count(census.bases / sequences))},
       {"length, median", count(census.lengths[census.lengths.size() / 2]),
        fmt::format("{} to {}", count(census.lengths.front()), count(census.lengths.back()))},
       {"no multiple of three", count(census.partial), percent(census.partial, sequences)},
       {"begin with a start codon", count(census.starts),
        fmt::format("{}; with ATG {}", percent(census.starts, sequences), percent(census.atg, sequences))},
       {"end with a stop codon", count(census.stops), percent(census.stops, sequences)},
       {"have a stop inside", count(census.stopped_inside), percent(census.stopped_inside, sequences)},
       {"codons that are not known", count(census.unknown_codons), ""},
       {"G and C", percent(census.gc, census.known_bases),
        fmt::format("third bases {}", percent(census.third_gc, census.third_bases))}});
  const int64_t codons = Codons(census);
  text += fmt::format("\nCodons, of 1000 ({} in all)\n\n", count(codons));
  for (int first = 0; first < 4; ++first) {
    for (int third = 0; third < 4; ++third) {
      for (int second = 0; second < 4; ++second) {
        const int index = 16 * first + 4 * second + third;
        text += fmt::format("{}{} {} {:5.1f}", second == 0 ? "  " : "     ", CodonAt(index),
                            kGeneticCode[static_cast<size_t>(index)],
                            1000 * Share(census.codons[static_cast<size_t>(index)], codons));
      }
      text += "\n";
    }
    if (first < 3) text += "\n";
  }
  return text;
}

Json CensusJson(const GenomeCensus& census) {
  Json json;
  json.Set("sequences", census.sequences()).Set("bases", census.bases);
  json.Set("shortest_bases", census.lengths.front()).Set("longest_bases", census.lengths.back());
  json.Set("median_bases", census.lengths[census.lengths.size() / 2]);
  json.Set("no_multiple_of_three", census.partial);
  json.Set("start_codons", census.starts).Set("atg_starts", census.atg).Set("stop_codons", census.stops);
  json.Set("stops_inside", census.stopped_inside).Set("unknown_codons", census.unknown_codons);
  json.Set("gc_share", Share(census.gc, census.known_bases));
  json.Set("third_base_gc_share", Share(census.third_gc, census.third_bases));
  Json codons;
  for (int index = 0; index < kBases3; ++index) codons.Set(CodonAt(index), census.codons[static_cast<size_t>(index)]);
  json.Set("codons", std::move(codons));
  return json;
}

}  // namespace lodestone
