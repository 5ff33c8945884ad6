#include "learn/export.h"

#include <fmt/format.h>

#include <memory>

#include "base/random_access_file.h"
#include "learn/calibration.h"
#include "learn/quantize_model.h"
#include "learn/step_sizes.h"
#include "model/model_directory.h"
#include "model/packed_checkpoint.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;

// Hands a quantised model to the file as it comes.
class PackedFileSink final : public QuantizedSink {
 public:
  PackedFileSink(fs::path directory, const Recipe& recipe) : directory_(std::move(directory)), recipe_(recipe) {}

  Status Begin(const ModelConfig& config) override {
    LODESTONE_ASSIGN_OR_RETURN(const StoredTensors tensors, TensorsOf(config, recipe_));
    LODESTONE_ASSIGN_OR_RETURN(PackedWriter writer, PackedWriter::Create(directory_, config, tensors));
    writer_ = std::make_unique<PackedWriter>(std::move(writer));
    return {};
  }
  Status Add(const QuantizedMatrix& matrix) override { return writer_->Write(matrix.id, matrix.matrix); }
  Status Add(const WeightId& id, std::span<const float> vector) override { return writer_->Write(id, vector); }
  Status Finish() { return writer_->Finish(); }

 private:
  fs::path directory_;
  const Recipe& recipe_;
  std::unique_ptr<PackedWriter> writer_;
};

Status CopyTokenizer(const fs::path& tokenizer, const fs::path& directory) {
  return tokenizer.empty() ? Status() : CopyTokenizerFiles(tokenizer, directory);
}

}  // namespace

Status ExportHuggingFace(const Parameters& parameters, const ModelConfig& config, Code code, const fs::path& tokenizer,
                         const fs::path& directory) {
  LODESTONE_ASSIGN_OR_RETURN(StagedDirectory staged, StagedDirectory::Create(directory));
  ModelConfig plain = config;
  plain.stored.reset();
  Json json = HuggingFaceConfig(plain);
  json.Set("torch_dtype", code == Code::kF32 ? "float32" : "bfloat16");
  LODESTONE_RETURN_IF_ERROR(WriteModelConfig(staged.path(), json, plain));
  LODESTONE_RETURN_IF_ERROR(WriteCheckpoint(staged.path(), plain, *SourceOf(parameters, plain), code));
  LODESTONE_RETURN_IF_ERROR(CopyTokenizer(tokenizer, staged.path()));
  return staged.Commit();
}

Status ExportQuantized(const Parameters& parameters, const ModelConfig& config, const Recipe& recipe,
                       const fs::path& tokenizer, const fs::path& directory, ThreadPool& threads) {
  if (!NeedsStepSizes(recipe)) {
    return Unsupported(
        fmt::format("recipe {}: no step sizes were trained; export the full-precision model and take "
                    "'lodestone quantize --recipe {}'",
                    recipe.name, recipe.name));
  }
  LODESTONE_RETURN_IF_ERROR(CheckStepSizes(parameters));
  LODESTONE_ASSIGN_OR_RETURN(StagedDirectory staged, StagedDirectory::Create(directory));
  ModelConfig stored = config;
  stored.stored = {.recipe = recipe.name, .method = "lsq", .byte_tokenizer = tokenizer.empty()};
  LODESTONE_RETURN_IF_ERROR(WriteModelConfig(staged.path(), HuggingFaceConfig(stored), stored));
  PackedFileSink sink(staged.path(), recipe);
  LODESTONE_RETURN_IF_ERROR(RoundModel(stored, recipe, *SourceOf(parameters, stored), threads, sink));
  LODESTONE_RETURN_IF_ERROR(sink.Finish());
  LODESTONE_RETURN_IF_ERROR(CopyTokenizer(tokenizer, staged.path()));
  return staged.Commit();
}

}  // namespace lodestone
