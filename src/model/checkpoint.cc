#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "base/file.h"
#include "base/quote.h"
#include "model/checkpoint_names.h"
#include "model/packed_checkpoint.h"
#include "model/safetensors.h"
#include "model/weight_source.h"

namespace lodestone {
namespace {

constexpr size_t kKinds = static_cast<size_t>(WeightKind::kOutputInputStep) + 1;

struct Located {
  const TensorView* tensor = nullptr;
  StoredTensor stored;
  WeightShape shape;
};

class Checkpoint final : public WeightSource {
 public:
  static Result<std::unique_ptr<WeightSource>> Open(const std::string& directory, const ModelConfig& config) {
    LODESTONE_ASSIGN_OR_RETURN(SafetensorsModel files, SafetensorsModel::Open(directory));
    auto checkpoint = std::unique_ptr<Checkpoint>(new Checkpoint(std::move(files), directory, config));
    LODESTONE_RETURN_IF_ERROR(checkpoint->LocateAll());
    LODESTONE_RETURN_IF_ERROR(checkpoint->RefuseUnused());
    return std::unique_ptr<WeightSource>(std::move(checkpoint));
  }

  Status ReadRow(const WeightId& id, int64_t row, std::span<float> out) const override {
    const Located* located = Find(id);
    if (located == nullptr) return NotFound(fmt::format("{}: there is no {}", Describe(), ToString(id)));
    const WeightShape& shape = located->shape;
    if (row < 0 || row >= shape.rows || static_cast<int64_t>(out.size()) != shape.columns) {
      return Invalid(fmt::format("{}: {} is {} × {}: cannot read row {} into {} values", Describe(), ToString(id),
                                 shape.rows, shape.columns, row, out.size()));
    }
    const StoredTensor& stored = located->stored;
    if (shape.rows == 1) {
      ReadVector(*located, out);
      return {};
    }
    const int64_t stored_row = stored.first + row / stored.run * stored.pitch + row % stored.run;
    if (stored.transposed) {
      ReadValues(*located->tensor, stored_row, out, stored.outputs);
    } else {
      ReadValues(*located->tensor, stored_row * shape.columns, out);
    }
    return {};
  }

  std::string Describe() const override { return fmt::format("{} ({})", config_.name, files_.description()); }

 private:
  Checkpoint(SafetensorsModel files, std::string directory, const ModelConfig& config)
      : files_(std::move(files)), directory_(std::move(directory)), config_(config) {}

  // Rows that do not lie together (transposed, fused) are left alone; reading them again brings every page back all the
  // same.
  void Release(const WeightId& id, int64_t begin, int64_t end) const override {
    const Located* located = Find(id);
    if (located == nullptr) return;
    const StoredTensor& stored = located->stored;
    if (stored.transposed || stored.run < located->shape.rows) return;
    const int64_t row_bytes = static_cast<int64_t>(located->tensor->data.size()) / stored.outputs;
    const auto first = static_cast<size_t>((stored.first + begin) * row_bytes);
    ReleasePages(located->tensor->data.subspan(first, static_cast<size_t>((end - begin) * row_bytes)));
  }

  static void ReadVector(const Located& located, std::span<float> out) {
    const StoredTensor& stored = located.stored;
    int64_t from = stored.first;
    for (size_t at = 0; at < out.size(); at += static_cast<size_t>(stored.run), from += stored.pitch) {
      ReadValues(*located.tensor, from, out.subspan(at, static_cast<size_t>(stored.run)));
    }
  }

  static size_t Slot(const WeightId& id) {
    return static_cast<size_t>(id.layer + 1) * kKinds + static_cast<size_t>(id.kind);
  }

  const Located* Find(const WeightId& id) const {
    if (id.layer < -1 || id.layer >= config_.layers) return nullptr;
    const Located& located = located_[Slot(id)];
    return located.tensor == nullptr ? nullptr : &located;
  }

  Status LocateAll() {
    const PrefixProbe probe = OptionalPrefix(config_.architecture);
    const bool prefixed = files_.Find(fmt::format("{}{}", probe.prefix, probe.name)) != nullptr;
    prefix_ = prefixed ? probe.prefix : "";
    located_.resize((static_cast<size_t>(config_.layers) + 1) * kKinds);
    std::vector<WeightId> ids = AllWeights(config_);
    if (config_.tied_embeddings) ids.push_back({WeightKind::kOutput, -1});
    for (const WeightId& id : ids) {
      LODESTONE_ASSIGN_OR_RETURN(located_[Slot(id)], Locate(id));
    }
    return LocateSteps();
  }

  Status LocateSteps() {
    for (const WeightId& id : AllSteps(config_)) {
      if (files_.Find(LocateTensor(config_, id, prefix_).name) == nullptr) continue;
      LODESTONE_ASSIGN_OR_RETURN(const Located located, Locate(id));
      float step = 0;
      ReadValues(*located.tensor, 0, {&step, 1});
      if (!(step > 0) || !std::isfinite(step)) {
        return Invalid(fmt::format("{}: tensor {} is {}, expected a positive step size", located.tensor->file,
                                   Quoted(located.stored.name), step));
      }
      located_[Slot(id)] = located;
    }
    return {};
  }

  Result<Located> Locate(const WeightId& id) {
    Located located;
    located.stored = LocateTensor(config_, id, prefix_);
    located.shape = ShapeOf(config_, id);
    const std::string& name = located.stored.name;
    if (name.empty()) {
      return Unsupported(fmt::format("{}: no name is known for the {} of a {} checkpoint", directory_, ToString(id),
                                     ToString(config_.architecture)));
    }
    const bool is_vector = located.shape.rows == 1;
    std::vector<int64_t> expected = {located.stored.outputs};
    if (!is_vector) expected.push_back(located.shape.columns);
    if (located.stored.transposed) std::swap(expected[0], expected[1]);

    located.tensor = files_.Find(name);
    if (located.tensor == nullptr) {
      return NotFound(fmt::format("{}: {} has no tensor {}, expected the {} of shape {}{}", directory_,
                                  files_.description(), Quoted(name), ToString(id), ShapeText(expected),
                                  id.kind == WeightKind::kOutput ? " because tie_word_embeddings is false" : ""));
    }
    if (located.tensor->shape != expected) {
      return Invalid(fmt::format("{}: tensor {} has shape {}, expected {} for the {} of this config.json",
                                 located.tensor->file, Quoted(name), ShapeText(located.tensor->shape),
                                 ShapeText(expected), ToString(id)));
    }
    if (located.tensor->type == TensorType::kOther) {
      return Unsupported(fmt::format("{}: tensor {} has dtype {}, expected F32, F16 or BF16", located.tensor->file,
                                     Quoted(name), located.tensor->dtype));
    }
    return located;
  }

  Status RefuseUnused() const {
    std::set<std::string_view> used;
    for (const Located& located : located_) {
      if (located.tensor != nullptr) used.insert(located.tensor->name);
    }
    for (const TensorView& tensor : files_.tensors()) {
      if (used.contains(tensor.name) || IsIgnorable(config_, tensor.name)) continue;
      return Unsupported(
          fmt::format("{}: tensor {} of shape {} has no place in a {} model with this config.json; leaving it "
                      "out may change the arithmetic",
                      tensor.file, Quoted(tensor.name), ShapeText(tensor.shape), ToString(config_.architecture)));
    }
    return {};
  }

  SafetensorsModel files_;
  std::string directory_;
  ModelConfig config_;
  std::string prefix_;
  std::vector<Located> located_;  // by Slot
};

}  // namespace

Result<std::unique_ptr<WeightSource>> OpenCheckpoint(const std::string& directory, const ModelConfig& config) {
  if (config.experts > 0) {
    return Unsupported(
        fmt::format("{}: a mixture of {} experts; experts are estimated, not computed", directory, config.experts));
  }
  if (config.stored) return OpenPackedCheckpoint(directory, config);
  return Checkpoint::Open(directory, config);
}

}  // namespace lodestone
