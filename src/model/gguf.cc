#include "model/gguf.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <set>

#include "base/quote.h"
#include "model/gguf_cursor.h"

namespace lodestone {
namespace {

constexpr uint32_t kOldestVersion = 2, kNewestVersion = 3;
constexpr uint64_t kMaxKeys = 1 << 16, kMaxTensors = 1 << 20;
constexpr uint64_t kMaxKeyBytes = 65535;  // of the specification; names of tensors have 64 in practice
constexpr uint32_t kMaxRank = 4;
constexpr int64_t kDefaultAlignment = 32, kMaxAlignment = int64_t{1} << 20;
constexpr const char* kAlignmentKey = "general.alignment";

// Bytes that the shortest entry takes: what bounds a count before memory is reserved for it.
constexpr uint64_t kShortestKey = 8 + 4 + 1, kShortestTensor = 8 + 4 + 4 + 8;

struct Header {
  uint64_t tensors = 0, keys = 0;
};

Result<Header> ReadHeader(GgufCursor& cursor) {
  LODESTONE_ASSIGN_OR_RETURN(const std::string_view magic, cursor.Bytes(4, "the magic number"));
  if (magic != "GGUF") return cursor.Fail(fmt::format("begins with {}, expected 'GGUF'", Quoted(magic)));
  LODESTONE_ASSIGN_OR_RETURN(const auto version, cursor.Number<uint32_t>("the version"));
  if (version >> 24 != 0 && (version & 0xffffffu) == 0) {
    return Unsupported(fmt::format("{}: the file is big-endian; only little-endian GGUF is read", cursor.file()));
  }
  if (version < kOldestVersion || version > kNewestVersion) {
    return Unsupported(
        fmt::format("{}: GGUF version {} is not read, only {} and {}; convert the model again with a current "
                    "converter",
                    cursor.file(), version, kOldestVersion, kNewestVersion));
  }
  Header header;
  LODESTONE_ASSIGN_OR_RETURN(header.tensors, cursor.Count(kMaxTensors, kShortestTensor, "tensors"));
  LODESTONE_ASSIGN_OR_RETURN(header.keys, cursor.Count(kMaxKeys, kShortestKey, "keys"));
  return header;
}

Result<Json> ReadMetadata(GgufCursor& cursor, uint64_t keys) {
  Json::Object metadata;
  std::set<std::string, std::less<>> seen;
  for (uint64_t i = 0; i < keys; ++i) {
    LODESTONE_ASSIGN_OR_RETURN(const std::string_view key, cursor.String(kMaxKeyBytes, fmt::format("key {}", i)));
    if (!seen.emplace(key).second) return cursor.Fail(fmt::format("key {} is there twice", Quoted(key)));
    LODESTONE_ASSIGN_OR_RETURN(Json value, cursor.TypedValue(fmt::format("key {}", Quoted(key))));
    metadata.emplace_back(key, std::move(value));
  }
  return Json(std::move(metadata));
}

Result<int64_t> ReadAlignment(const Json& metadata, std::string_view file) {
  const Json* value = metadata.Find(kAlignmentKey);
  if (value == nullptr) return kDefaultAlignment;
  const int64_t* alignment = value->as_int();
  if (alignment == nullptr || *alignment < 1 || *alignment > kMaxAlignment ||
      !std::has_single_bit(static_cast<uint64_t>(*alignment))) {
    return Invalid(fmt::format("{}: key '{}' is {}, expected a power of two up to {}", file, kAlignmentKey,
                               value->Dump(-1), kMaxAlignment));
  }
  return *alignment;
}

struct Entry {
  GgufTensor tensor;
  uint64_t offset = 0;
  int64_t bytes = 0;
};

// Bytes of a tensor of `shape` (slowest first, sizes from 1), or none where they overflow.
std::optional<int64_t> BytesOf(std::span<const int64_t> shape, const GgufCode& code) {
  int64_t values = 1;
  for (const int64_t size : shape) {
    if (size > std::numeric_limits<int64_t>::max() / code.block_bytes / values) return std::nullopt;
    values *= size;
  }
  return values / code.block_values * code.block_bytes;
}

Result<Entry> ReadTensor(GgufCursor& cursor, uint64_t index) {
  Entry entry;
  LODESTONE_ASSIGN_OR_RETURN(const std::string_view name,
                             cursor.String(kMaxKeyBytes, fmt::format("the name of tensor {}", index)));
  entry.tensor.name = name;
  const std::string what = fmt::format("tensor {}", Quoted(name));
  LODESTONE_ASSIGN_OR_RETURN(const auto rank, cursor.Number<uint32_t>(what));
  if (rank < 1 || rank > kMaxRank) {
    return cursor.Fail(fmt::format("{} has {} dimensions, expected 1 to {}", what, rank, kMaxRank));
  }
  for (uint32_t i = 0; i < rank; ++i) {
    LODESTONE_ASSIGN_OR_RETURN(const auto size, cursor.Number<uint64_t>(what));
    if (size < 1 || size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return cursor.Fail(fmt::format("{}: dimension {} is {}, expected at least 1", what, i, size));
    }
    entry.tensor.shape.push_back(static_cast<int64_t>(size));
  }
  std::reverse(entry.tensor.shape.begin(), entry.tensor.shape.end());
  LODESTONE_ASSIGN_OR_RETURN(const auto type, cursor.Number<uint32_t>(what));
  LODESTONE_ASSIGN_OR_RETURN(entry.offset, cursor.Number<uint64_t>(what));
  const GgufCode* code = entry.tensor.code = FindGgufCode(type);
  if (code == nullptr) {
    return Unsupported(fmt::format("{}: {} is stored as {}, which is not read; read are {}", cursor.file(), what,
                                   GgufTypeName(type), ReadableGgufTypes()));
  }
  if (entry.tensor.shape.back() % code->block_values != 0) {
    return cursor.Fail(fmt::format("{}: rows of {} values are no whole number of {} blocks of {}", what,
                                   entry.tensor.shape.back(), code->name, code->block_values));
  }
  const std::optional<int64_t> bytes = BytesOf(entry.tensor.shape, *code);
  if (!bytes) {
    return cursor.Fail(fmt::format("{}: shape [{}] overflows", what, fmt::join(entry.tensor.shape, ", ")));
  }
  entry.bytes = *bytes;
  return entry;
}

// Places every tensor in `data`; they follow each other with less than one alignment between them.
Status PlaceTensors(std::vector<Entry>& entries, std::span<const std::byte> data, int64_t alignment,
                    std::string_view file) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.offset < b.offset; });
  int64_t end = 0;
  for (Entry& entry : entries) {
    const auto refuse = [&](const std::string& why) {
      return Invalid(fmt::format("{}: tensor {} of {} bytes at offset {} {}", file, Quoted(entry.tensor.name),
                                 entry.bytes, entry.offset, why));
    };
    const auto size = static_cast<uint64_t>(data.size());
    if (entry.offset > size || static_cast<uint64_t>(entry.bytes) > size - entry.offset) {
      return refuse(
          fmt::format("passes the end of the data, which is {} bytes; the file is truncated or its header "
                      "is wrong",
                      size));
    }
    const auto offset = static_cast<int64_t>(entry.offset);
    if (offset % alignment != 0) return refuse(fmt::format("is not at a multiple of {}", alignment));
    if (offset < end) return refuse(fmt::format("overlaps the tensor before it, which ends at {}", end));
    if (offset - end >= alignment) return refuse(fmt::format("leaves a hole after the tensor that ends at {}", end));
    entry.tensor.data = data.subspan(static_cast<size_t>(offset), static_cast<size_t>(entry.bytes));
    end = offset + entry.bytes;
  }
  return {};
}

}  // namespace

void GgufTensor::Read(int64_t begin, std::span<float> out) const {
  const auto size = static_cast<int64_t>(out.size());
  LODESTONE_CHECK(begin >= 0 && begin % code->block_values == 0 && size % code->block_values == 0);
  const int64_t first = begin / code->block_values, blocks = size / code->block_values;
  LODESTONE_CHECK((first + blocks) * code->block_bytes <= static_cast<int64_t>(data.size()));
  code->expand(data.data() + first * code->block_bytes, blocks, out.data());
}

const GgufTensor* GgufFile::Find(std::string_view tensor) const {
  const auto found = std::lower_bound(tensors.begin(), tensors.end(), tensor,
                                      [](const GgufTensor& t, std::string_view key) { return t.name < key; });
  return found != tensors.end() && found->name == tensor ? &*found : nullptr;
}

Result<GgufFile> ParseGguf(std::span<const std::byte> bytes, std::string_view name) {
  GgufFile file;
  file.name = name;
  GgufCursor cursor(bytes, file.name);
  LODESTONE_ASSIGN_OR_RETURN(const Header header, ReadHeader(cursor));
  LODESTONE_ASSIGN_OR_RETURN(file.metadata, ReadMetadata(cursor, header.keys));
  LODESTONE_ASSIGN_OR_RETURN(const int64_t alignment, ReadAlignment(file.metadata, name));
  std::vector<Entry> entries;
  entries.reserve(header.tensors);
  for (uint64_t i = 0; i < header.tensors; ++i) {
    LODESTONE_ASSIGN_OR_RETURN(Entry entry, ReadTensor(cursor, i));
    entries.push_back(std::move(entry));
  }
  const size_t data_begin =
      (cursor.position() + static_cast<size_t>(alignment) - 1) & ~static_cast<size_t>(alignment - 1);
  const std::span<const std::byte> data =
      data_begin < bytes.size() ? bytes.subspan(data_begin) : std::span<const std::byte>();
  LODESTONE_RETURN_IF_ERROR(PlaceTensors(entries, data, alignment, name));

  for (Entry& entry : entries) file.tensors.push_back(std::move(entry.tensor));
  const auto by_name = [](const GgufTensor& a, const GgufTensor& b) { return a.name < b.name; };
  std::sort(file.tensors.begin(), file.tensors.end(), by_name);
  const auto twice = std::adjacent_find(file.tensors.begin(), file.tensors.end(),
                                        [](const auto& a, const auto& b) { return a.name == b.name; });
  if (twice != file.tensors.end()) return cursor.Fail(fmt::format("tensor {} is there twice", Quoted(twice->name)));
  return file;
}

}  // namespace lodestone
