#include "model/safetensors_writer.h"

#include <cstring>

#include "base/json.h"
#include "model/safetensors.h"

namespace lodestone {
namespace {

constexpr size_t kAlignment = 64;

}  // namespace

Result<SafetensorsWriter> SafetensorsWriter::Create(const std::filesystem::path& path,
                                                    const std::vector<TensorSpec>& tensors,
                                                    const std::vector<std::pair<std::string, std::string>>& metadata) {
  SafetensorsWriter writer;
  Json::Object members, texts;
  for (const auto& [key, value] : metadata) texts.emplace_back(key, value);
  members.emplace_back("__metadata__", Json(std::move(texts)));
  int64_t data_bytes = 0;
  for (const TensorSpec& tensor : tensors) {
    int64_t bytes = DtypeBytes(tensor.dtype);
    LODESTONE_CHECK(bytes > 0);
    Json::Array shape;
    for (const int64_t dim : tensor.shape) {
      bytes *= dim;
      shape.emplace_back(dim);
    }
    Json entry;
    entry.Set("dtype", tensor.dtype).Set("shape", std::move(shape));
    entry.Set("data_offsets", Json::Array{data_bytes, data_bytes + bytes});
    members.emplace_back(tensor.name, std::move(entry));
    writer.extents_.push_back({.begin = data_bytes, .bytes = bytes});
    data_bytes += bytes;
  }
  // Spaces after the object are part of the header, and move the data to where it should begin.
  std::string header = Json(std::move(members)).Dump(-1);
  const auto unpadded = static_cast<uint64_t>(header.size() + sizeof(uint64_t));
  header.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');

  const auto length = static_cast<uint64_t>(header.size());
  const auto data_begin = static_cast<int64_t>(sizeof length + header.size());
  for (Extent& extent : writer.extents_) extent.begin += data_begin;
  writer.file_bytes_ = data_begin + data_bytes;
  LODESTONE_ASSIGN_OR_RETURN(writer.file_, WritableFile::Create(path, writer.file_bytes_));
  LODESTONE_RETURN_IF_ERROR(writer.file_.WriteAt(0, std::as_bytes(std::span(&length, 1))));
  LODESTONE_RETURN_IF_ERROR(writer.file_.WriteAt(sizeof length, std::as_bytes(std::span(header))));
  return writer;
}

Status SafetensorsWriter::Write(size_t index, int64_t offset, std::span<const std::byte> bytes) {
  Extent& extent = extents_[index];
  const auto size = static_cast<int64_t>(bytes.size());
  LODESTONE_CHECK(offset >= 0 && offset + size <= extent.bytes);
  extent.written += size;
  return file_.WriteAt(extent.begin + offset, bytes);
}

Status SafetensorsWriter::Finish() {
  for (const Extent& extent : extents_) LODESTONE_CHECK(extent.written == extent.bytes);
  return file_.Finish();
}

}  // namespace lodestone
