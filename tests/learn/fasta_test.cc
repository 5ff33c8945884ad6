#include "learn/fasta.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "fixtures.h"
#include "learn/codons.h"
#include "learn/training_data.h"

extern "C" int FuzzFasta(const uint8_t* data, size_t size);

namespace lodestone::testing {
namespace {

Result<std::vector<FastaRecord>> ReadAll(std::string_view text) {
  FastaReader reader(text, "g.fasta");
  std::vector<FastaRecord> records;
  for (;;) {
    LODESTONE_ASSIGN_OR_RETURN(std::optional<FastaRecord> record, reader.Next());
    if (!record) return records;
    records.push_back(*std::move(record));
  }
}

// A file that is gone with the test.
class Written {
 public:
  explicit Written(std::string_view text)
      : path_(std::filesystem::temp_directory_path() / ("lodestone-fasta-" + std::to_string(getpid()) + ".fasta")) {
    EXPECT_TRUE(WriteFileAtomically(path_, text).ok());
  }
  ~Written() { std::filesystem::remove(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST(Fasta, ReadsRecordsAcrossLines) {
  const auto records = ReadAll("\n>one first\r\nATGgg\r\n  CTAA\t\n\n>two\nauu\n>\nN");
  ASSERT_TRUE(records.ok()) << records.error().message;
  ASSERT_EQ(records->size(), 3u);
  EXPECT_EQ((*records)[0].name, "one first");
  EXPECT_EQ((*records)[0].sequence, "ATGGGCTAA");
  EXPECT_EQ((*records)[0].line, 2);
  EXPECT_EQ((*records)[1].sequence, "ATT");
  EXPECT_EQ((*records)[2].name, "");
  EXPECT_EQ((*records)[2].line, 8);
}

TEST(Fasta, FaultsNameFileLineAndColumn) {
  using namespace std::string_view_literals;
  const std::vector<std::pair<std::string_view, std::string>> cases{
      {"", "g.fasta: holds no record"},
      {"\n \n", "g.fasta: holds no record"},
      {"ATG\n>a\nATG\n", "g.fasta:1: found 'ATG' before the first record"},
      {">a\nATG\nATGEEE\n", "g.fasta:3: found 'E' at column 4"},
      {">a\n  AT-G\n", "g.fasta:2: found '-' at column 5 of a sequence, expected A, C, G, T (or U)"},
      {">a\n>b\nATG\n", "g.fasta:1: the record 'a' has no sequence"},
      {">a\nATG\n>b\n\n", "g.fasta:3: the record 'b' has no sequence"},
      {">a\nAT>G\n", "g.fasta:2: found '>' at column 3"},
      {"\x1F\x8B\x08"sv, "g.fasta: compressed with gzip"},
      {"\x7F"
       "ELF\0\1"sv,
       "g.fasta:1: found "},
      {">a\0b\nATG"sv, "g.fasta:1: found a NUL in a name"},
      {">a\nA\0TG"sv, "g.fasta:2: found "}};
  for (const auto& [text, expected] : cases) {
    const auto records = ReadAll(text);
    ASSERT_FALSE(records.ok()) << expected;
    EXPECT_TRUE(records.error().message.starts_with(expected)) << records.error().message;
  }
  const auto records = ReadAll(">" + std::string(kMaxFastaName + 1, 'x') + "\nA\n");
  ASSERT_FALSE(records.ok());
  EXPECT_NE(records.error().message.find("a name of "), std::string::npos);
}

TEST(Fasta, TokensAreCodonsAndAnEndForEachRecord) {
  const Written file(">a\nATGggc\nTA\n>b\nTAA\n");
  const std::vector<std::filesystem::path> paths{file.path(), file.path()};
  const auto data = TokensOfFasta(paths, 80);
  ASSERT_TRUE(data.ok()) << data.error().message;
  std::vector<int32_t> ids(static_cast<size_t>((*data)->size()));
  (*data)->Read(0, ids);
  const std::vector<int32_t> once{10, 5, kCodonUnknown, kCodonEnd, 65, kCodonEnd};
  std::vector<int32_t> twice = once;
  twice.insert(twice.end(), once.begin(), once.end());
  EXPECT_EQ(ids, twice);
  EXPECT_EQ((*data)->source_bytes(), 22);
  EXPECT_EQ((*data)->Describe(), "2 FASTA files, 4 sequences, 22 bases, 12 tokens");
  std::vector<int32_t> middle(3);
  (*data)->Read(4, middle);
  EXPECT_EQ(middle, (std::vector<int32_t>{65, kCodonEnd, 10}));
}

TEST(Fasta, TokensNeedAVocabularyOfCodons) {
  const Written file(">a\nATG\n");
  const std::vector<std::filesystem::path> paths{file.path()};
  const auto small = TokensOfFasta(paths, 68);
  ASSERT_FALSE(small.ok());
  EXPECT_NE(small.error().message.find("codons need 69"), std::string::npos) << small.error().message;
  const std::vector<std::filesystem::path> missing{"/nowhere.fasta"};
  EXPECT_FALSE(TokensOfFasta(missing, 69).ok());
}

TEST(Fasta, ReadsAPublishedFile) {
  LODESTONE_REQUIRE_FIXTURE("published/genslm/mdh_generated_sample.fasta");
  int64_t records = 0;
  const Status status = ForEachFastaRecord(SharedDir() / "published/genslm/mdh_generated_sample.fasta",
                                           [&](const FastaRecord& record) -> Status {
                                             ++records;
                                             EXPECT_EQ(record.sequence.size() % 3, 0u);
                                             EXPECT_GE(record.sequence.size(), 867u);
                                             EXPECT_LE(record.sequence.size(), 1080u);
                                             return {};
                                           });
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(records, 135);
}

TEST(FastaFuzzCorpus, EverySeedIsReadOrRefused) {
  const auto folder = std::filesystem::path(LODESTONE_SOURCE_DIR) / "tests/fuzz/corpus/fasta";
  int read = 0, refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().filename().string());
    const Result<std::string> text = ReadFile(entry.path(), 1 << 20);
    ASSERT_TRUE(text.ok()) << text.error().message;
    EXPECT_EQ(FuzzFasta(reinterpret_cast<const uint8_t*>(text->data()), text->size()), 0);
    ++(ReadAll(*text).ok() ? read : refused);
  }
  EXPECT_GE(read, 4);
  EXPECT_GE(refused, 6);
}

}  // namespace
}  // namespace lodestone::testing
