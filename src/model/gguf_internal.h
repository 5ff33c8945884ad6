// What a GGUF file says about a model, in this project's words. Private to model/.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "model/config.h"
#include "model/gguf.h"
#include "model/weight_source.h"
#include "text/tokenizer.h"

namespace lodestone {

// The shape: the keys ARCH.* and what only the list of tensors tells (biases, a tied output layer, Llama 3's rope).
// Refused by name: an architecture that is not in the list, a key ARCH.* that is not known, a setting that changes the
// arithmetic and is not supported, one part of a split model. The activation is that of the family, since no key states
// it: GELU's tanh form for GPT-2, erf for GPT-NeoX, SiLU elsewhere.
Result<ModelConfig> ReadGgufConfig(const GgufFile& file);

// `rope.*` of the architecture and the tensor rope_freqs.weight, which holds what each frequency is divided by.
// rotary_dim is that of the whole head unless stated. Errors are recorded in `reader`.
Rope ReadGgufRope(ObjectReader& reader, std::string_view architecture, const GgufFile& file, int head_dim);

// The rows of a weight in a stored tensor: row r is stored row `first` + r, or, where `paired`, as below.
struct GgufPlace {
  std::string name;   // empty where no architecture has such a tensor
  int64_t rows = 0;   // of the stored tensor; of a vector, its values
  int64_t first = 0;  // GPT-2 and GPT-NeoX stack Q, K and V in one tensor
  // The two dimensions that rotate together stand side by side in Q and K of llama and granite, and half a head apart
  // in this project: row i + s head_dim / 2 of a head is stored row 2 i + s of it.
  bool paired = false;

  int64_t StoredRow(int64_t row, int64_t head_dim) const;
};
GgufPlace LocateGguf(const ModelConfig& config, const WeightId& id);
// Tensors that ReadGgufConfig reads and that are no weights.
inline constexpr std::string_view kGgufRopeFactors = "rope_freqs.weight";

// The tokenizer of the keys tokenizer.*. Refused by name: models other than "llama" (SentencePiece) and "gpt2"
// (byte-level BPE), pre-tokenizers and keys that are not known.
Result<std::shared_ptr<const Tokenizer>> ReadGgufTokenizer(const GgufFile& file);

}  // namespace lodestone
