#include "model/compressed_tensors.h"

#include <fmt/format.h>

#include "model/checkpoint_names.h"
#include "numerics/rounding.h"

namespace lodestone {
namespace {

constexpr int kCodesPerWord = 8;  // int4 in an int32

std::string NameOf(const ModelConfig& config, const WeightId& id) { return LocateTensor(config, id, "").name; }

// The tensors that stand for one matrix, in the order in which Encode returns their bytes.
std::vector<TensorSpec> SpecsOf(const std::string& name, const PackedShape& shape) {
  const auto& [format, n, k] = shape;
  switch (format.code) {
    case Code::kInt4:
      return {{name + "_packed", "I32", {n, k / kCodesPerWord}},
              {name + "_scale", "F32", {n, format.scales == Scales::kGroup ? k / format.group : 1}},
              {name + "_shape", "I64", {2}}};
    case Code::kInt8:
      return {{name, "I8", {n, k}}, {name + "_scale", "F32", {n, 1}}};
    default:
      return {{name, "BF16", {n, k}}};
  }
}

template <typename T>
void Append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void AppendCodes(const QuantizedRow& row, Code code, std::string& bytes) {
  if (code == Code::kInt8) {
    bytes.append(reinterpret_cast<const char*>(row.codes.data()), row.codes.size());
    return;
  }
  for (size_t i = 0; i < row.codes.size(); i += kCodesPerWord) {
    uint32_t word = 0;
    for (size_t j = 0; j < kCodesPerWord; ++j) word |= static_cast<uint32_t>(row.codes[i + j] + 8) << (4 * j);
    Append(bytes, word);
  }
}

std::string Bf16Bytes(std::span<const float> values) {
  std::string bytes;
  bytes.reserve(values.size() * sizeof(Bf16));
  for (const float value : values) Append(bytes, FloatToBf16(value));
  return bytes;
}

std::vector<std::string> Encode(const PackedMatrix& matrix) {
  const Code code = matrix.format.code;
  std::string codes, scales, shape;
  if (!IsInteger(code)) {
    std::vector<float> row(static_cast<size_t>(matrix.k));
    for (int o = 0; o < matrix.n; ++o) {
      UnpackRow(matrix, o, row);
      codes += Bf16Bytes(row);
    }
    return {std::move(codes)};
  }
  QuantizedRow row;
  for (int o = 0; o < matrix.n; ++o) {
    UnpackCodes(matrix, o, row);
    AppendCodes(row, code, codes);
    if (row.multipliers.empty()) Append(scales, row.scale);
    for (const uint8_t multiplier : row.multipliers) Append(scales, static_cast<float>(multiplier) * row.scale);
  }
  if (code == Code::kInt8) return {std::move(codes), std::move(scales)};
  Append(shape, int64_t{matrix.n});
  Append(shape, int64_t{matrix.k});
  return {std::move(codes), std::move(scales), std::move(shape)};
}

Json Arguments(int bits, const char* strategy, bool dynamic) {
  Json json;
  json.Set("num_bits", bits).Set("type", "int").Set("symmetric", true).Set("strategy", strategy);
  json.Set("group_size", nullptr).Set("dynamic", dynamic);
  return json;
}

}  // namespace

Result<Recipe> ExportableRecipe(const ModelConfig& config, const Recipe& recipe) {
  if (config.architecture == Architecture::kGpt2 || config.architecture == Architecture::kGptNeoX) {
    return Unsupported(
        fmt::format("compressed-tensors: the matrices of a {} checkpoint are fused or transposed, which "
                    "the export does not write; take a Llama, Mistral, Qwen or Granite model",
                    ToString(config.architecture)));
  }
  if (!IsInteger(recipe.weights.code)) {
    return Unsupported(
        fmt::format("compressed-tensors: the weights of {} are {}; take a recipe with int8 or int4 "
                    "weights, such as w8a8 or w4a16:g128",
                    recipe.name, ToString(recipe.weights)));
  }
  Recipe exported = recipe;
  exported.output_weights = exported.output_input = {Code::kBf16};
  return exported;
}

Json CompressedTensorsBlock(const Recipe& recipe) {
  const bool packed = recipe.weights.code == Code::kInt4;
  const bool groups = recipe.weights.scales == Scales::kGroup;
  const char* format = packed ? "pack-quantized" : "int-quantized";
  Json weights = Arguments(BitsOf(recipe.weights.code), groups ? "group" : "channel", false);
  if (groups) weights.Set("group_size", int{recipe.weights.group});
  Json group;
  group.Set("targets", Json::Array{"Linear"}).Set("weights", std::move(weights));
  group.Set("input_activations", packed ? Json() : Arguments(8, "token", true)).Set("output_activations", nullptr);
  Json block;
  block.Set("quant_method", "compressed-tensors").Set("format", format).Set("quantization_status", "compressed");
  block.Set("config_groups", Json().Set("group_0", std::move(group)));
  block.Set("ignore", Json::Array{"lm_head"}).Set("kv_cache_scheme", nullptr);
  return block;
}

Result<CompressedTensorsWriter> CompressedTensorsWriter::Create(const std::filesystem::path& directory,
                                                                const ModelConfig& config,
                                                                const StoredTensors& tensors) {
  std::vector<TensorSpec> specs;
  for (const auto& [id, shape] : tensors.matrices) {
    const int multiple = shape.format.scales == Scales::kGroup ? int{shape.format.group} : kCodesPerWord;
    if (shape.format.code == Code::kInt4 && shape.k % multiple != 0) {
      return Unsupported(
          fmt::format("compressed-tensors: the {} has {} inputs, which {} does not divide; take a "
                      "smaller group",
                      ToString(id), shape.k, multiple));
    }
    for (TensorSpec& spec : SpecsOf(NameOf(config, id), shape)) specs.push_back(std::move(spec));
  }
  for (const WeightId& id : tensors.vectors) {
    if (!IsStep(id.kind)) specs.push_back({NameOf(config, id), "BF16", {ShapeOf(config, id).columns}});
  }
  std::map<std::string, size_t> indices;
  for (size_t i = 0; i < specs.size(); ++i) LODESTONE_CHECK(indices.emplace(specs[i].name, i).second);
  LODESTONE_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                             SafetensorsWriter::Create(directory / "model.safetensors", specs, {{"format", "pt"}}));
  return CompressedTensorsWriter(std::move(writer), config, std::move(indices));
}

Status CompressedTensorsWriter::WriteNamed(const std::string& name, std::span<const std::byte> bytes) {
  const auto found = indices_.find(name);
  LODESTONE_CHECK(found != indices_.end());
  return writer_.Write(found->second, 0, bytes);
}

Status CompressedTensorsWriter::Write(const WeightId& id, const PackedMatrix& matrix) {
  const std::vector<TensorSpec> specs = SpecsOf(NameOf(config_, id), matrix);
  const std::vector<std::string> bytes = Encode(matrix);
  for (size_t i = 0; i < specs.size(); ++i) {
    LODESTONE_RETURN_IF_ERROR(WriteNamed(specs[i].name, std::as_bytes(std::span(bytes[i]))));
  }
  return {};
}

Status CompressedTensorsWriter::Write(const WeightId& id, std::span<const float> vector) {
  if (IsStep(id.kind)) return {};
  const std::string bytes = Bf16Bytes(vector);
  return WriteNamed(NameOf(config_, id), std::as_bytes(std::span(bytes)));
}

Status CompressedTensorsWriter::Finish() { return writer_.Finish(); }

}  // namespace lodestone
