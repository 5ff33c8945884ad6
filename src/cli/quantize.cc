// `lodestone quantize`: a model's weights as codes, in a directory that opens where the original does.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>

#include "appliance/machine.h"
#include "base/file.h"
#include "base/quote.h"
#include "base/random_access_file.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "cli/run_options.h"
#include "learn/calibration.h"
#include "learn/quantize_model.h"
#include "model/compressed_tensors.h"
#include "model/model_directory.h"
#include "model/open_model.h"
#include "model/packed_checkpoint.h"
#include "report/run_record.h"

namespace lodestone::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxTextBytes = size_t{64} << 20;
constexpr size_t kMaxConfigBytes = size_t{1} << 20;
constexpr const char* kGenerationConfig = "generation_config.json";

// What was stored of one kind of tensor over all layers.
struct KindSummary {
  WeightKind kind = WeightKind::kEmbedding;
  Format format;
  int64_t weights = 0, bytes = 0;
  int matrices = 0;
  double error_sum = 0, worst_error = 0;
};

// Hands tensors to `Writer` (PackedWriter or CompressedTensorsWriter) and counts them.
template <typename Writer>
class CountingSink final : public QuantizedSink {
 public:
  CountingSink(fs::path directory, const Recipe& recipe) : directory_(std::move(directory)), recipe_(recipe) {}

  Status Begin(const ModelConfig& config) override {
    config_ = config;
    LODESTONE_ASSIGN_OR_RETURN(const StoredTensors tensors, TensorsOf(config, recipe_));
    LODESTONE_ASSIGN_OR_RETURN(Writer writer, Writer::Create(directory_, config, tensors));
    writer_ = std::make_unique<Writer>(std::move(writer));
    progress_ =
        std::make_unique<Progress>("tensors", static_cast<int64_t>(tensors.matrices.size() + tensors.vectors.size()));
    return {};
  }
  Status Add(const QuantizedMatrix& matrix) override {
    KindSummary& summary = SummaryOf(matrix.id.kind, matrix.matrix.format);
    summary.weights += int64_t{matrix.matrix.n} * matrix.matrix.k;
    summary.bytes += matrix.matrix.bytes();
    ++summary.matrices;
    summary.error_sum += matrix.relative_error;
    summary.worst_error = std::max(summary.worst_error, matrix.relative_error);
    progress_->Advance();
    return writer_->Write(matrix.id, matrix.matrix);
  }
  Status Add(const WeightId& id, std::span<const float> vector) override {
    progress_->Advance();
    return writer_->Write(id, vector);
  }

  // The file is whole; its bytes.
  Result<int64_t> Finish() {
    progress_->Erase();
    LODESTONE_RETURN_IF_ERROR(writer_->Finish());
    return writer_->file_bytes();
  }
  const ModelConfig& config() const { return config_; }
  const std::vector<KindSummary>& summaries() const { return summaries_; }

 private:
  KindSummary& SummaryOf(WeightKind kind, const Format& format) {
    for (KindSummary& summary : summaries_) {
      if (summary.kind == kind && summary.format == format) return summary;
    }
    return summaries_.emplace_back(KindSummary{.kind = kind, .format = format});
  }

  fs::path directory_;
  Recipe recipe_;
  ModelConfig config_;
  std::unique_ptr<Writer> writer_;
  std::unique_ptr<Progress> progress_;
  std::vector<KindSummary> summaries_;
};

struct Quantized {
  ModelConfig config;
  std::vector<KindSummary> kinds;
  int64_t file_bytes = 0;
  double seconds = 0;
};

double BitsAWeight(const KindSummary& kind) {
  return 8.0 * static_cast<double>(kind.bytes) / static_cast<double>(kind.weights);
}

// Of the matrices that the recipe makes integers, codes and scales; the embedding is counted in the file.
double BitsAWeight(const std::vector<KindSummary>& kinds) {
  KindSummary sum;
  for (const KindSummary& kind : kinds) {
    if (!IsInteger(kind.format.code) || kind.kind == WeightKind::kOutput || kind.kind == WeightKind::kEmbedding)
      continue;
    sum.weights += kind.weights;
    sum.bytes += kind.bytes;
  }
  return sum.weights == 0 ? 0 : BitsAWeight(sum);
}

class QuantizeCommand final : public Command {
 public:
  CommandLine Line() override {
    return {
        .name = "quantize",
        .summary = "A model's weights as codes, in a directory of its own.",
        .details =
            "The directory opens wherever the original does, in the recipe that it was written for, and loads with "
            "one copy. With method rtn it computes the very tokens of the original in that recipe. It appears whole or "
            "not at all.",
        .options =
            {ModelOption(run_, true),
             {.name = "--recipe",
              .value = "R",
              .help = "Number formats, as for 'lodestone generate', such as w4a8 or w4a16:g128.",
              .target = &run_.recipe,
              .required = true},
             {.name = "--method",
              .value = "M",
              .help = "How codes are chosen: rtn (to the nearest), gptq (calibrated on text), rotate (Hadamard "
                      "rotations folded in, then rtn) or rotate+gptq (default rtn).",
              .target = &method_},
             {.name = "--calibration",
              .value = "FILE",
              .help = "Text for gptq and for the step sizes of a static recipe (default: a built-in one).",
              .target = &calibration_},
             {.name = "--out", .value = "DIR", .help = "The directory to make.", .target = &out_, .required = true},
             {.name = "--export",
              .value = "FORMAT",
              .help = "compressed-tensors: what vLLM and transformers read, instead of this program's own "
                      "format.",
              .target = &export_},
             ThreadsOption(run_),
             JsonOption(run_)},
        .examples = {
            {"4-bit weights in groups of 128", "lodestone quantize --model ./m --recipe w4a8:g128 --out ./m-w4"},
            {"calibrated on a text of yours",
             "lodestone quantize --model ./m --recipe w4a8 --method gptq --calibration book.txt --out ./m-gptq"},
            {"for vLLM",
             "lodestone quantize --model ./m --recipe w4a16:g128 --export compressed-tensors --out ./m-vllm"}}};
  }

  Status Run() override;

 private:
  Result<std::vector<int32_t>> ReadTokens(const Model& model, bool needed) const;
  Status AddSteps(Model& model, const Recipe& recipe, std::span<const int32_t> tokens, ThreadPool& threads) const;
  template <typename Writer>
  Result<Quantized> Write(const Model& model, const Recipe& recipe, std::span<const int32_t> tokens,
                          const fs::path& directory, ThreadPool& threads) const;
  Status WriteConfig(const Model& model, ModelConfig config, const Recipe& recipe, const fs::path& directory) const;
  Status CopyTokenizer(const Model& model, const fs::path& directory) const;
  void Show(const Quantized& quantized, const Recipe& recipe) const;

  RunOptions run_;
  std::string method_ = "rtn", out_;
  std::optional<std::string> calibration_, export_;
  QuantizeMethod chosen_ = QuantizeMethod::kRtn;
};

Result<std::vector<int32_t>> QuantizeCommand::ReadTokens(const Model& model, bool needed) const {
  if (!needed) {
    if (!calibration_) return std::vector<int32_t>();
    return Invalid(fmt::format("--calibration: method {} reads no text in recipe {}; leave it out, or take gptq",
                               method_, run_.recipe));
  }
  std::string text(DefaultCalibrationText());
  if (calibration_) {
    LODESTONE_ASSIGN_OR_RETURN(text, ReadFile(*calibration_, kMaxTextBytes));
  }
  LODESTONE_ASSIGN_OR_RETURN(std::vector<int32_t> tokens, model.tokenizer->Encode(text, {}));
  if (tokens.empty()) return Invalid(fmt::format("{}: the text has no tokens", calibration_.value_or("calibration")));
  return tokens;
}

// Static recipes store step sizes; the checkpoint's own win. Rotation makes its own, of the rotated model.
Status QuantizeCommand::AddSteps(Model& model, const Recipe& recipe, std::span<const int32_t> tokens,
                                 ThreadPool& threads) const {
  const bool rotates = chosen_ == QuantizeMethod::kRotate || chosen_ == QuantizeMethod::kRotateGptq;
  if (rotates || !NeedsStepSizes(recipe)) return {};
  float step = 0;
  const Status own = model.weights->ReadRow({WeightKind::kAttentionInputStep, 0}, 0, {&step, 1});
  if (own.ok()) return {};
  if (own.error().code != ErrorCode::kNotFound) return own;
  LODESTONE_ASSIGN_OR_RETURN(model.weights, Calibrate(model.config, recipe, std::move(model.weights), tokens, threads));
  return {};
}

template <typename Writer>
Result<Quantized> QuantizeCommand::Write(const Model& model, const Recipe& recipe, std::span<const int32_t> tokens,
                                         const fs::path& directory, ThreadPool& threads) const {
  CountingSink<Writer> sink(directory, recipe);
  LODESTONE_RETURN_IF_ERROR(QuantizeModel(model.config, recipe, chosen_, *model.weights, tokens, threads, sink));
  LODESTONE_ASSIGN_OR_RETURN(const int64_t bytes, sink.Finish());
  return Quantized{.config = sink.config(), .kinds = sink.summaries(), .file_bytes = bytes};
}

// config.json as it was where there was one, with what quantising changed.
Status QuantizeCommand::WriteConfig(const Model& model, ModelConfig config, const Recipe& recipe,
                                    const fs::path& directory) const {
  const fs::path original = fs::path(run_.model) / "config.json";
  std::error_code ignored;
  Json json = HuggingFaceConfig(config);
  if (fs::exists(original, ignored)) {
    LODESTONE_ASSIGN_OR_RETURN(json, ReadJsonFile(original.string(), kMaxConfigBytes));
    json.Set("tie_word_embeddings", config.tied_embeddings);
  }
  if (export_) {
    json.Set("torch_dtype", "bfloat16").Set("quantization_config", CompressedTensorsBlock(recipe));
    return WriteFileAtomically(directory / "config.json", json.Dump() + "\n");
  }
  config.stored = {.recipe = recipe.name, .method = method_, .byte_tokenizer = model.random};
  json.Set("quantization_config", StoredQuantizationBlock(*config.stored));
  return WriteModelConfig(directory, json, config);
}

Status QuantizeCommand::CopyTokenizer(const Model& model, const fs::path& directory) const {
  if (model.random) return {};
  LODESTONE_RETURN_IF_ERROR(CopyTokenizerFiles(run_.model, directory));
  const fs::path generation = fs::path(run_.model) / kGenerationConfig;
  std::error_code ignored;
  if (!fs::exists(generation, ignored)) return {};
  LODESTONE_ASSIGN_OR_RETURN(const std::string contents, ReadFile(generation, kMaxConfigBytes));
  return WriteFileAtomically(directory / kGenerationConfig, contents);
}

Status QuantizeCommand::Run() {
  LODESTONE_ASSIGN_OR_RETURN(chosen_, ParseQuantizeMethod(method_));
  LODESTONE_ASSIGN_OR_RETURN(Recipe recipe, ParseRecipe(run_.recipe));
  if (export_ && *export_ != "compressed-tensors") {
    return Invalid(fmt::format("--export {}: expected compressed-tensors", Quoted(*export_)));
  }
  LODESTONE_ASSIGN_OR_RETURN(Model model, OpenModel(run_.model));
  if (model.config.stored) {
    return Invalid(fmt::format("{}: the weights are codes of {} already; take the original model", run_.model,
                               model.config.stored->recipe));
  }
  std::error_code ignored;
  if (!model.random && !fs::is_directory(run_.model, ignored)) {
    return Unsupported(
        fmt::format("{}: a file brings no tokenizer.json to put beside the codes; quantize the "
                    "directory of the original model",
                    run_.model));
  }
  if (export_) {
    LODESTONE_ASSIGN_OR_RETURN(recipe, ExportableRecipe(model.config, recipe));
  }
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<int32_t> tokens,
                             ReadTokens(model, NeedsCalibration(chosen_) || NeedsStepSizes(recipe)));
  LODESTONE_ASSIGN_OR_RETURN(StagedDirectory directory, StagedDirectory::Create(out_));
  LODESTONE_ASSIGN_OR_RETURN(const int count, ThreadsToUse(run_.threads));
  ThreadPool threads(count);

  const auto start = std::chrono::steady_clock::now();
  LODESTONE_RETURN_IF_ERROR(AddSteps(model, recipe, tokens, threads));
  LODESTONE_ASSIGN_OR_RETURN(Quantized quantized,
                             export_ ? Write<CompressedTensorsWriter>(model, recipe, tokens, directory.path(), threads)
                                     : Write<PackedWriter>(model, recipe, tokens, directory.path(), threads));
  LODESTONE_RETURN_IF_ERROR(WriteConfig(model, quantized.config, recipe, directory.path()));
  LODESTONE_RETURN_IF_ERROR(CopyTokenizer(model, directory.path()));
  LODESTONE_RETURN_IF_ERROR(directory.Commit());
  quantized.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  Show(quantized, recipe);
  return {};
}

void QuantizeCommand::Show(const Quantized& quantized, const Recipe& recipe) const {
  const double bits = BitsAWeight(quantized.kinds);
  if (run_.json) {
    Json::Array kinds;
    for (const KindSummary& kind : quantized.kinds) {
      Json row;
      row.Set("tensor", ToString(WeightId{kind.kind, -1})).Set("format", ToString(kind.format));
      row.Set("matrices", kind.matrices).Set("weights", kind.weights).Set("bytes", kind.bytes);
      row.Set("bits_per_weight", BitsAWeight(kind));
      row.Set("relative_error_mean", kind.error_sum / kind.matrices).Set("relative_error_worst", kind.worst_error);
      kinds.push_back(std::move(row));
    }
    Json json;
    json.Set("model", run_.model).Set("recipe", recipe.name).Set("method", method_).Set("out", out_);
    json.Set("format", export_.value_or("lodestone-packed")).Set("file_bytes", quantized.file_bytes);
    json.Set("bits_per_weight", bits).Set("seconds", quantized.seconds).Set("tensors", std::move(kinds));
    return PrintJson(json);
  }
  std::vector<std::vector<std::string>> rows{{"tensor", "format", "weights", "bits a weight", "error", "worst"}};
  for (const KindSummary& kind : quantized.kinds) {
    rows.push_back({ToString(WeightId{kind.kind, -1}), ToString(kind.format),
                    FormatNumber(static_cast<double>(kind.weights)), fmt::format("{:.3f}", BitsAWeight(kind)),
                    fmt::format("{:.2f} %", 100 * kind.error_sum / kind.matrices),
                    fmt::format("{:.2f} %", 100 * kind.worst_error)});
  }
  Print(fmt::format("{} · {} · {}\n\n{}", quantized.config.name, recipe.name, method_, RenderTable(rows)));
  Print(fmt::format("\n  {} in {}: {:.3f} bits a weight of the linear layers, scales counted; {:.1f} s\n", out_,
                    FormatBytes(quantized.file_bytes), bits, quantized.seconds));
  Print("  error: ‖W − Ŵ‖ / ‖W‖ of a matrix, mean and worst over the layers\n");
}

}  // namespace

std::unique_ptr<Command> MakeQuantize() { return std::make_unique<QuantizeCommand>(); }

}  // namespace lodestone::cli
