// The GGUF format, versions 2 and 3: metadata as keys and typed values, then tensors in blocks of many types. Bounded,
// checked, mapped. Little-endian files only.
//
// Source of the layout: `docs/gguf.md` of ggml. Magic "GGUF", u32 version, u64 tensors, u64 keys; each key is a string
// (u64 length, bytes), a u32 type and the value; each tensor is a name, u32 dimensions, u64 sizes (fastest first), a
// u32 type and a u64 offset into the data, which begins at the next multiple of general.alignment (32).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "model/gguf_blocks.h"

namespace lodestone {

struct GgufTensor {
  std::string name;
  const GgufCode* code = nullptr;
  std::vector<int64_t> shape;       // slowest first, [rows][columns]: the reverse of the file's order
  std::span<const std::byte> data;  // row-major blocks; valid as long as what it was read from

  // Values begin … begin + out.size() in f32; both multiples of the type's block, and within the tensor.
  void Read(int64_t begin, std::span<float> out) const;
};

struct GgufFile {
  std::string name;  // for messages
  // One member a key, spelled as in the file ("llama.block_count"), for an ObjectReader. An f32 is the shortest decimal
  // that reads back the same, which is the number that its writer was given: 1e-05, not 9.99999974e-06.
  Json metadata;
  std::vector<GgufTensor> tensors;  // sorted by name

  const GgufTensor* Find(std::string_view tensor) const;
};

// Refused, with file, key or tensor and numbers: another magic, version or byte order; counts, lengths and sizes that
// the file has no room for; a key or a tensor twice; arrays of more than 8 M values in all; an alignment that is no
// power of two; a type of tensor that is not read; a row that is no whole number of blocks; data that are misaligned,
// overlap, leave holes or pass the end.
Result<GgufFile> ParseGguf(std::span<const std::byte> bytes, std::string_view name);

}  // namespace lodestone
