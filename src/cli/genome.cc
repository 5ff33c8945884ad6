// `lodestone genome make` and `lodestone genome check`.
#include "lab/genome.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/file.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "lab/genome_census.h"

namespace lodestone::cli {
namespace {

// Two names of one file are the same path, also where it does not exist yet.
std::filesystem::path WholePath(const std::string& name) {
  std::error_code ignored;
  return std::filesystem::weakly_canonical(std::filesystem::absolute(name, ignored), ignored);
}

class MakeCommand final : public Command {
 public:
  CommandLine Line() override {
    return {.name = "genome make",
            .summary = "Writes made-up coding sequences with the shape of real ones, as FASTA.",
            .details =
                "Families of related genes: an ancestor with an organism's codon bias and the amino acids of helices, "
                "strands and turns, and members that differ mostly in third bases. Each begins with a start codon and "
                "ends with a stop. The same settings give the same bytes on every machine.",
            .options =
                {{.name = "--output", .value = "FILE", .help = "Where to write.", .target = &output_, .required = true},
                 {.name = "--genes",
                  .value = "N",
                  .help = "How many (default 2000).",
                  .target = &settings_.genes,
                  .min = 1,
                  .max = kMaxGenes},
                 {.name = "--seed", .value = "S", .help = "Default 7.", .target = &seed_, .min = 0, .max = 1e15},
                 {.name = "--mean-codons",
                  .value = "N",
                  .help = "Of a gene, on average; lengths are log-normal (default 300).",
                  .target = &settings_.mean_codons,
                  .min = kFewestCodons,
                  .max = kMaxMeanCodons},
                 {.name = "--family-genes",
                  .value = "N",
                  .help = "Of a family, on average (default 8).",
                  .target = &settings_.family_genes,
                  .min = 1,
                  .max = kMaxFamilyGenes},
                 {.name = "--organism",
                  .value = "NAME",
                  .help = "Whose codon bias: ecoli, all genes of E. coli K-12, or ecoli-high, its 40 highly "
                          "expressed ones (default ecoli).",
                  .target = &settings_.organism},
                 {.name = "--validation",
                  .value = "FILE",
                  .help = "Where to write the families that are held out; without it, none are.",
                  .target = &validation_},
                 {.name = "--validation-percent",
                  .value = "P",
                  .help = "Of the families, held out (default 10).",
                  .target = &percent_,
                  .min = 1,
                  .max = 99},
                 {.name = "--json", .value = "", .help = "JSON instead of text.", .target = &json_}},
            .examples = {{"a set to train on, and families that training never sees",
                          "lodestone genome make --genes 2000 --output train.fasta --validation held-out.fasta"}}};
  }

  Status Run() override {
    settings_.seed = static_cast<uint64_t>(seed_);
    if (percent_ && !validation_) {
      return Invalid("--validation-percent says how much goes to the file that --validation names; give it");
    }
    if (validation_ && WholePath(*validation_) == WholePath(output_)) {
      return Invalid("--validation names the file of --output, which it would replace; give another");
    }
    settings_.held_out_percent = validation_ ? static_cast<int>(percent_.value_or(10)) : 0;
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<Gene> genes, MakeGenome(settings_));
    LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(output_, GenomeFasta(genes, settings_, false)));
    if (validation_) LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(*validation_, GenomeFasta(genes, settings_, true)));
    Show(genes);
    return {};
  }

 private:
  struct Part {
    std::string file;
    int64_t genes = 0, families = 0, codons = 0;
  };

  static Part PartOf(const std::vector<Gene>& genes, const std::string& file, bool held_out) {
    Part part{.file = file};
    int64_t family = -1;
    for (const Gene& gene : genes) {
      if (gene.held_out != held_out) continue;
      ++part.genes;
      part.families += gene.family != family;
      family = gene.family;
      part.codons += static_cast<int64_t>(gene.sequence.size() / 3);
    }
    return part;
  }

  void Show(const std::vector<Gene>& genes) const {
    std::vector<Part> parts{PartOf(genes, output_, false)};
    if (validation_) parts.push_back(PartOf(genes, *validation_, true));
    Json::Array array;
    for (const Part& part : parts) {
      if (!json_) {
        const auto count = [](int64_t value) { return FormatNumber(static_cast<double>(value)); };
        Print(fmt::format("{}\n  {} genes of {} families, {} codons\n", part.file, count(part.genes),
                          count(part.families), count(part.codons)));
        continue;
      }
      Json json;
      json.Set("file", part.file).Set("genes", part.genes).Set("families", part.families).Set("codons", part.codons);
      array.push_back(std::move(json));
    }
    if (json_) PrintJson(array);
  }

  GenomeSettings settings_;
  int64_t seed_ = 7;
  std::optional<int64_t> percent_;
  std::optional<std::string> validation_;
  std::string output_;
  bool json_ = false;
};

class CheckCommand final : public Command {
 public:
  CommandLine Line() override {
    return {.name = "genome check",
            .summary = "What a FASTA file of coding sequences holds: lengths, starts and stops, GC, codon usage.",
            .details = {},
            .options = {{.name = "--json", .value = "", .help = "JSON instead of a table.", .target = &json_}},
            .operand = "FILE",
            .operand_help = "The FASTA file.",
            .operand_target = &file_,
            .examples = {{"before training on it", "lodestone genome check train.fasta"}}};
  }

  Status Run() override {
    if (!file_) return Invalid("'genome check' needs a FASTA file");
    LODESTONE_ASSIGN_OR_RETURN(const GenomeCensus census, CensusOf(*file_));
    json_ ? PrintJson(CensusJson(census)) : Print(RenderCensus(census));
    return {};
  }

 private:
  std::optional<std::string> file_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeGenomeMake() { return std::make_unique<MakeCommand>(); }
std::unique_ptr<Command> MakeGenomeCheck() { return std::make_unique<CheckCommand>(); }

}  // namespace lodestone::cli
