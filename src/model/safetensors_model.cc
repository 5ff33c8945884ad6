#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/json.h"
#include "base/quote.h"
#include "model/safetensors.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxIndexBytes = size_t{64} << 20;
constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

Error NoWeights(const fs::path& directory) {
  std::string found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".bin" || extension == ".pt" || extension == ".pth" || extension == ".gguf" ||
        extension == ".safetensors") {
      found = fmt::format("; found {}, which is not read", entry.path().filename().string());
    }
  }
  return NotFound(fmt::format("{}: the directory holds no weights: expected {} or {}{}", directory.string(), kSingle,
                              kIndex, found));
}

// Tensor to shard, as the index states it.
Result<std::map<std::string, std::string>> ReadIndex(const fs::path& path) {
  LODESTONE_ASSIGN_OR_RETURN(const Json json, ReadJsonFile(path.string(), kMaxIndexBytes));
  ObjectReader reader(json, path.string());
  reader.Ignore("metadata");
  const Json* map = reader.Require("weight_map");
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  if (map->as_object() == nullptr || map->as_object()->empty()) {
    return Invalid(fmt::format("{}: weight_map is not an object that names tensors", path.string()));
  }
  std::map<std::string, std::string> shards;
  for (const auto& [tensor, value] : *map->as_object()) {
    const std::string* shard = value.as_string();
    // A shard lies beside the index; a path would let a model directory read files elsewhere.
    if (shard == nullptr || shard->empty() || fs::path(*shard).filename() != *shard || *shard == ".." ||
        *shard == ".") {
      return Invalid(
          fmt::format("{}: weight_map: tensor {} is in {}, expected the name of a file in the same directory",
                      path.string(), Quoted(tensor), shard == nullptr ? value.Dump(-1) : Quoted(*shard)));
    }
    shards[tensor] = *shard;
  }
  return shards;
}

bool NameLess(const TensorView& a, const TensorView& b) { return a.name < b.name; }

}  // namespace

Result<SafetensorsModel> SafetensorsModel::Open(const std::string& directory) {
  SafetensorsModel model;
  const auto add = [&](const fs::path& path) -> Status {
    LODESTONE_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
    LODESTONE_ASSIGN_OR_RETURN(std::vector<TensorView> tensors, ParseSafetensors(file.bytes(), path.string()));
    model.files_.push_back(std::move(file));
    std::move(tensors.begin(), tensors.end(), std::back_inserter(model.tensors_));
    return {};
  };

  const fs::path root(directory);
  std::map<std::string, std::string> index;
  if (Exists(root / kSingle)) {
    LODESTONE_RETURN_IF_ERROR(add(root / kSingle));
    model.description_ = kSingle;
  } else if (Exists(root / kIndex)) {
    LODESTONE_ASSIGN_OR_RETURN(index, ReadIndex(root / kIndex));
    std::set<std::string> shards;
    for (const auto& [tensor, shard] : index) shards.insert(shard);
    for (const std::string& shard : shards) LODESTONE_RETURN_IF_ERROR(add(root / shard));
    model.description_ = fmt::format("{} shards of {}", shards.size(), kIndex);
  } else {
    return NoWeights(root);
  }

  std::sort(model.tensors_.begin(), model.tensors_.end(), NameLess);
  const auto twice = std::adjacent_find(model.tensors_.begin(), model.tensors_.end(),
                                        [](const auto& a, const auto& b) { return a.name == b.name; });
  if (twice != model.tensors_.end()) {
    return Invalid(
        fmt::format("tensor {} is in both {} and {}", Quoted(twice->name), twice->file, std::next(twice)->file));
  }
  for (const auto& [tensor, shard] : index) {
    const TensorView* found = model.Find(tensor);
    if (found == nullptr || found->file != (root / shard).string()) {
      return Invalid(fmt::format("{}: tensor {} is not in {}, where {} places it", (root / kIndex).string(),
                                 Quoted(tensor), shard, kIndex));
    }
  }
  return model;
}

const TensorView* SafetensorsModel::Find(std::string_view name) const {
  const auto found = std::lower_bound(tensors_.begin(), tensors_.end(), name,
                                      [](const TensorView& tensor, std::string_view key) { return tensor.name < key; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace lodestone
