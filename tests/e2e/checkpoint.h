// A tiny Llama checkpoint that tests write, whole or broken in one place.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "e2e/program.h"

namespace lodestone::testing {

// One tensor of model.safetensors as the header names it; the data are zeros of that many bytes.
struct TensorEntry {
  std::string name, dtype = "F32";
  std::vector<int64_t> shape;
  int64_t begin = 0, end = 0;
};

// The parts of a directory, ready to be changed before they are written.
struct Checkpoint {
  Checkpoint();

  Json config, tokenizer;
  std::vector<TensorEntry> tensors;  // one layer, hidden 8
  std::string config_text;           // written instead of `config` where not empty
  int64_t missing_bytes = 0;         // cut off the end of model.safetensors

  TensorEntry& Tensor(const std::string& name);
  void Erase(const std::string& name);  // and closes the hole
  void WriteTo(const TemporaryFolder& folder) const;
};

}  // namespace lodestone::testing
