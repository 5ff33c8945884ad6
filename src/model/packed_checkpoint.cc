#include "model/packed_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <set>

#include "base/file.h"
#include "base/quote.h"
#include "base/random_access_file.h"
#include "model/packed_names.h"
#include "model/safetensors.h"

namespace lodestone {
namespace {

// Codes are checked while they lie in the second-level cache.
constexpr int64_t kReadBytes = 256 << 10;

struct StoredMatrix {
  PackedShape shape;
  const TensorView* codes = nullptr;
  const TensorView* scales = nullptr;       // null for f32 and bf16
  const TensorView* multipliers = nullptr;  // null without groups

  PackedView view() const {
    return {shape, codes->data.data(), scales == nullptr ? nullptr : scales->data.data(),
            multipliers == nullptr ? nullptr : multipliers->data.data()};
  }
};

class PackedCheckpoint final : public WeightSource {
 public:
  static Result<std::unique_ptr<WeightSource>> Open(const std::string& directory, const ModelConfig& config) {
    const std::filesystem::path path = std::filesystem::path(directory) / kPackedFile;
    auto checkpoint = std::unique_ptr<PackedCheckpoint>(new PackedCheckpoint(path.string(), config));
    LODESTONE_ASSIGN_OR_RETURN(checkpoint->mapped_, MappedFile::Open(path));
    LODESTONE_ASSIGN_OR_RETURN(checkpoint->file_, ReadableFile::Open(path));
    LODESTONE_RETURN_IF_ERROR(checkpoint->Locate());
    return std::unique_ptr<WeightSource>(std::move(checkpoint));
  }

  Status ReadRow(const WeightId& id, int64_t row, std::span<float> out) const override {
    const StoredMatrix* matrix = Widest(id);
    const TensorView* vector = matrix == nullptr ? FindVector(id) : nullptr;
    if (matrix == nullptr && vector == nullptr) return NotFound(fmt::format("{}: there is no {}", path_, ToString(id)));
    const WeightShape shape = ShapeOf(config_, id);
    if (row < 0 || row >= shape.rows || static_cast<int64_t>(out.size()) != shape.columns) {
      return Invalid(fmt::format("{}: {} is {} × {}: cannot read row {} into {} values", path_, ToString(id),
                                 shape.rows, shape.columns, row, out.size()));
    }
    if (vector != nullptr) {
      ReadValues(*vector, 0, out);
    } else {
      UnpackRow(matrix->view(), static_cast<int>(row), out);
    }
    return {};
  }

  Status ReadPanels(const WeightId& id, int64_t first_row, int begin, int end, PackedMatrix& out) const override {
    const StoredMatrix* stored = Find(id, out.format);
    if (stored == nullptr) return WeightSource::ReadPanels(id, first_row, begin, end, out);
    if (first_row < 0 || first_row + out.n > stored->shape.n || out.k != stored->shape.k) {
      return Invalid(fmt::format("{}: {} is {} × {}: cannot read {} × {} from row {}", path_, ToString(id),
                                 stored->shape.n, stored->shape.k, out.n, out.k, first_row));
    }
    // Panels whose 16 rows are 16 rows of one stored panel, padding included, are copied.
    int whole = first_row + out.n == stored->shape.n ? out.panels() : out.n / kPanel;
    if (first_row % kPanel != 0) whole = 0;
    const int copied = std::clamp(whole, begin, end);
    if (begin < copied) {
      LODESTONE_RETURN_IF_ERROR(Copy(*stored, static_cast<int>(first_row / kPanel), begin, copied, out));
    }
    return copied < end ? Assemble(*stored, first_row, copied, end, out) : Status();
  }

  std::string Describe() const override { return fmt::format("{} ({})", config_.name, kPackedFile); }

 private:
  PackedCheckpoint(std::string path, const ModelConfig& config) : path_(std::move(path)), config_(config) {}

  using Key = std::pair<WeightKind, int>;

  const TensorView* FindVector(const WeightId& id) const {
    const auto found = vectors_.find({id.kind, id.layer});
    return found == vectors_.end() ? nullptr : found->second;
  }
  const StoredMatrix* Widest(const WeightId& id) const {
    const auto found = matrices_.find({id.kind, id.layer});
    if (found != matrices_.end()) return &found->second.front();
    if (id.kind != WeightKind::kOutput || !config_.tied_embeddings) return nullptr;
    return Widest({WeightKind::kEmbedding, -1});
  }
  const StoredMatrix* Find(const WeightId& id, const Format& format) const {
    const auto found = matrices_.find({id.kind, id.layer});
    if (found == matrices_.end()) return nullptr;
    for (const StoredMatrix& matrix : found->second) {
      if (matrix.shape.format == format) return &matrix;
    }
    return nullptr;
  }

  // `count` units of `bytes` each, from unit `from` of a tensor, in pieces of which `check` hears.
  template <typename Check>
  Status Read(const TensorView& tensor, int64_t from, int64_t count, int64_t bytes, std::byte* out,
              const Check& check) const {
    const int64_t offset = (tensor.data.data() - mapped_.bytes().data()) + from * bytes;
    for (int64_t done = 0, total = count * bytes; done < total;) {
      const std::span<std::byte> piece(out + done, static_cast<size_t>(std::min(kReadBytes, total - done)));
      LODESTONE_RETURN_IF_ERROR(file_.ReadAt(offset + done, piece));
      if (const Status status = check(piece); !status.ok()) {
        return Invalid(
            fmt::format("{}: tensor {}: {}; the file is damaged", path_, Quoted(tensor.name), status.error().message));
      }
      done += static_cast<int64_t>(piece.size());
    }
    return {};
  }

  // Panels [begin, end) of `out` are panels [first + begin, first + end) of `stored`.
  Status Copy(const StoredMatrix& stored, int first, int begin, int end, PackedMatrix& out) const {
    const PackedShape& shape = stored.shape;
    const int64_t codes = shape.panel_bytes(), scales = shape.panel_scale_bytes();
    const int64_t multipliers = shape.panel_multiplier_bytes();
    const auto check_codes = [&](std::span<const std::byte> piece) { return CheckPackedCodes(shape.format, piece); };
    LODESTONE_RETURN_IF_ERROR(
        Read(*stored.codes, first + begin, end - begin, codes, out.codes.data() + begin * codes, check_codes));
    if (stored.scales != nullptr) {
      LODESTONE_RETURN_IF_ERROR(
          Read(*stored.scales, first + begin, end - begin, scales, out.scales.data() + begin * scales, CheckScales));
    }
    if (stored.multipliers == nullptr) return {};
    return Read(*stored.multipliers, first + begin, end - begin, multipliers,
                out.multipliers.data() + begin * multipliers, CheckMultipliers);
  }

  // Rows that lie otherwise in their panels: a shard's, whose first row is no multiple of 16.
  static Status Assemble(const StoredMatrix& stored, int64_t first_row, int begin, int end, PackedMatrix& out) {
    const PackedView view = stored.view();
    const auto row_of = [&](int o) { return static_cast<int>(first_row) + o; };
    if (!IsInteger(out.format.code)) {
      return PackPanels(
          begin, end,
          [&](int o, std::span<float> row) {
            UnpackRow(view, row_of(o), row);
            return Status();
          },
          out);
    }
    return PackCodePanels(
        begin, end,
        [&](int o, QuantizedRow& row) {
          UnpackCodes(view, row_of(o), row);
          return Status();
        },
        out);
  }

  Status Locate() {
    LODESTONE_RETURN_IF_ERROR(CheckVersion());
    LODESTONE_ASSIGN_OR_RETURN(tensors_, ParseSafetensors(mapped_.bytes(), path_));
    for (const TensorView& tensor : tensors_) by_name_[tensor.name] = &tensor;
    std::vector<WeightId> ids = AllWeights(config_);
    if (config_.tied_embeddings) ids.push_back({WeightKind::kOutput, -1});  // optional: see Widest
    for (const WeightId& id : ids) {
      const WeightShape shape = ShapeOf(config_, id);
      const bool optional = id.kind == WeightKind::kOutput && config_.tied_embeddings;
      LODESTONE_RETURN_IF_ERROR(shape.rows == 1 && IsVector(id) ? LocateVector(id, shape)
                                                                : LocateMatrix(id, shape, optional));
    }
    for (const WeightId& id : AllSteps(config_)) {
      if (by_name_.contains(PackedName(id))) LODESTONE_RETURN_IF_ERROR(LocateVector(id, ShapeOf(config_, id)));
    }
    for (const TensorView& tensor : tensors_) {
      if (!used_.contains(&tensor)) {
        return Unsupported(
            fmt::format("{}: tensor {} has no place in this model; config.json and this file do not "
                        "belong together",
                        path_, Quoted(tensor.name)));
      }
    }
    return {};
  }

  // A matrix of one row is still a matrix; only its kind tells.
  static bool IsVector(const WeightId& id) {
    switch (id.kind) {
      case WeightKind::kEmbedding:
      case WeightKind::kPositions:
      case WeightKind::kQ:
      case WeightKind::kK:
      case WeightKind::kV:
      case WeightKind::kO:
      case WeightKind::kGate:
      case WeightKind::kUp:
      case WeightKind::kDown:
      case WeightKind::kOutput:
        return false;
      default:
        return true;
    }
  }

  Status CheckVersion() const {
    LODESTONE_ASSIGN_OR_RETURN(const SafetensorsMetadata metadata, ParseSafetensorsMetadata(mapped_.bytes(), path_));
    std::string format, version;
    for (const auto& [key, value] : metadata) {
      if (key == "format") format = value;
      if (key == "version") version = value;
    }
    const std::string expected = fmt::format("{}", kPackedVersion);
    if (format == "lodestone-packed" && version == expected) return {};
    return Unsupported(
        fmt::format("{}: format {} version {}, expected lodestone-packed version {}; quantize the "
                    "original model again",
                    path_, Quoted(format), Quoted(version), expected));
  }

  // Null where there is no such tensor.
  Result<const TensorView*> Take(const std::string& name, std::string_view dtype, const std::vector<int64_t>& shape) {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return static_cast<const TensorView*>(nullptr);
    const TensorView* tensor = found->second;
    if (tensor->dtype != dtype || tensor->shape != shape) {
      return Invalid(fmt::format("{}: tensor {} is {} {}, expected {} {} for this config.json", path_, Quoted(name),
                                 tensor->dtype, ShapeText(tensor->shape), dtype, ShapeText(shape)));
    }
    used_.insert(tensor);
    return tensor;
  }

  Error Missing(const WeightId& id, const std::string& name) const {
    return NotFound(
        fmt::format("{}: there is no tensor {}, the {} of this config.json", path_, Quoted(name), ToString(id)));
  }

  Status LocateVector(const WeightId& id, const WeightShape& shape) {
    LODESTONE_ASSIGN_OR_RETURN(const TensorView* tensor, Take(PackedName(id), "F32", {shape.columns}));
    if (tensor == nullptr) return Missing(id, PackedName(id));
    vectors_[{id.kind, id.layer}] = tensor;
    return {};
  }

  Status LocateMatrix(const WeightId& id, const WeightShape& whole, bool optional) {
    std::vector<StoredMatrix> found;
    for (const Format& format : kPackedFormats) {
      const std::string name = PackedName(id, format);
      StoredMatrix m{.shape = {format, static_cast<int>(whole.rows), static_cast<int>(whole.columns)}};
      const PackedShape& shape = m.shape;
      LODESTONE_ASSIGN_OR_RETURN(m.codes, Take(name + kCodes, "U8", {shape.panels(), shape.panel_bytes()}));
      if (m.codes == nullptr) continue;
      LODESTONE_RETURN_IF_ERROR(CheckPackedShape(shape));
      if (shape.panel_scale_bytes() > 0) {
        LODESTONE_ASSIGN_OR_RETURN(m.scales, Take(name + kScales, "F32", {shape.panels(), kPanel}));
        if (m.scales == nullptr) return Missing(id, name + kScales);
      }
      if (shape.groups() > 0) {
        LODESTONE_ASSIGN_OR_RETURN(m.multipliers,
                                   Take(name + kMultipliers, "U8", {shape.panels(), shape.groups(), kPanel}));
        if (m.multipliers == nullptr) return Missing(id, name + kMultipliers);
      }
      found.push_back(m);
    }
    if (found.empty() && optional) return {};
    if (found.empty()) return Missing(id, PackedName(id) + ".*" + kCodes);
    matrices_[{id.kind, id.layer}] = std::move(found);
    return {};
  }

  std::string path_;
  ModelConfig config_;
  MappedFile mapped_;
  ReadableFile file_;
  std::vector<TensorView> tensors_;
  std::map<std::string, const TensorView*, std::less<>> by_name_;
  std::set<const TensorView*> used_;
  std::map<Key, std::vector<StoredMatrix>> matrices_;  // widest format first
  std::map<Key, const TensorView*> vectors_;
};

}  // namespace

Result<std::unique_ptr<WeightSource>> OpenPackedCheckpoint(const std::string& directory, const ModelConfig& config) {
  return PackedCheckpoint::Open(directory, config);
}

}  // namespace lodestone
