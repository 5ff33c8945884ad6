// How byte-level tokenizers cut a text into pieces, by the names that GGUF files use (`tokenizer.ggml.pre`).
#pragma once

#include <string_view>

#include "base/json.h"
#include "base/status.h"

namespace lodestone {

struct Cutting {
  Json normalizer;     // as in tokenizer.json, or null
  Json pre_tokenizer;  // as in tokenizer.json, with the ByteLevel step at its end
  bool ignore_merges = false;
  bool add_bos = false;  // where the file does not say
};

// An unknown name is refused with those that are known.
Result<Cutting> FindCutting(std::string_view name);

}  // namespace lodestone
