// Nucleotide sequences in FASTA (W. Pearson and D. Lipman, "Improved tools for biological sequence comparison", PNAS
// 1988): a line that begins with '>' names a record, the lines after it are its sequence.
//
// Letters are those of IUPAC (A. Cornish-Bowden, Nucleic Acids Research 13, 1985): A C G T, U read as T, and R Y S W K
// M B D H V N where a base is not known. Lower case (soft masking) is read as upper case. Blank lines and blanks at the
// ends of a line mean nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace lodestone {

struct FastaRecord {
  std::string name;      // the line behind '>'
  std::string sequence;  // upper case, T for U, never empty
  int64_t line = 0;      // of its '>', from 1
};

inline constexpr size_t kMaxFastaName = size_t{64} << 10;     // bytes
inline constexpr size_t kMaxFastaSequence = size_t{1} << 28;  // letters; the longest human chromosome has 2^27.9

// Record after record, so that one at a time is held. `text` outlives the reader; `file` is what messages call it.
class FastaReader {
 public:
  FastaReader(std::string_view text, std::string file) : rest_(text), file_(std::move(file)) {}

  // The next record, or none at the end. Refused with file and line: nothing at all, compressed or binary data, a
  // sequence before the first '>', another character, a record without a sequence or above the limits.
  Result<std::optional<FastaRecord>> Next();

 private:
  Error Fault(int64_t line, const std::string& message) const;
  std::optional<std::string_view> Line();  // without its end; none at the end of the text
  Status Begin();                          // moves to the first '>'
  Status Append(std::string_view line, std::string& sequence) const;

  std::string_view rest_;
  std::string file_;
  int64_t line_ = 0;
  std::optional<std::string_view> name_;  // of the record that comes next
};

// Calls `use` with every record of a file; stops at its first error or the file's.
Status ForEachFastaRecord(const std::filesystem::path& path, const std::function<Status(const FastaRecord&)>& use);

}  // namespace lodestone
