// A FASTA file of any bytes is read or refused by name; what is read has letters of nucleotides alone and becomes
// codons of the vocabulary.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "learn/codons.h"
#include "learn/fasta.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lodestone;
  FastaReader reader(std::string_view(reinterpret_cast<const char*>(data), size), "g.fasta");
  int64_t records = 0, line = 0;
  for (;;) {
    const Result<std::optional<FastaRecord>> record = reader.Next();
    if (!record.ok()) {
      LODESTONE_CHECK(record.error().message.starts_with("g.fasta:"));
      return 0;
    }
    if (!*record) break;
    const FastaRecord& r = **record;
    LODESTONE_CHECK(!r.sequence.empty() && r.sequence.find_first_not_of("ACGTRYSWKMBDHVN") == std::string::npos);
    LODESTONE_CHECK(r.line > line);
    line = r.line;
    std::vector<uint8_t> ids;
    AppendCodons(r.sequence, ids);
    LODESTONE_CHECK(ids.size() == (r.sequence.size() + 2) / 3);
    for (const uint8_t id : ids) LODESTONE_CHECK(id == kCodonUnknown || id >= kFirstCodon);
    ++records;
  }
  LODESTONE_CHECK(records > 0);
  return 0;
}
