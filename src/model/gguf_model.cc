#include "model/gguf_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <set>

#include "base/file.h"
#include "base/quote.h"
#include "model/gguf_internal.h"
#include "model/safetensors.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;

constexpr size_t kKinds = static_cast<size_t>(WeightKind::kOutputInputStep) + 1;

struct MappedGguf {
  MappedFile bytes;
  GgufFile gguf;
  ModelConfig config;
};

Result<MappedGguf> Map(const std::string& path) {
  MappedGguf mapped;
  LODESTONE_ASSIGN_OR_RETURN(mapped.bytes, MappedFile::Open(path));
  LODESTONE_ASSIGN_OR_RETURN(mapped.gguf, ParseGguf(mapped.bytes.bytes(), path));
  LODESTONE_ASSIGN_OR_RETURN(mapped.config, ReadGgufConfig(mapped.gguf));
  mapped.config.name = fs::path(path).stem().string();
  return mapped;
}

class GgufWeights final : public WeightSource {
 public:
  static Result<std::unique_ptr<WeightSource>> Make(MappedGguf mapped) {
    mapped.gguf.metadata = Json();  // megabytes of vocabulary, read by now
    auto weights = std::unique_ptr<GgufWeights>(new GgufWeights(std::move(mapped)));
    LODESTONE_RETURN_IF_ERROR(weights->LocateAll());
    LODESTONE_RETURN_IF_ERROR(weights->RefuseUnused());
    return std::unique_ptr<WeightSource>(std::move(weights));
  }

  Status ReadRow(const WeightId& id, int64_t row, std::span<float> out) const override {
    const Located* located = Find(id);
    if (located == nullptr) return NotFound(fmt::format("{}: there is no {}", Describe(), ToString(id)));
    const WeightShape& shape = located->shape;
    if (row < 0 || row >= shape.rows || static_cast<int64_t>(out.size()) != shape.columns) {
      return Invalid(fmt::format("{}: {} is {} × {}: cannot read row {} into {} values", Describe(), ToString(id),
                                 shape.rows, shape.columns, row, out.size()));
    }
    if (shape.rows == 1) {
      ReadVector(*located, out);
    } else {
      located->tensor->Read(located->place.StoredRow(row, config().head_dim) * shape.columns, out);
    }
    return {};
  }

  std::string Describe() const override {
    return fmt::format("{} ({})", config().name, fs::path(mapped_.gguf.name).filename().string());
  }

 private:
  struct Located {
    const GgufTensor* tensor = nullptr;
    GgufPlace place;
    WeightShape shape;
  };

  explicit GgufWeights(MappedGguf mapped) : mapped_(std::move(mapped)) {}
  const ModelConfig& config() const { return mapped_.config; }

  // From the first to the last place where one of the rows is stored; what lies between and is read later comes back.
  void Release(const WeightId& id, int64_t begin, int64_t end) const override {
    const Located* located = Find(id);
    if (located == nullptr) return;
    int64_t first = located->place.StoredRow(begin, config().head_dim), last = first;
    for (int64_t row = begin + 1; row < end; ++row) {
      const int64_t stored = located->place.StoredRow(row, config().head_dim);
      first = std::min(first, stored);
      last = std::max(last, stored);
    }
    const std::span<const std::byte> data = located->tensor->data;
    const size_t row_bytes = data.size() / static_cast<size_t>(located->tensor->shape[0]);
    ReleasePages(
        data.subspan(static_cast<size_t>(first) * row_bytes, static_cast<size_t>(last - first + 1) * row_bytes));
  }

  // Of a vector, which is one row, the values lie as the rows of a matrix do.
  void ReadVector(const Located& located, std::span<float> out) const {
    std::vector<float> stored(static_cast<size_t>(located.place.rows));
    located.tensor->Read(0, stored);
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = stored[static_cast<size_t>(located.place.StoredRow(static_cast<int64_t>(i), config().head_dim))];
    }
  }

  static size_t Slot(const WeightId& id) {
    return static_cast<size_t>(id.layer + 1) * kKinds + static_cast<size_t>(id.kind);
  }

  const Located* Find(const WeightId& id) const {
    if (id.layer < -1 || id.layer >= config().layers) return nullptr;
    const Located& located = located_[Slot(id)];
    return located.tensor == nullptr ? nullptr : &located;
  }

  Status LocateAll() {
    located_.resize((static_cast<size_t>(config().layers) + 1) * kKinds);
    std::vector<WeightId> ids = AllWeights(config());
    if (config().tied_embeddings) ids.push_back({WeightKind::kOutput, -1});
    for (const WeightId& id : ids) {
      LODESTONE_ASSIGN_OR_RETURN(located_[Slot(id)], Locate(id));
    }
    return {};
  }

  Result<Located> Locate(const WeightId& id) const {
    const GgufFile& file = mapped_.gguf;
    Located located;
    located.place = LocateGguf(config(), id);
    located.shape = ShapeOf(config(), id);
    std::vector<int64_t> expected = {located.place.rows};
    if (located.shape.rows != 1) expected.push_back(located.shape.columns);
    located.tensor = file.Find(located.place.name);
    if (located.tensor == nullptr) {
      return NotFound(fmt::format("{}: there is no tensor {}, expected the {} of shape {}", file.name,
                                  Quoted(located.place.name), ToString(id), ShapeText(expected)));
    }
    if (located.tensor->shape != expected) {
      return Invalid(fmt::format("{}: tensor {} has shape {}, expected {} for the {}", file.name,
                                 Quoted(located.place.name), ShapeText(located.tensor->shape), ShapeText(expected),
                                 ToString(id)));
    }
    return located;
  }

  Status RefuseUnused() const {
    std::set<std::string_view> used = {kGgufRopeFactors};
    for (const Located& located : located_) {
      if (located.tensor != nullptr) used.insert(located.tensor->name);
    }
    for (const GgufTensor& tensor : mapped_.gguf.tensors) {
      if (used.contains(tensor.name)) continue;
      return Unsupported(fmt::format(
          "{}: tensor {} of shape {} has no place in a {} model with these keys; leaving it out may "
          "change the arithmetic",
          mapped_.gguf.name, Quoted(tensor.name), ShapeText(tensor.shape), ToString(config().architecture)));
    }
    return {};
  }

  MappedGguf mapped_;
  std::vector<Located> located_;  // by Slot
};

}  // namespace

bool IsGgufFile(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return false;
  if (path.extension() == ".gguf") return true;
  std::array<char, 4> magic{};
  return std::ifstream(path, std::ios::binary).read(magic.data(), magic.size()) &&
         std::string_view(magic.data(), magic.size()) == "GGUF";
}

Result<ModelConfig> LoadGgufConfig(const std::string& path) {
  LODESTONE_ASSIGN_OR_RETURN(const MappedGguf mapped, Map(path));
  return mapped.config;
}

Result<Model> OpenGguf(const std::string& path) {
  LODESTONE_ASSIGN_OR_RETURN(MappedGguf mapped, Map(path));
  Model model;
  model.config = mapped.config;
  model.name = mapped.config.name;
  LODESTONE_ASSIGN_OR_RETURN(model.tokenizer, ReadGgufTokenizer(mapped.gguf));
  LODESTONE_ASSIGN_OR_RETURN(model.weights, GgufWeights::Make(std::move(mapped)));
  return model;
}

}  // namespace lodestone
