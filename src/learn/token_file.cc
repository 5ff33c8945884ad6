// Token files: a header of 64 bytes and the ids, mapped.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <string>

#include "base/file.h"
#include "base/random_access_file.h"
#include "base/units.h"
#include "learn/training_data.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "token files are little-endian and read in place");

constexpr char kMagic[8] = {'L', 'O', 'D', 'E', 'T', 'O', 'K', 'S'};
constexpr uint32_t kVersion = 1;

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t id_bytes;  // 2 or 4
  uint64_t count;
  uint64_t vocab;
  uint64_t source_bytes;  // 0: not known
  uint8_t reserved[24];   // zero
};
static_assert(sizeof(Header) == 64 && offsetof(Header, count) == 16 && offsetof(Header, source_bytes) == 32);

class MappedTokens final : public TokenData {
 public:
  MappedTokens(MappedFile file, std::span<const std::byte> ids, const Header& header, std::string name)
      : file_(std::move(file)), ids_(ids), header_(header), name_(std::move(name)) {}

  int64_t size() const override { return static_cast<int64_t>(header_.count); }
  void Read(int64_t begin, std::span<int32_t> out) const override {
    LODESTONE_CHECK(begin >= 0 && begin + static_cast<int64_t>(out.size()) <= size());
    const std::byte* from = ids_.data() + static_cast<size_t>(begin) * header_.id_bytes;
    if (header_.id_bytes == 4) {
      std::memcpy(out.data(), from, out.size_bytes());
      return;
    }
    for (size_t i = 0; i < out.size(); ++i) {
      uint16_t id = 0;
      std::memcpy(&id, from + 2 * i, sizeof id);
      out[i] = id;
    }
  }
  int64_t source_bytes() const override { return static_cast<int64_t>(header_.source_bytes); }
  std::string Describe() const override {
    return fmt::format("{}, {} tokens", name_, FormatNumber(static_cast<double>(header_.count)));
  }
  // Gives back the pages that a look at every id has made resident.
  void Release() const { ReleasePages(file_.bytes()); }

 private:
  MappedFile file_;
  std::span<const std::byte> ids_;
  Header header_;
  std::string name_;
};

// All ids below the header's vocabulary; a file cut or written by something else must not index beyond an embedding.
Status CheckIds(const TokenData& data, uint64_t vocab, const std::string& name) {
  std::vector<int32_t> ids(size_t{1} << 16);
  for (int64_t begin = 0; begin < data.size(); begin += static_cast<int64_t>(ids.size())) {
    const std::span<int32_t> part(ids.data(), static_cast<size_t>(std::min<int64_t>(data.size() - begin, 1 << 16)));
    data.Read(begin, part);
    for (size_t i = 0; i < part.size(); ++i) {
      if (part[i] >= 0 && static_cast<uint64_t>(part[i]) < vocab) continue;
      return Invalid(fmt::format("{}: found id {} at place {}, expected ids below the vocabulary of {}", name,
                                 static_cast<uint32_t>(part[i]), begin + static_cast<int64_t>(i), vocab));
    }
  }
  return {};
}

Result<std::unique_ptr<MappedTokens>> Parse(MappedFile file, std::span<const std::byte> bytes, const std::string& name,
                                            int64_t vocab) {
  Header header{};
  if (bytes.size() < sizeof header || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0) {
    return Invalid(
        fmt::format("{}: this is no token file (it does not begin with LODETOKS and a header of 64 bytes); "
                    "'lodestone tokenizer encode' writes one",
                    name));
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.version != kVersion) {
    return Unsupported(fmt::format("{}: found version {}, expected {}", name, header.version, kVersion));
  }
  if (header.id_bytes != 2 && header.id_bytes != 4) {
    return Invalid(fmt::format("{}: found {} bytes an id, expected 2 or 4", name, header.id_bytes));
  }
  const size_t held = (bytes.size() - sizeof header) / header.id_bytes;
  if (header.count != held || (bytes.size() - sizeof header) % header.id_bytes != 0) {
    return Invalid(
        fmt::format("{}: the header says {} ids of {} bytes, and {} bytes follow it; the file was cut short "
                    "or added to",
                    name, header.count, header.id_bytes, bytes.size() - sizeof header));
  }
  if (header.count == 0) return Invalid(fmt::format("{}: the token file is empty", name));
  constexpr auto kMaxInt = static_cast<uint64_t>(std::numeric_limits<int32_t>::max());
  if (header.vocab == 0 || header.vocab > kMaxInt) {
    return Invalid(fmt::format("{}: found a vocabulary of {} ids, expected 1 to {}", name, header.vocab, kMaxInt));
  }
  if (header.vocab > static_cast<uint64_t>(vocab)) {
    return Invalid(
        fmt::format("{}: its ids are of a vocabulary of {}, and the model has {}; encode the text with the "
                    "model's tokenizer",
                    name, header.vocab, vocab));
  }
  if (header.source_bytes > uint64_t{1} << 62) {
    return Invalid(fmt::format("{}: found {} bytes of text, expected fewer", name, header.source_bytes));
  }
  auto data = std::make_unique<MappedTokens>(std::move(file), bytes.subspan(sizeof header), header, name);
  LODESTONE_RETURN_IF_ERROR(CheckIds(*data, header.vocab, name));
  return data;
}

}  // namespace

Result<std::unique_ptr<TokenData>> OpenTokenFile(const fs::path& path, int64_t vocab) {
  LODESTONE_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  const std::span<const std::byte> bytes = file.bytes();
  LODESTONE_ASSIGN_OR_RETURN(std::unique_ptr<MappedTokens> data, Parse(std::move(file), bytes, path.string(), vocab));
  data->Release();
  return std::unique_ptr<TokenData>(std::move(data));
}

Result<std::unique_ptr<TokenData>> ParseTokenFile(std::span<const std::byte> bytes, const std::string& name,
                                                  int64_t vocab) {
  LODESTONE_ASSIGN_OR_RETURN(std::unique_ptr<MappedTokens> data, Parse(MappedFile(), bytes, name, vocab));
  return std::unique_ptr<TokenData>(std::move(data));
}

Status WriteTokenFile(const fs::path& path, const TokenData& data, int64_t vocab) {
  LODESTONE_CHECK(vocab >= 1 && vocab <= std::numeric_limits<int32_t>::max());
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kVersion;
  header.id_bytes = vocab <= 1 << 16 ? 2 : 4;
  header.count = static_cast<uint64_t>(data.size());
  header.vocab = static_cast<uint64_t>(vocab);
  header.source_bytes = static_cast<uint64_t>(data.source_bytes());

  fs::path beside = path;
  beside += ".tmp";
  std::error_code ignored;
  fs::remove(beside, ignored);  // of a run that was killed
  const auto write = [&]() -> Status {
    const int64_t id_bytes = header.id_bytes;
    LODESTONE_ASSIGN_OR_RETURN(WritableFile file,
                               WritableFile::Create(beside, int64_t{sizeof header} + data.size() * id_bytes));
    LODESTONE_RETURN_IF_ERROR(file.WriteAt(0, std::as_bytes(std::span(&header, 1))));
    std::vector<int32_t> ids(size_t{1} << 16);
    std::vector<uint16_t> narrow(ids.size());
    for (int64_t begin = 0; begin < data.size(); begin += static_cast<int64_t>(ids.size())) {
      const auto count = static_cast<size_t>(std::min<int64_t>(data.size() - begin, static_cast<int64_t>(ids.size())));
      data.Read(begin, std::span(ids).first(count));
      std::span<const std::byte> bytes = std::as_bytes(std::span(ids).first(count));
      if (id_bytes == 2) {
        std::transform(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count), narrow.begin(),
                       [](int32_t id) { return static_cast<uint16_t>(id); });
        bytes = std::as_bytes(std::span(narrow).first(count));
      }
      LODESTONE_RETURN_IF_ERROR(file.WriteAt(int64_t{sizeof header} + begin * id_bytes, bytes));
    }
    return file.Finish();
  };
  Status status = write();
  if (std::error_code error; status.ok()) {
    fs::rename(beside, path, error);
    if (error) status = IoError(fmt::format("{}: cannot replace: {}", path.string(), error.message()));
  }
  if (!status.ok()) fs::remove(beside, ignored);
  return status;
}

}  // namespace lodestone
