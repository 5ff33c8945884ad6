// Static weight sparsity by magnitude: which weights of a matrix are zero for good.
//
// Three patterns (S. Han et al. 2015; A. Mishra et al., Accelerating sparse deep neural networks, 2021; S. Gray et al.,
// GPU kernels for block-sparse weights, 2017): unstructured and 2:4 save storage and, on machines that skip zeros,
// work; tile blocks are what the kernels of this host really skip.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "kernels/linear_products.h"
#include "learn/parameters.h"

namespace lodestone {

enum class SparsityPattern : uint8_t { kNone, kUnstructured, k2of4, kTileBlocks };
Result<SparsityPattern> ParseSparsityPattern(std::string_view text);  // "none", "unstructured", "2:4", "tiles"
std::string_view ToString(SparsityPattern pattern);

struct SparsitySettings {
  SparsityPattern pattern = SparsityPattern::kNone;
  double level = 0;  // zeros / weights of each masked matrix; 2:4 is 0.5 by construction and anything else is refused
  int block_rows = 32, block_columns = 32;  // of tile blocks; multiples of 16
};

// The masks of a model's linear layers (embedding and output layer stay dense), made once from the weights: the
// smallest magnitudes go (tile blocks: the smallest Frobenius norms, of a partial block per √weight), ties by position.
class SparsityMasks {
 public:
  // The nearest count to level × weights: of single weights, or of whole blocks. Refused: a level outside [0, 1), a
  // 2:4 level other than 0.5 or rows whose width is no multiple of four, block sides that the kernels cannot skip.
  static Result<SparsityMasks> Make(const Parameters& parameters, const SparsitySettings& settings);

  // Zeroes the pruned values, gradients or moments of the whole flat buffer, which is laid out as `parameters`. Pruned
  // gradients are enough in training: a value and moments that are zero then stay zero under AdamW.
  void Apply(const Parameters& parameters, std::span<float> buffer) const;
  // Of tile blocks; null elsewhere. Valid as long as these masks.
  const kernels::BlockMask* Blocks(const WeightId& id) const;
  double level() const { return level_; }  // as it came out: zeros / weights over the masked matrices
  int64_t dropped() const { return dropped_; }

 private:
  struct Entry {
    WeightId id;
    kernels::BlockMask blocks;      // of tile blocks
    std::vector<uint64_t> dropped;  // a bit a weight otherwise
  };
  std::vector<Entry> entries_;
  double level_ = 0;
  int64_t dropped_ = 0;
};

}  // namespace lodestone
