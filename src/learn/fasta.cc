#include "learn/fasta.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/file.h"
#include "base/quote.h"
#include "base/units.h"
#include "learn/codons.h"
#include "learn/training_data.h"

namespace lodestone {
namespace {

constexpr std::string_view kExpected = "expected A, C, G, T (or U), or a code for an unknown base (RYSWKMBDHVN)";

// What each byte of a sequence becomes; 0: not a nucleotide.
constexpr std::array<char, 256> MakeLetters() {
  std::array<char, 256> letters{};
  for (const char letter : std::string_view("ACGTRYSWKMBDHVN")) {
    letters[static_cast<uint8_t>(letter)] = letter;
    letters[static_cast<uint8_t>(letter - 'A' + 'a')] = letter;
  }
  letters[size_t{'U'}] = letters[size_t{'u'}] = 'T';
  return letters;
}
constexpr std::array<char, 256> kLetters = MakeLetters();

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

// All records, in one byte a codon.
class CodonTokens final : public TokenData {
 public:
  Status Add(const std::filesystem::path& path) {
    ++files_;
    return ForEachFastaRecord(path, [this](const FastaRecord& record) -> Status {
      ++records_;
      bases_ += static_cast<int64_t>(record.sequence.size());
      AppendCodons(record.sequence, ids_);
      ids_.push_back(static_cast<uint8_t>(kCodonEnd));
      return {};
    });
  }

  int64_t size() const override { return static_cast<int64_t>(ids_.size()); }
  void Read(int64_t begin, std::span<int32_t> out) const override {
    LODESTONE_CHECK(begin >= 0 && static_cast<size_t>(begin) + out.size() <= ids_.size());
    std::copy_n(ids_.begin() + begin, out.size(), out.begin());
  }
  int64_t source_bytes() const override { return bases_; }
  std::string Describe() const override {
    const auto grouped = [](int64_t value) { return FormatNumber(static_cast<double>(value)); };
    return fmt::format("{} FASTA {}, {} sequences, {} bases, {} tokens", files_, files_ == 1 ? "file" : "files",
                       grouped(records_), grouped(bases_), grouped(size()));
  }

 private:
  std::vector<uint8_t> ids_;
  int64_t files_ = 0, records_ = 0, bases_ = 0;
};

}  // namespace

Error FastaReader::Fault(int64_t line, const std::string& message) const {
  return Invalid(fmt::format("{}:{}: {}", file_, line, message));
}

std::optional<std::string_view> FastaReader::Line() {
  if (rest_.empty()) return std::nullopt;
  ++line_;
  const size_t end = rest_.find('\n');
  const std::string_view line = rest_.substr(0, end);
  rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
  return line;
}

Status FastaReader::Begin() {
  if (rest_.starts_with("\x1F\x8B")) {
    return Error(Unsupported(fmt::format("{}: compressed with gzip; unpack it first (gunzip)", file_)));
  }
  while (const auto line = Line()) {
    const std::string_view text = Trimmed(*line);
    if (text.empty()) continue;
    if (text.front() != '>') {
      return Fault(line_, fmt::format("found {} before the first record, expected a line '>NAME'", Quoted(text, 40)));
    }
    name_ = text;
    return {};
  }
  return Error(Invalid(fmt::format("{}: holds no record, expected FASTA: a line '>NAME' and a sequence", file_)));
}

Status FastaReader::Append(std::string_view line, std::string& sequence) const {
  const std::string_view text = Trimmed(line);
  const size_t before = sequence.size();
  if (text.size() > kMaxFastaSequence - before) {
    return Fault(line_, fmt::format("a sequence of more than {} letters; cut the record", kMaxFastaSequence));
  }
  sequence.resize(before + text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char letter = kLetters[static_cast<uint8_t>(text[i])];
    if (letter == 0) {
      const size_t column = static_cast<size_t>(text.data() - line.data()) + i + 1;
      return Fault(line_, fmt::format("found {} at column {} of a sequence, {}{}", Quoted(text.substr(i, 1)), column,
                                      kExpected, text[i] == '-' ? "; take the gaps of an alignment out" : ""));
    }
    sequence[before + i] = letter;
  }
  return {};
}

Result<std::optional<FastaRecord>> FastaReader::Next() {
  if (line_ == 0) LODESTONE_RETURN_IF_ERROR(Begin());
  if (!name_) return std::optional<FastaRecord>();
  FastaRecord record;
  record.line = line_;
  record.name = Trimmed(name_->substr(1));
  if (name_->size() > kMaxFastaName) {
    return Fault(line_, fmt::format("a name of {} bytes, expected at most {}", name_->size(), kMaxFastaName));
  }
  if (record.name.find('\0') != std::string::npos) return Fault(line_, "found a NUL in a name: this is binary data");
  name_.reset();
  while (const auto line = Line()) {
    if (line->starts_with('>')) {
      name_ = Trimmed(*line);
      break;
    }
    LODESTONE_RETURN_IF_ERROR(Append(*line, record.sequence));
  }
  if (record.sequence.empty()) {
    return Fault(record.line, fmt::format("the record {} has no sequence", Quoted(record.name, 40)));
  }
  return std::optional<FastaRecord>(std::move(record));
}

Status ForEachFastaRecord(const std::filesystem::path& path, const std::function<Status(const FastaRecord&)>& use) {
  LODESTONE_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const auto bytes = file.bytes();
  FastaReader reader(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), path.string());
  for (;;) {
    LODESTONE_ASSIGN_OR_RETURN(const std::optional<FastaRecord> record, reader.Next());
    if (!record) return {};
    LODESTONE_RETURN_IF_ERROR(use(*record));
  }
}

Result<std::unique_ptr<TokenData>> TokensOfFasta(std::span<const std::filesystem::path> paths, int64_t vocab) {
  if (vocab < kCodonVocabulary) {
    return Invalid(fmt::format("the model's vocabulary has {} ids, and codons need {}", vocab, kCodonVocabulary));
  }
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<std::filesystem::path> files, DataFiles(paths, "", {}));
  auto tokens = std::make_unique<CodonTokens>();
  for (const std::filesystem::path& file : files) LODESTONE_RETURN_IF_ERROR(tokens->Add(file));
  return std::unique_ptr<TokenData>(std::move(tokens));
}

}  // namespace lodestone
