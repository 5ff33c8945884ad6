// A safetensors file of any bytes is read or refused; what is read can be read to its last value.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "model/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lodestone;
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  const Result<std::vector<TensorView>> tensors = ParseSafetensors(bytes, "input");
  const Result<SafetensorsMetadata> metadata = ParseSafetensorsMetadata(bytes, "input");
  if (!tensors.ok() || !metadata.ok()) return 0;
  for (const TensorView& tensor : *tensors) {
    if (tensor.type == TensorType::kOther) continue;
    const size_t width = tensor.type == TensorType::kF32 ? 4 : 2;
    std::vector<float> values(tensor.data.size() / width);
    ReadValues(tensor, 0, values);
  }
  return 0;
}
