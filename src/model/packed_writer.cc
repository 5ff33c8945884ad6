#include <fmt/format.h>

#include <algorithm>

#include "model/packed_checkpoint.h"
#include "model/packed_names.h"

namespace lodestone {

std::string PackedName(const WeightId& id) {
  std::string name = ToString(WeightId{id.kind, -1});
  std::replace(name.begin(), name.end(), ' ', '_');
  return id.layer < 0 ? name : fmt::format("layers.{}.{}", id.layer, name);
}

std::string PackedName(const WeightId& id, const Format& format) {
  const std::string_view code = ToString(format.code);
  if (format.scales != Scales::kGroup) return fmt::format("{}.{}", PackedName(id), code);
  return fmt::format("{}.{}_group{}", PackedName(id), code, format.group);
}

Result<PackedWriter> PackedWriter::Create(const std::filesystem::path& directory, const ModelConfig& config,
                                          const StoredTensors& tensors) {
  // Whatever is no multiple of 64 bytes comes last, so that all before it is aligned.
  std::vector<TensorSpec> specs, tail;
  for (const auto& [id, shape] : tensors.matrices) {
    LODESTONE_RETURN_IF_ERROR(CheckPackedShape(shape));
    const std::string name = PackedName(id, shape.format);
    specs.push_back({name + kCodes, "U8", {shape.panels(), shape.panel_bytes()}});
    if (shape.panel_scale_bytes() > 0) specs.push_back({name + kScales, "F32", {shape.panels(), kPanel}});
    if (shape.groups() > 0) tail.push_back({name + kMultipliers, "U8", {shape.panels(), shape.groups(), kPanel}});
  }
  for (const WeightId& id : tensors.vectors) tail.push_back({PackedName(id), "F32", {ShapeOf(config, id).columns}});
  specs.insert(specs.end(), tail.begin(), tail.end());
  std::map<std::string, size_t> indices;
  for (size_t i = 0; i < specs.size(); ++i) LODESTONE_CHECK(indices.emplace(specs[i].name, i).second);
  LODESTONE_ASSIGN_OR_RETURN(
      SafetensorsWriter writer,
      SafetensorsWriter::Create(directory / kPackedFile, specs,
                                {{"format", "lodestone-packed"}, {"version", fmt::format("{}", kPackedVersion)}}));
  return PackedWriter(std::move(writer), std::move(indices));
}

Status PackedWriter::WriteNamed(const std::string& name, std::span<const std::byte> bytes) {
  const auto found = indices_.find(name);
  LODESTONE_CHECK(found != indices_.end());
  return writer_.Write(found->second, 0, bytes);
}

Status PackedWriter::Write(const WeightId& id, const PackedMatrix& matrix) {
  const std::string name = PackedName(id, matrix.format);
  LODESTONE_RETURN_IF_ERROR(WriteNamed(name + kCodes, {matrix.codes.data(), matrix.codes.size()}));
  if (matrix.scales.size() != 0) {
    LODESTONE_RETURN_IF_ERROR(WriteNamed(name + kScales, {matrix.scales.data(), matrix.scales.size()}));
  }
  if (matrix.multipliers.size() == 0) return {};
  return WriteNamed(name + kMultipliers, {matrix.multipliers.data(), matrix.multipliers.size()});
}

Status PackedWriter::Write(const WeightId& id, std::span<const float> vector) {
  return WriteNamed(PackedName(id), std::as_bytes(vector));
}

Status PackedWriter::Finish() { return writer_.Finish(); }

}  // namespace lodestone
