// The safetensors format: 8-byte little-endian header length, a JSON header, then the data. Bounded, checked, mapped.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/status.h"

namespace lodestone {

// What a value is. kOther is any further dtype of the format (I64, BOOL, F64, F8_E4M3, …): its size is checked like
// every other, but only a buffer that nobody reads may have it.
enum class TensorType { kF32, kF16, kBf16, kOther };

struct TensorView {
  std::string name;
  TensorType type = TensorType::kF32;
  std::string dtype = "F32";  // as the file writes it
  std::vector<int64_t> shape;
  std::span<const std::byte> data;  // little-endian, row-major; valid as long as what it was read from
  std::string file;                 // for messages
};

// Reads the header of one file's bytes. Refused, with file, tensor and numbers: a header longer than the file or than
// 100 MB, bad JSON, an unknown dtype, offsets that are reversed, overlap, leave holes or pass the end, a shape whose
// size is not that of the data.
Result<std::vector<TensorView>> ParseSafetensors(std::span<const std::byte> bytes, std::string_view name);
// The texts of a file's `__metadata__`, in file order; refused like the above.
using SafetensorsMetadata = std::vector<std::pair<std::string, std::string>>;
Result<SafetensorsMetadata> ParseSafetensorsMetadata(std::span<const std::byte> bytes, std::string_view name);

// Bytes of one value; 0 for a name that is no dtype of the format.
int64_t DtypeBytes(std::string_view dtype);

// All tensors of a model directory: model.safetensors, or the shards that model.safetensors.index.json lists. Refused:
// a shard that is absent or named with a path, a tensor that the index places in a shard that does not have it, a
// tensor in two shards, a directory without either file.
class SafetensorsModel {
 public:
  static Result<SafetensorsModel> Open(const std::string& directory);

  const TensorView* Find(std::string_view name) const;
  const std::vector<TensorView>& tensors() const { return tensors_; }  // sorted by name
  std::string description() const { return description_; }

 private:
  std::vector<MappedFile> files_;
  std::vector<TensorView> tensors_;
  std::string description_;
};

// Values begin, begin + stride, begin + 2 stride, … of a tensor in f32. A view may start at an odd address: read
// bytewise. The values must lie in the tensor, and its type be f32, f16 or bf16.
void ReadValues(const TensorView& tensor, int64_t begin, std::span<float> out, int64_t stride = 1);

// "[4096, 1024]".
std::string ShapeText(std::span<const int64_t> shape);

}  // namespace lodestone
