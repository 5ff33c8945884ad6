// What a model is trained on: one long row of token ids, from text files, token files or FASTA; and the sequences drawn
// from it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "learn/differentiator.h"
#include "text/tokenizer.h"

namespace lodestone {

// Ids of a whole data set: held, or mapped from a token file and read as they are needed.
class TokenData {
 public:
  virtual ~TokenData() = default;
  virtual int64_t size() const = 0;
  // Ids [begin, begin + out.size()), all below `vocab` when the data was opened.
  virtual void Read(int64_t begin, std::span<int32_t> out) const = 0;
  virtual int64_t source_bytes() const = 0;  // of text that the ids stand for; 0 if not known
  virtual std::string Describe() const = 0;  // "214 files, 9,812,339 bytes, 3,012,440 tokens"
};

// Ids in memory.
std::unique_ptr<TokenData> HeldTokens(std::vector<int32_t> ids, int64_t source_bytes, std::string description);

// The files that `paths` stand for: each named file, and of a directory every file below it whose name ends in
// `suffix` and that is not empty, in order of path. Files whose path contains one of `exclude` are left out. Refused: a
// path that does not exist, a directory that gives no file.
Result<std::vector<std::filesystem::path>> DataFiles(std::span<const std::filesystem::path> paths,
                                                     const std::string& suffix, std::span<const std::string> exclude);
// Takes about `fraction` of the files' bytes out of `files` and returns them: a whole file is taken or left by a hash
// of (seed, its place in the list), so the choice needs no file's contents. At least one file is taken and one is left;
// refused for fewer than two files.
Result<std::vector<std::filesystem::path>> HoldOutFiles(std::vector<std::filesystem::path>& files, double fraction,
                                                        uint64_t seed);

// What ends a document: the tokenizer's <|endoftext|>, or what other families call it ("</s>", "<|end_of_text|>", …).
std::optional<int32_t> EndOfText(const Tokenizer& tokenizer);

// Text files (UTF-8), each encoded as a prompt would be (with the tokens that the tokenizer puts in front) and followed
// by the end-of-text id, where the tokenizer has one. Directories as in DataFiles. Refused by name: a missing or empty
// file, binary data (a NUL or invalid UTF-8), nothing at all, an id that is not below `vocab`.
Result<std::unique_ptr<TokenData>> TokensOfText(std::span<const std::filesystem::path> paths, const std::string& suffix,
                                                const Tokenizer& tokenizer, int64_t vocab);
// FASTA (W. Pearson and D. Lipman 1988): '>' begins a record; its sequence is upper-cased and cut into codons from
// offset 0 (learn/codons.h); a record ends with the end id.
Result<std::unique_ptr<TokenData>> TokensOfFasta(std::span<const std::filesystem::path> paths, int64_t vocab);

// A token file: 64 bytes of header (magic "LODETOKS", version, bytes an id (2 or 4), count, vocabulary, source bytes;
// little-endian), then the ids. Mapped, not read. Refused by name: another kind of file, a size that is not what the
// header says, an id beyond its vocabulary, a vocabulary above `vocab`.
Result<std::unique_ptr<TokenData>> OpenTokenFile(const std::filesystem::path& path, int64_t vocab);
// The same of bytes in memory, which outlive the result; `name` is what messages call them.
Result<std::unique_ptr<TokenData>> ParseTokenFile(std::span<const std::byte> bytes, const std::string& name,
                                                  int64_t vocab);
// Replaces `path` whole; 2 bytes an id where the vocabulary allows.
Status WriteTokenFile(const std::filesystem::path& path, const TokenData& data, int64_t vocab);

// The ids of several data sets in one row.
std::unique_ptr<TokenData> Joined(std::vector<std::unique_ptr<TokenData>> parts);

// The front of a row for training and the back, about `fraction` of the ids, for validation: cut behind the last `end`
// id of the front's last tenth, so that documents stay whole, or anywhere where there is none.
struct SplitTokens {
  std::unique_ptr<TokenData> train, validation;
};
SplitTokens SplitRow(std::shared_ptr<const TokenData> data, double fraction, std::optional<int32_t> end);

// A hash of the length and of ids at 4096 places spread over the row: tells a checkpoint of other data.
uint64_t Fingerprint(const TokenData& data);

// Which sequences step `step` trains on. The data is cut into windows of `length` + 1 ids (targets are the ids one
// later), their order shuffled anew in every epoch by (seed, epoch): any step can be drawn without those before it, so
// a run resumes exactly and ranks share one order. Rank r of R takes sequences r, r + R, … of the step's
// sequences_a_step.
class BatchOrder {
 public:
  // Refused: fewer ids than one window. `data` outlives the order.
  static Result<BatchOrder> Make(const TokenData& data, int length, uint64_t seed);
  int64_t windows() const { return windows_; }
  int length() const { return length_; }
  // The window, counted from the start of the data, that sequence `index` (counted from the run's first) is. Sequences
  // [e × windows, (e + 1) × windows) are the windows of epoch e, each once.
  int64_t WindowOf(int64_t index) const;
  // Copies sequence `index` into tokens and targets of `length` each.
  void Read(int64_t index, std::span<int32_t> tokens, std::span<int32_t> targets) const;

 private:
  const TokenData* data_ = nullptr;
  int length_ = 0;
  uint64_t seed_ = 0;
  int64_t windows_ = 0;
};

}  // namespace lodestone
