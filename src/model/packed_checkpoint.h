// A model whose weights are stored as the kernels read them: the directory that `lodestone quantize` writes.
//
//   config.json                  as it was, with the block that StoredQuantizationBlock makes
//   tokenizer.json, …            as they were
//   lodestone-packed.safetensors the tensors, metadata {"format": "lodestone-packed", "version": "1"}
//
// A matrix is stored once a format, as the bytes of a PackedMatrix (numerics/packed_matrix.h) in up to three tensors:
//
//   layers.3.q_proj.int4_group128.codes        U8   [panels][bytes of a panel]
//   layers.3.q_proj.int4_group128.scales       F32  [panels][16]
//   layers.3.q_proj.int4_group128.multipliers  U8   [panels][groups][16]
//
// so that loading is one copy from the page cache into place. A vector is one tensor of F32: layers.3.attention_norm.
// Codes and scales begin at multiples of 64 bytes. Their sum is 4.0 to 4.5 bits a weight for int4: 4 + 32/k for channel
// scales, and 8/group more with groups.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "model/config.h"
#include "model/safetensors_writer.h"
#include "model/weight_source.h"
#include "numerics/packed_matrix.h"

namespace lodestone {

inline constexpr const char* kPackedFile = "lodestone-packed.safetensors";
inline constexpr int kPackedVersion = 1;

// Which tensors a model stores: matrices once a format (a tied table is an embedding and an output layer), vectors of
// f32 once (norms, biases, step sizes).
struct StoredTensors {
  struct Matrix {
    WeightId id;
    PackedShape shape;
  };
  std::vector<Matrix> matrices;
  std::vector<WeightId> vectors;
};

class PackedWriter {
 public:
  // Reserves the whole file in `directory`. The shapes are those of `config`.
  static Result<PackedWriter> Create(const std::filesystem::path& directory, const ModelConfig& config,
                                     const StoredTensors& tensors);
  // Tensors come in any order, each that was announced exactly once.
  Status Write(const WeightId& id, const PackedMatrix& matrix);
  Status Write(const WeightId& id, std::span<const float> vector);
  Status Finish();  // whole and on the disk

  int64_t file_bytes() const { return writer_.file_bytes(); }

 private:
  PackedWriter(SafetensorsWriter writer, std::map<std::string, size_t> indices)
      : writer_(std::move(writer)), indices_(std::move(indices)) {}

  Status WriteNamed(const std::string& name, std::span<const std::byte> bytes);

  SafetensorsWriter writer_;
  std::map<std::string, size_t> indices_;  // of tensors, by name
};

// The block of config.json that makes a directory a packed checkpoint.
Json StoredQuantizationBlock(const StoredQuantization& stored);

// Every tensor that `config` needs is there in some format with the right shape when this returns, and nothing else is.
// ReadPanels reads codes of the format that is asked for straight into place, and refuses those that no kernel takes
// (a code of −8 in int4); ReadRow, and ReadPanels in another format, give the values that the codes of the widest
// stored format stand for, so that an f32 run shows what the weights alone lost.
Result<std::unique_ptr<WeightSource>> OpenPackedCheckpoint(const std::string& directory, const ModelConfig& config);

}  // namespace lodestone
