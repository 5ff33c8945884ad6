// Where each architecture's checkpoint keeps a tensor: its name, and how rows lie in it. Private to model/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/config.h"
#include "model/weight_source.h"

namespace lodestone {

// A weight's rows in a stored tensor of `outputs` rows. Row r is stored row first + (r / run) × pitch + r % run: plain
// tensors are one run; GPT-NeoX fuses Q, K and V as [heads][3][head_dim], so that Q is a run of head_dim every 3
// head_dim. Of a vector, which is one row, the same holds for its values.
struct StoredTensor {
  std::string name;
  int64_t outputs = 0;
  int64_t first = 0, run = 0, pitch = 0;
  bool transposed = false;  // stored as [inputs][outputs] (GPT-2's Conv1D)
};

// `prefix` stands before the names of the transformer's body: "transformer." in some GPT-2 checkpoints, and nothing in
// others. Other architectures have a fixed one. `id` must be a tensor of the model.
StoredTensor LocateTensor(const ModelConfig& config, const WeightId& id, std::string_view prefix);

// The prefixes that a checkpoint of this architecture may have, and a name that always follows it.
struct PrefixProbe {
  std::string_view prefix;
  std::string_view name;
};
PrefixProbe OptionalPrefix(Architecture architecture);

// Whether a tensor that no weight uses may be ignored: a buffer that is computed from the configuration, or the output
// layer beside tied embeddings.
bool IsIgnorable(const ModelConfig& config, std::string_view name);

}  // namespace lodestone
