#include "learn/training_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/quote.h"
#include "base/split_mix.h"
#include "base/units.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFileBytes = size_t{256} << 20;  // what a tokenizer encodes at once

std::string Grouped(int64_t value) { return FormatNumber(static_cast<double>(value)); }

class Held final : public TokenData {
 public:
  Held(std::vector<int32_t> ids, int64_t source_bytes, std::string description)
      : ids_(std::move(ids)), source_bytes_(source_bytes), description_(std::move(description)) {}

  int64_t size() const override { return static_cast<int64_t>(ids_.size()); }
  void Read(int64_t begin, std::span<int32_t> out) const override {
    LODESTONE_CHECK(begin >= 0 && static_cast<size_t>(begin) + out.size() <= ids_.size());
    std::copy_n(ids_.begin() + begin, out.size(), out.begin());
  }
  int64_t source_bytes() const override { return source_bytes_; }
  std::string Describe() const override { return description_; }

 private:
  std::vector<int32_t> ids_;
  int64_t source_bytes_;
  std::string description_;
};

class Slice final : public TokenData {
 public:
  Slice(std::shared_ptr<const TokenData> data, int64_t begin, int64_t end)
      : data_(std::move(data)), begin_(begin), end_(end) {}

  int64_t size() const override { return end_ - begin_; }
  void Read(int64_t begin, std::span<int32_t> out) const override {
    LODESTONE_CHECK(begin >= 0 && begin + static_cast<int64_t>(out.size()) <= size());
    data_->Read(begin_ + begin, out);
  }
  int64_t source_bytes() const override { return 0; }
  std::string Describe() const override {
    return fmt::format("tokens {} to {} of {}", Grouped(begin_), Grouped(end_), data_->Describe());
  }

 private:
  std::shared_ptr<const TokenData> data_;
  int64_t begin_, end_;
};

class Row final : public TokenData {
 public:
  explicit Row(std::vector<std::unique_ptr<TokenData>> parts) : parts_(std::move(parts)), ends_(parts_.size()) {
    for (size_t i = 0; i < parts_.size(); ++i) {
      size_ += parts_[i]->size();
      ends_[i] = size_;
      source_bytes_ += parts_[i]->source_bytes();
      bytes_known_ &= parts_[i]->source_bytes() > 0;
    }
  }

  int64_t size() const override { return size_; }
  void Read(int64_t begin, std::span<int32_t> out) const override {
    LODESTONE_CHECK(begin >= 0 && begin + static_cast<int64_t>(out.size()) <= size_);
    auto part = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), begin) - ends_.begin());
    while (!out.empty()) {
      const int64_t first = part == 0 ? 0 : ends_[part - 1];
      const auto here = static_cast<size_t>(std::min<int64_t>(ends_[part] - begin, static_cast<int64_t>(out.size())));
      parts_[part]->Read(begin - first, out.first(here));
      out = out.subspan(here);
      begin += static_cast<int64_t>(here);
      ++part;
    }
  }
  int64_t source_bytes() const override { return bytes_known_ ? source_bytes_ : 0; }
  std::string Describe() const override {
    std::string text;
    for (const auto& part : parts_) text += fmt::format("{}{}", text.empty() ? "" : "; ", part->Describe());
    return text;
  }

 private:
  std::vector<std::unique_ptr<TokenData>> parts_;
  std::vector<int64_t> ends_;
  int64_t size_ = 0, source_bytes_ = 0;
  bool bytes_known_ = true;
};

Status AddDirectory(const fs::path& directory, const std::string& suffix, std::vector<fs::path>& files) {
  std::error_code error;
  const size_t before = files.size();
  for (auto it = fs::recursive_directory_iterator(directory, error); !error && it != fs::end(it); it.increment(error)) {
    std::error_code ignored;
    const bool wanted = it->is_regular_file(ignored) && it->path().filename().string().ends_with(suffix);
    if (wanted && it->file_size(ignored) > 0) files.push_back(it->path());
  }
  if (error) return IoError(fmt::format("{}: cannot list the directory: {}", directory.string(), error.message()));
  if (files.size() == before) {
    return NotFound(fmt::format("{}: found no file with text{}", directory.string(),
                                suffix.empty() ? "" : fmt::format(" whose name ends in {}", Quoted(suffix))));
  }
  std::sort(files.begin() + static_cast<std::ptrdiff_t>(before), files.end());
  return {};
}

// The ids of one file behind those before it.
Status AppendText(const fs::path& file, const Tokenizer& tokenizer, std::optional<int32_t> end, int64_t vocab,
                  std::vector<int32_t>& ids, int64_t& bytes) {
  LODESTONE_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kMaxFileBytes));
  if (text.empty()) return Invalid(fmt::format("{}: the file is empty, expected text", file.string()));
  if (const size_t nul = text.find('\0'); nul != std::string::npos) {
    return Invalid(
        fmt::format("{}: found a NUL at byte {}, expected UTF-8 text; for a token file say kind = "
                    "\"tokens\", and leave other binary files out with 'exclude'",
                    file.string(), nul));
  }
  const Result<std::vector<int32_t>> encoded = tokenizer.Encode(text);
  if (!encoded.ok()) {
    return Error{encoded.error().code, fmt::format("{}: {}; leave the file out with 'exclude' if it is no text",
                                                   file.string(), encoded.error().message)};
  }
  for (const int32_t id : *encoded) {
    if (id >= vocab) {
      return Invalid(fmt::format("{}: the tokenizer makes id {}, and the model's vocabulary has {} ids", file.string(),
                                 id, vocab));
    }
  }
  ids.insert(ids.end(), encoded->begin(), encoded->end());
  if (end && (encoded->empty() || encoded->back() != *end)) ids.push_back(*end);
  bytes += static_cast<int64_t>(text.size());
  return {};
}

}  // namespace

std::unique_ptr<TokenData> HeldTokens(std::vector<int32_t> ids, int64_t source_bytes, std::string description) {
  return std::make_unique<Held>(std::move(ids), source_bytes, std::move(description));
}

Result<std::vector<fs::path>> DataFiles(std::span<const fs::path> paths, const std::string& suffix,
                                        std::span<const std::string> exclude) {
  std::vector<fs::path> files;
  for (const fs::path& path : paths) {
    std::error_code error;
    if (fs::is_directory(path, error)) {
      LODESTONE_RETURN_IF_ERROR(AddDirectory(path, suffix, files));
    } else if (!fs::exists(path, error)) {
      return NotFound(fmt::format("{}: the file or directory does not exist", path.string()));
    } else {
      files.push_back(path);
    }
  }
  std::erase_if(files, [&exclude](const fs::path& file) {
    const std::string text = file.string();
    return std::any_of(exclude.begin(), exclude.end(),
                       [&text](const std::string& part) { return text.find(part) != std::string::npos; });
  });
  if (files.empty()) return NotFound("every file of the data is excluded");
  return files;
}

Result<std::vector<fs::path>> HoldOutFiles(std::vector<fs::path>& files, double fraction, uint64_t seed) {
  if (files.size() < 2) {
    return Invalid(fmt::format("{}: one file cannot be split by whole files", files.empty() ? "" : files[0].string()));
  }
  double total = 0;
  std::vector<double> bytes(files.size());
  for (size_t i = 0; i < files.size(); ++i) {
    std::error_code error;
    const uintmax_t size = fs::file_size(files[i], error);
    bytes[i] = error ? 0 : static_cast<double>(size);
    total += bytes[i];
  }
  // Files in the order of their hashes, until their bytes are the fraction.
  std::vector<std::pair<uint64_t, size_t>> order;
  for (size_t i = 0; i < files.size(); ++i) order.emplace_back(SplitMixFinal(Mix(seed) + i), i);
  std::sort(order.begin(), order.end());
  std::vector<bool> held(files.size());
  double taken = 0;
  for (size_t i = 0; i + 1 < order.size() && (i == 0 || taken < fraction * total); ++i) {
    held[order[i].second] = true;
    taken += bytes[order[i].second];
  }
  std::vector<fs::path> kept, out;
  for (size_t i = 0; i < files.size(); ++i) (held[i] ? out : kept).push_back(std::move(files[i]));
  files = std::move(kept);
  return out;
}

std::optional<int32_t> EndOfText(const Tokenizer& tokenizer) {
  for (const char* name :
       {"<|endoftext|>", "</s>", "<|end_of_text|>", "<|eot_id|>", "<|im_end|>", "<eos>", "[EOS]", "[SEP]"}) {
    if (const std::optional<int32_t> id = tokenizer.TokenToId(name); id && tokenizer.IsSpecial(*id)) return id;
  }
  return std::nullopt;
}

Result<std::unique_ptr<TokenData>> TokensOfText(std::span<const fs::path> paths, const std::string& suffix,
                                                const Tokenizer& tokenizer, int64_t vocab) {
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<fs::path> files, DataFiles(paths, suffix, {}));
  const std::optional<int32_t> end = EndOfText(tokenizer);
  if (end && *end >= vocab) {
    return Invalid(
        fmt::format("the tokenizer's end of text is id {}, and the model's vocabulary has {} ids", *end, vocab));
  }
  std::vector<int32_t> ids;
  int64_t bytes = 0;
  for (const fs::path& file : files) LODESTONE_RETURN_IF_ERROR(AppendText(file, tokenizer, end, vocab, ids, bytes));
  if (ids.empty()) return Invalid(fmt::format("{}: the text has no tokens", files[0].string()));
  std::string description =
      fmt::format("{} {}, {} bytes, {} tokens", files.size(), files.size() == 1 ? "file" : "files", Grouped(bytes),
                  Grouped(static_cast<int64_t>(ids.size())));
  return HeldTokens(std::move(ids), bytes, std::move(description));
}

std::unique_ptr<TokenData> Joined(std::vector<std::unique_ptr<TokenData>> parts) {
  if (parts.size() == 1) return std::move(parts[0]);
  return std::make_unique<Row>(std::move(parts));
}

SplitTokens SplitRow(std::shared_ptr<const TokenData> data, double fraction, std::optional<int32_t> end) {
  const int64_t size = data->size();
  const int64_t aim = std::clamp(size - static_cast<int64_t>(fraction * static_cast<double>(size)), int64_t{0}, size);
  int64_t cut = aim;
  if (end) {
    std::array<int32_t, 4096> ids{};
    const int64_t floor = aim - aim / 10;
    bool found = false;
    for (int64_t high = aim; high > floor && !found;) {
      const int64_t low = std::max(floor, high - static_cast<int64_t>(ids.size()));
      data->Read(low, std::span(ids).first(static_cast<size_t>(high - low)));
      for (int64_t i = high; i > low && !found; --i) {
        if (ids[static_cast<size_t>(i - 1 - low)] != *end) continue;
        cut = i;
        found = true;
      }
      high = low;
    }
  }
  return {.train = std::make_unique<Slice>(data, 0, cut), .validation = std::make_unique<Slice>(data, cut, size)};
}

uint64_t Fingerprint(const TokenData& data) {
  constexpr int64_t kPlaces = 4096;
  const int64_t size = data.size();
  uint64_t hash = Mix(static_cast<uint64_t>(size));
  for (int64_t place = 0; place < std::min(size, kPlaces); ++place) {
    // size × place does not overflow for fewer than 2^51 ids.
    const int64_t at = size <= kPlaces ? place : size * place / kPlaces;
    int32_t id = 0;
    data.Read(at, {&id, 1});
    hash = SplitMixFinal(hash ^ static_cast<uint32_t>(id)) + kSplitMixGamma;
  }
  return hash;
}

}  // namespace lodestone
