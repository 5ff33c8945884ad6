#include "model/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include "base/json.h"
#include "base/quote.h"
#include "numerics/rounding.h"

namespace lodestone {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are mapped, not converted");

constexpr size_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation
constexpr size_t kMaxRank = 8;

struct Dtype {
  std::string_view name;
  TensorType type;
  int64_t bytes;
};

constexpr auto kDtypes = std::to_array<Dtype>({
    {"F32", TensorType::kF32, 4},
    {"F16", TensorType::kF16, 2},
    {"BF16", TensorType::kBf16, 2},
    {"F64", TensorType::kOther, 8},
    {"I64", TensorType::kOther, 8},
    {"U64", TensorType::kOther, 8},
    {"I32", TensorType::kOther, 4},
    {"U32", TensorType::kOther, 4},
    {"I16", TensorType::kOther, 2},
    {"U16", TensorType::kOther, 2},
    {"I8", TensorType::kOther, 1},
    {"U8", TensorType::kOther, 1},
    {"BOOL", TensorType::kOther, 1},
    {"F8_E4M3", TensorType::kOther, 1},
    {"F8_E5M2", TensorType::kOther, 1},
    {"F8_E8M0", TensorType::kOther, 1},
    {"C64", TensorType::kOther, 8},
});

const Dtype* FindDtype(std::string_view name) {
  for (const Dtype& dtype : kDtypes) {
    if (dtype.name == name) return &dtype;
  }
  return nullptr;
}

std::string DtypeNames() {
  std::vector<std::string_view> names;
  for (const Dtype& dtype : kDtypes) names.push_back(dtype.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

// One tensor's entry of the header, with offsets into the data.
struct Entry {
  TensorView view;
  int64_t begin = 0, end = 0;
};

// Number of values; nothing where it would not fit the int64_t range of byte counts.
std::optional<int64_t> ValueCount(std::span<const int64_t> shape) {
  constexpr int64_t kMaxValues = int64_t{1} << 56;
  int64_t count = 1;
  for (const int64_t dim : shape) {
    if (dim != 0 && count > kMaxValues / dim) return std::nullopt;
    count *= dim;
  }
  return count;
}

class HeaderReader {
 public:
  HeaderReader(std::string_view file, int64_t data_bytes) : file_(file), data_bytes_(data_bytes) {}

  Result<Entry> ReadEntry(const std::string& name, const Json& json) const {
    const std::string path = fmt::format("tensor {}", Quoted(name));
    ObjectReader reader(json, fmt::format("{}: {}", file_, path));
    Entry entry;
    entry.view.name = name;
    entry.view.file = file_;
    entry.view.dtype = reader.RequireString("dtype");
    const Json* shape = reader.Require("shape");
    const Json* offsets = reader.Require("data_offsets");
    LODESTONE_RETURN_IF_ERROR(reader.Finish());

    const Dtype* dtype = FindDtype(entry.view.dtype);
    if (dtype == nullptr) {
      return Unsupported(fmt::format("{}: {}: the dtype {} is not known; known are {}", file_, path,
                                     Quoted(entry.view.dtype), DtypeNames()));
    }
    entry.view.type = dtype->type;
    LODESTONE_ASSIGN_OR_RETURN(entry.view.shape, ReadSizes(*shape, path, "shape"));
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<int64_t> range, ReadSizes(*offsets, path, "data_offsets"));
    if (range.size() != 2) {
      return Invalid(
          fmt::format("{}: {}: data_offsets has {} entries, expected begin and end", file_, path, range.size()));
    }
    entry.begin = range[0];
    entry.end = range[1];
    LODESTONE_RETURN_IF_ERROR(CheckRange(entry, *dtype, path));
    return entry;
  }

 private:
  Result<std::vector<int64_t>> ReadSizes(const Json& json, const std::string& path, const char* key) const {
    const Json::Array* items = json.as_array();
    if (items == nullptr || items->size() > kMaxRank) {
      return Invalid(fmt::format("{}: {}: {} is not a list of at most {} integers", file_, path, key, kMaxRank));
    }
    std::vector<int64_t> sizes;
    for (const Json& item : *items) {
      const int64_t* value = item.as_int();
      if (value == nullptr || *value < 0) {
        return Invalid(
            fmt::format("{}: {}: {} holds {}, expected non-negative integers", file_, path, key, item.Dump(-1)));
      }
      sizes.push_back(*value);
    }
    return sizes;
  }

  Status CheckRange(const Entry& entry, const Dtype& dtype, const std::string& path) const {
    if (entry.begin > entry.end) {
      return Invalid(fmt::format("{}: {}: data_offsets [{}, {}] are reversed", file_, path, entry.begin, entry.end));
    }
    if (entry.end > data_bytes_) {
      return Invalid(
          fmt::format("{}: {}: data_offsets [{}, {}] pass the end of the data, which is {} bytes; the file is "
                      "truncated or its header is wrong",
                      file_, path, entry.begin, entry.end, data_bytes_));
    }
    const std::optional<int64_t> count = ValueCount(entry.view.shape);
    if (!count || *count * dtype.bytes != entry.end - entry.begin) {
      return Invalid(fmt::format("{}: {}: shape {} of {} does not take the {} bytes of data_offsets [{}, {}]", file_,
                                 path, ShapeText(entry.view.shape), dtype.name, entry.end - entry.begin, entry.begin,
                                 entry.end));
    }
    return {};
  }

  std::string file_;
  int64_t data_bytes_;
};

// The data must be used once and wholly: an overlap or a hole means that header and data do not belong together.
Status CheckLayout(std::vector<const Entry*> entries, int64_t data_bytes, std::string_view file) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry* a, const Entry* b) { return std::pair(a->begin, a->end) < std::pair(b->begin, b->end); });
  int64_t at = 0;
  const Entry* previous = nullptr;
  for (const Entry* entry : entries) {
    if (entry->begin < at) {
      return Invalid(fmt::format("{}: tensor {} at bytes [{}, {}] overlaps tensor {} at [{}, {}]", file,
                                 Quoted(entry->view.name), entry->begin, entry->end, Quoted(previous->view.name),
                                 previous->begin, previous->end));
    }
    if (entry->begin > at) {
      return Invalid(fmt::format("{}: bytes [{}, {}] of the data, before tensor {}, belong to no tensor", file, at,
                                 entry->begin, Quoted(entry->view.name)));
    }
    at = entry->end;
    previous = entry;
  }
  if (at != data_bytes) {
    return Invalid(fmt::format("{}: bytes [{}, {}] at the end of the data belong to no tensor", file, at, data_bytes));
  }
  return {};
}

Status CheckMetadata(const Json& json, std::string_view file) {
  if (json.as_object() == nullptr) return Invalid(fmt::format("{}: __metadata__ is not an object", file));
  for (const auto& [key, value] : *json.as_object()) {
    if (value.as_string() == nullptr) {
      return Invalid(
          fmt::format("{}: __metadata__: key {} is {}, expected a string", file, Quoted(key), value.TypeName()));
    }
  }
  return {};
}

// A file cut into its JSON header, which is an object, and its data.
struct Split {
  Json header;
  std::span<const std::byte> data;
};

Result<Split> SplitHeader(std::span<const std::byte> bytes, std::string_view name) {
  uint64_t header_bytes = 0;
  if (bytes.size() < sizeof header_bytes) {
    return Invalid(fmt::format("{}: {} bytes are too few for a safetensors file; it is truncated", name, bytes.size()));
  }
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  if (header_bytes > kMaxHeaderBytes) {
    return Invalid(
        fmt::format("{}: the header claims {} bytes, more than the {} that the format allows; this is not a "
                    "safetensors file",
                    name, header_bytes, kMaxHeaderBytes));
  }
  const std::span<const std::byte> rest = bytes.subspan(sizeof header_bytes);
  if (header_bytes > rest.size()) {
    return Invalid(fmt::format("{}: the header claims {} bytes, and {} follow; the file is truncated", name,
                               header_bytes, rest.size()));
  }
  const std::string_view text(reinterpret_cast<const char*>(rest.data()), static_cast<size_t>(header_bytes));
  const std::span<const std::byte> data = rest.subspan(static_cast<size_t>(header_bytes));

  LODESTONE_ASSIGN_OR_RETURN(Json header, ParseJson(text, fmt::format("{} (header)", name), {.max_depth = 8}));
  if (header.as_object() == nullptr)
    return Invalid(fmt::format("{}: the header is {}, expected an object", name, header.TypeName()));
  return Split{std::move(header), data};
}

}  // namespace

std::string ShapeText(std::span<const int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

int64_t DtypeBytes(std::string_view dtype) {
  const Dtype* known = FindDtype(dtype);
  return known == nullptr ? 0 : known->bytes;
}

Result<SafetensorsMetadata> ParseSafetensorsMetadata(std::span<const std::byte> bytes, std::string_view name) {
  LODESTONE_ASSIGN_OR_RETURN(const Split file, SplitHeader(bytes, name));
  SafetensorsMetadata texts;
  const Json* metadata = file.header.Find("__metadata__");
  if (metadata == nullptr) return texts;
  LODESTONE_RETURN_IF_ERROR(CheckMetadata(*metadata, name));
  for (const auto& [key, value] : *metadata->as_object()) texts.emplace_back(key, *value.as_string());
  return texts;
}

Result<std::vector<TensorView>> ParseSafetensors(std::span<const std::byte> bytes, std::string_view name) {
  LODESTONE_ASSIGN_OR_RETURN(const Split file, SplitHeader(bytes, name));
  const Json::Object* members = file.header.as_object();
  const std::span<const std::byte> data = file.data;
  const auto data_bytes = static_cast<int64_t>(data.size());
  const HeaderReader reader(name, data_bytes);
  std::vector<Entry> entries;
  entries.reserve(members->size());
  for (const auto& [key, value] : *members) {
    if (key == "__metadata__") {
      LODESTONE_RETURN_IF_ERROR(CheckMetadata(value, name));
      continue;
    }
    LODESTONE_ASSIGN_OR_RETURN(Entry entry, reader.ReadEntry(key, value));
    entry.view.data = data.subspan(static_cast<size_t>(entry.begin), static_cast<size_t>(entry.end - entry.begin));
    entries.push_back(std::move(entry));
  }
  std::vector<const Entry*> sorted;
  for (const Entry& entry : entries) sorted.push_back(&entry);
  LODESTONE_RETURN_IF_ERROR(CheckLayout(std::move(sorted), data_bytes, name));

  std::vector<TensorView> tensors;
  tensors.reserve(entries.size());
  for (Entry& entry : entries) tensors.push_back(std::move(entry.view));
  return tensors;
}

namespace {

// `convert` turns the Bits of one value into an f32; a lambda, not a function's address, so that it is inlined.
template <typename Bits, typename Convert>
void ReadAs(const TensorView& tensor, int64_t begin, std::span<float> out, int64_t stride, Convert convert) {
  const auto count = static_cast<int64_t>(tensor.data.size() / sizeof(Bits));
  const auto size = static_cast<int64_t>(out.size());
  LODESTONE_CHECK(begin >= 0 && stride >= 1 && (size == 0 || begin + (size - 1) * stride < count));
  const std::byte* from = tensor.data.data() + begin * static_cast<int64_t>(sizeof(Bits));
  const auto convert_by = [&](int64_t step) {
    for (int64_t i = 0; i < size; ++i) {
      Bits bits;
      std::memcpy(&bits, from + i * step, sizeof bits);
      out[static_cast<size_t>(i)] = convert(bits);
    }
  };
  // A step that the compiler knows vectorises.
  if (stride == 1) return convert_by(sizeof(Bits));
  convert_by(stride * static_cast<int64_t>(sizeof(Bits)));
}

}  // namespace

void ReadValues(const TensorView& tensor, int64_t begin, std::span<float> out, int64_t stride) {
  switch (tensor.type) {
    case TensorType::kF32:
      return ReadAs<float>(tensor, begin, out, stride, [](float x) { return x; });
    case TensorType::kF16:
      return ReadAs<uint16_t>(tensor, begin, out, stride, [](uint16_t x) { return F16ToFloat(x); });
    case TensorType::kBf16:
      return ReadAs<uint16_t>(tensor, begin, out, stride, [](Bf16 x) { return Bf16ToFloat(x); });
    case TensorType::kOther:
      break;
  }
  LODESTONE_CHECK(tensor.type != TensorType::kOther);
}

}  // namespace lodestone
