// Writes a safetensors file whose tensors are known before their bytes, which then come in any order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/random_access_file.h"
#include "base/status.h"

namespace lodestone {

struct TensorSpec {
  std::string name, dtype;  // dtype as the format writes it: "F32", "U8"
  std::vector<int64_t> shape;
};

class SafetensorsWriter {
 public:
  // Lays the tensors out in this order; the data begins at a multiple of 64 bytes. Space for all is reserved. Names
  // must be unique and dtypes known: both are our own.
  static Result<SafetensorsWriter> Create(const std::filesystem::path& path, const std::vector<TensorSpec>& tensors,
                                          const std::vector<std::pair<std::string, std::string>>& metadata);

  // Writes bytes of tensor `index` (as given to Create) from its byte `offset`.
  Status Write(size_t index, int64_t offset, std::span<const std::byte> bytes);
  // The file is whole and on the disk when this returns. Every byte of every tensor must have been written.
  Status Finish();

  int64_t file_bytes() const { return file_bytes_; }

 private:
  SafetensorsWriter() = default;

  struct Extent {
    int64_t begin = 0, bytes = 0;  // in the file
    int64_t written = 0;
  };
  WritableFile file_;
  std::vector<Extent> extents_;
  int64_t file_bytes_ = 0;
};

}  // namespace lodestone
