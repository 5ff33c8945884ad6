#include "model/model_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "model/checkpoint_names.h"
#include "model/safetensors_writer.h"
#include "numerics/rounding.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxTokenizerBytes = size_t{256} << 20;

constexpr const char* kTokenizerJson = "tokenizer.json";
constexpr const char* kTokenizerFiles[] = {kTokenizerJson,      "tokenizer_config.json",
                                           "tokenizer.model",   "special_tokens_map.json",
                                           "added_tokens.json", "vocab.json",
                                           "merges.txt",        "chat_template.jinja"};

Status Copy(const fs::path& from, const fs::path& to) {
  LODESTONE_ASSIGN_OR_RETURN(const std::string contents, ReadFile(from, kMaxTokenizerBytes));
  return WriteFileAtomically(to, contents);
}

// A tensor of the file, which several weights may share: GPT-2 and GPT-NeoX fuse Q, K and V.
struct FileTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<WeightId> parts;
};

// In the order of computation.
std::vector<FileTensor> FileTensors(const ModelConfig& config, std::string_view prefix) {
  std::vector<FileTensor> tensors;
  for (const WeightId& id : AllWeights(config)) {
    const StoredTensor stored = LocateTensor(config, id, prefix);
    auto found = std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.name == stored.name; });
    if (found == tensors.end()) {
      const WeightShape shape = ShapeOf(config, id);
      std::vector<int64_t> sizes = {stored.outputs};
      if (shape.rows != 1) sizes.insert(stored.transposed ? sizes.begin() : sizes.end(), shape.columns);
      found = tensors.insert(found, {.name = stored.name, .shape = std::move(sizes), .parts = {}});
    }
    found->parts.push_back(id);
  }
  return tensors;
}

// Puts one weight where it lies in its tensor of the file.
Status Place(const ModelConfig& config, const WeightId& id, const StoredTensor& stored, const WeightSource& source,
             std::span<float> values) {
  const WeightShape shape = ShapeOf(config, id);
  std::vector<float> row(static_cast<size_t>(shape.columns));
  const auto at = [&](int64_t r) { return stored.first + r / stored.run * stored.pitch + r % stored.run; };
  for (int64_t r = 0; r < shape.rows; ++r) {
    LODESTONE_RETURN_IF_ERROR(source.ReadRow(id, r, row));
    const bool finite = std::all_of(row.begin(), row.end(), [](float value) { return std::isfinite(value); });
    if (!finite) return Invalid(fmt::format("{}: row {} holds a value that is not finite", ToString(id), r));
    if (shape.rows == 1) {
      for (int64_t i = 0; i < shape.columns; ++i) values[static_cast<size_t>(at(i))] = row[static_cast<size_t>(i)];
    } else if (stored.transposed) {
      for (int64_t i = 0; i < shape.columns; ++i) {
        values[static_cast<size_t>(i * stored.outputs + at(r))] = row[static_cast<size_t>(i)];
      }
    } else {
      std::copy(row.begin(), row.end(), values.begin() + at(r) * shape.columns);
    }
  }
  return {};
}

}  // namespace

Status WriteModelConfig(const fs::path& directory, const Json& json, const ModelConfig& config) {
  const std::string path = (directory / "config.json").string();
  LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(path, json.Dump() + "\n"));
  LODESTONE_ASSIGN_OR_RETURN(ModelConfig written, ParseHuggingFaceConfig(json, path));
  written.name = config.name;
  written.bos_id = config.bos_id;
  written.eos_ids = config.eos_ids;
  if (written == config) return {};
  return Unsupported(fmt::format("{}: a config.json cannot say all that this model does", config.name));
}

Status WriteCheckpoint(const fs::path& directory, const ModelConfig& config, const WeightSource& source, Code code) {
  LODESTONE_CHECK(code == Code::kF32 || code == Code::kBf16);
  const std::string_view prefix = OptionalPrefix(config.architecture).prefix;
  const std::vector<FileTensor> tensors = FileTensors(config, prefix);
  std::vector<TensorSpec> specs;
  for (const FileTensor& tensor : tensors) {
    specs.push_back({tensor.name, code == Code::kF32 ? "F32" : "BF16", tensor.shape});
  }
  LODESTONE_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                             SafetensorsWriter::Create(directory / "model.safetensors", specs, {{"format", "pt"}}));
  std::vector<float> values;
  std::vector<Bf16> halves;
  for (size_t t = 0; t < tensors.size(); ++t) {
    int64_t count = 1;
    for (const int64_t size : tensors[t].shape) count *= size;
    values.resize(static_cast<size_t>(count));
    for (const WeightId& id : tensors[t].parts) {
      LODESTONE_RETURN_IF_ERROR(Place(config, id, LocateTensor(config, id, prefix), source, values));
    }
    if (code == Code::kF32) {
      LODESTONE_RETURN_IF_ERROR(writer.Write(t, 0, std::as_bytes(std::span(values))));
      continue;
    }
    halves.resize(values.size());
    std::transform(values.begin(), values.end(), halves.begin(), FloatToBf16);
    LODESTONE_RETURN_IF_ERROR(writer.Write(t, 0, std::as_bytes(std::span(halves))));
  }
  return writer.Finish();
}

Status CopyTokenizerFiles(const fs::path& from, const fs::path& directory) {
  std::error_code ignored;
  if (!fs::is_directory(from, ignored)) return Copy(from, directory / kTokenizerJson);
  if (!fs::exists(from / kTokenizerJson, ignored)) {
    return NotFound(fmt::format("{}: the directory has no {}", from.string(), kTokenizerJson));
  }
  for (const char* name : kTokenizerFiles) {
    if (fs::exists(from / name, ignored)) LODESTONE_RETURN_IF_ERROR(Copy(from / name, directory / name));
  }
  return {};
}

}  // namespace lodestone
