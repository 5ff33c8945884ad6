#include "learn/gptq_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <vector>

#include "base/log.h"
#include "executor/executor.h"
#include "executor/step_recorder.h"
#include "kernels/dispatch.h"
#include "learn/gptq.h"
#include "learn/hessian.h"
#include "learn/round_model.h"
#include "program/program.h"

namespace lodestone {
namespace {

constexpr int kMaxTokens = 32768;
constexpr int kSequenceTokens = 512;
constexpr int kPageTokens = 64;
constexpr double kDamping = 0.01;  // of the mean diagonal, as the paper has it

// A linear layer of the part at hand, and the first of those that read the same values.
struct LinearLayer {
  WeightId id;
  WeightId leader;
};

std::vector<LinearLayer> LinearLayersOf(const Stage& stage) {
  std::vector<LinearLayer> layers;
  for (const Segment& segment : stage.program.segments) {
    for (size_t i = 0; i < segment.ops.size(); ++i) {
      const auto* linear = std::get_if<Linear>(&segment.ops[i]);
      if (linear == nullptr) continue;
      LinearLayer layer{.id = {linear->weight.kind, segment.first_layer}, .leader = {}};
      layer.leader = layer.id;
      // A register is written once before it is read, so the first reader of it within a part leads the others.
      for (const Op& op : segment.ops) {
        const auto* other = std::get_if<Linear>(&op);
        if (other == nullptr || other->in != linear->in) continue;
        layer.leader = {other->weight.kind, segment.first_layer};
        break;
      }
      layers.push_back(layer);
    }
  }
  return layers;
}

// The original weights, but those that are quantised already with the values of their codes.
class PartlyQuantized final : public WeightSource {
 public:
  explicit PartlyQuantized(const WeightSource& source) : source_(source) {}
  void Replace(const WeightId& id, PackedMatrix matrix) {
    matrices_[{id.kind, id.layer}] = std::make_unique<PackedMatrix>(std::move(matrix));
  }
  Status ReadRow(const WeightId& id, int64_t row, std::span<float> out) const override {
    const auto found = matrices_.find({id.kind, id.layer});
    if (found == matrices_.end()) return source_.ReadRow(id, row, out);
    UnpackRow(*found->second, static_cast<int>(row), out);
    return {};
  }
  std::string Describe() const override { return source_.Describe(); }

 private:
  const WeightSource& source_;
  std::map<std::pair<WeightKind, int>, std::unique_ptr<PackedMatrix>> matrices_;
};

// One sequence of the calibration text and its residual stream.
struct Sequence {
  std::vector<Row> rows;
  Tensor stream;
};

class Quantizer {
 public:
  Quantizer(const ModelConfig& config, const WeightSource& source, ThreadPool& threads, QuantizedSink& sink)
      : config_(config), source_(source), threads_(threads), sink_(sink) {}

  Status Run(const Recipe& recipe, std::span<const int32_t> tokens) {
    LODESTONE_ASSIGN_OR_RETURN(const StoredTensors tensors, TensorsOf(config_, recipe));
    LODESTONE_RETURN_IF_ERROR(CheckInputs(recipe, tokens));
    LODESTONE_ASSIGN_OR_RETURN(kernels_, kernels::SelectFromEnvironment());
    LODESTONE_ASSIGN_OR_RETURN(const Recipe plain, ParseRecipe("f32"));
    LODESTONE_ASSIGN_OR_RETURN(const Program program, Describe(config_, plain));
    LODESTONE_RETURN_IF_ERROR(sink_.Begin(config_));
    CutSequences(tokens);
    const int parts = PartCount(program);
    for (int part = 0; part + 1 < parts; ++part) {  // the last is the output layer
      LODESTONE_ASSIGN_OR_RETURN(const Stage stage, MakeStage(program, part, part + 1));
      PartlyQuantized weights(source_);
      LODESTONE_RETURN_IF_ERROR(QuantizePart(stage, tensors, weights));
      if (part + 2 < parts) LODESTONE_RETURN_IF_ERROR(RunPart(stage, weights, nullptr));
    }
    for (const StoredTensors::Matrix& matrix : tensors.matrices) {
      if (IsQuantized(matrix)) continue;
      LODESTONE_ASSIGN_OR_RETURN(const PackedMatrix packed, RoundMatrix(matrix, source_, threads_));
      LODESTONE_RETURN_IF_ERROR(AddMatrix(matrix.id, packed, source_, threads_, sink_));
    }
    return AddVectors(config_, tensors.vectors, source_, sink_);
  }

 private:
  using Hessians = std::map<std::pair<WeightKind, int>, Hessian>;

  // Those that GPTQ chooses: the integers within layers.
  static bool IsQuantized(const StoredTensors::Matrix& matrix) {
    return matrix.id.layer >= 0 && IsInteger(matrix.shape.format.code);
  }

  Status CheckInputs(const Recipe& recipe, std::span<const int32_t> tokens) const {
    if (!IsInteger(recipe.weights.code)) {
      return Invalid(fmt::format("gptq chooses integer codes; recipe {} has {} weights", recipe.name,
                                 ToString(recipe.weights.code)));
    }
    if (tokens.empty()) return Invalid("gptq needs at least one token of calibration text");
    for (const int32_t token : tokens) {
      if (token < 0 || token >= config_.vocab) {
        return Invalid(fmt::format("calibration token {} of a vocabulary of {}", token, config_.vocab));
      }
    }
    return {};
  }

  void CutSequences(std::span<const int32_t> tokens) {
    tokens = tokens.first(std::min<size_t>(tokens.size(), kMaxTokens));
    const auto length = static_cast<size_t>(std::min<int64_t>(kSequenceTokens, config_.max_positions));
    for (size_t first = 0; first < tokens.size(); first += length) {
      Sequence& sequence = sequences_.emplace_back();
      const size_t count = std::min(length, tokens.size() - first);
      for (size_t i = 0; i < count; ++i) {
        sequence.rows.push_back({.position = static_cast<int32_t>(i), .token = tokens[first + i]});
      }
    }
  }

  Status QuantizePart(const Stage& stage, const StoredTensors& tensors, PartlyQuantized& weights) {
    const std::vector<LinearLayer> layers = LinearLayersOf(stage);
    if (layers.empty()) return {};
    Hessians hessians;
    LODESTONE_RETURN_IF_ERROR(RunPart(stage, source_, &hessians));
    for (const LinearLayer& layer : layers) {
      Hessian& hessian = hessians.at({layer.leader.kind, layer.leader.layer});
      if (layer.id == layer.leader) {
        LODESTONE_ASSIGN_OR_RETURN(const double damping, hessian.Factorize(*kernels_, threads_, kDamping));
        if (damping > kDamping * 1.5) {
          Log(LogLevel::kWarning, fmt::format("{}: second moments needed damping of {:g} % of their mean diagonal",
                                              ToString(layer.id), damping * 100));
        }
      }
      const auto matrix = std::find_if(tensors.matrices.begin(), tensors.matrices.end(),
                                       [&](const auto& stored) { return stored.id == layer.id; });
      LODESTONE_CHECK(matrix != tensors.matrices.end());
      const RowReader rows = [&](int o, std::span<float> row) { return source_.ReadRow(layer.id, o, row); };
      const PackedShape& shape = matrix->shape;
      auto packed = GptqPack(shape.format, shape.n, shape.k, rows, hessian, *kernels_, threads_);
      if (!packed.ok()) {
        return Error{packed.error().code, fmt::format("{}: {}", ToString(layer.id), packed.error().message)};
      }
      LODESTONE_RETURN_IF_ERROR(AddMatrix(layer.id, *packed, source_, threads_, sink_));
      weights.Replace(layer.id, *std::move(packed));
    }
    return {};
  }

  // All sequences through one part: takes second moments where asked for, and otherwise moves the streams on.
  Status RunPart(const Stage& stage, const WeightSource& weights, Hessians* hessians) {
    Status heard;
    StepRecorder recorder([&](const LinearInput& input) {
      if (hessians == nullptr || !heard.ok()) return;
      heard = Hear(stage, input, *hessians);
    });
    LODESTONE_ASSIGN_OR_RETURN(std::unique_ptr<Executor> executor, MakeCalibratingExecutor(threads_, recorder));
    constexpr int kPages = (kSequenceTokens + kPageTokens - 1) / kPageTokens;
    LODESTONE_RETURN_IF_ERROR(executor->Configure(std::span(&stage, 1), weights, kPages));
    std::vector<int32_t> page_table(kPages);
    std::iota(page_table.begin(), page_table.end(), 0);
    for (Sequence& sequence : sequences_) {
      const Pass pass{.id = 0,
                      .load = LoadOf(sequence.rows),
                      .rows = sequence.rows,
                      .page_table = page_table,
                      .pages_per_sequence = kPages};
      Tensor in = hessians == nullptr ? std::move(sequence.stream) : sequence.stream;
      LODESTONE_ASSIGN_OR_RETURN(Tensor out, executor->Run(0, 0, pass, std::move(in)));
      LODESTONE_RETURN_IF_ERROR(heard);
      if (hessians == nullptr) sequence.stream = std::move(out);
    }
    return {};
  }

  Status Hear(const Stage& stage, const LinearInput& input, Hessians& hessians) const {
    for (const LinearLayer& layer : LinearLayersOf(stage)) {
      if (!(layer.id == input.weight) || !(layer.leader == layer.id)) continue;
      auto found = hessians.find({layer.id.kind, layer.id.layer});
      if (found == hessians.end()) {
        LODESTONE_ASSIGN_OR_RETURN(Hessian made, Hessian::Make(input.k));
        found = hessians.emplace(std::pair(layer.id.kind, layer.id.layer), std::move(made)).first;
      }
      found->second.Add(*kernels_, threads_, input.x, input.stride, input.rows);
    }
    return {};
  }

  const ModelConfig& config_;
  const WeightSource& source_;
  ThreadPool& threads_;
  QuantizedSink& sink_;
  const kernels::KernelTable* kernels_ = nullptr;
  std::vector<Sequence> sequences_;
};

}  // namespace

Status GptqModel(const ModelConfig& config, const Recipe& recipe, const WeightSource& source,
                 std::span<const int32_t> tokens, ThreadPool& threads, QuantizedSink& sink) {
  return Quantizer(config, source, threads, sink).Run(recipe, tokens);
}

}  // namespace lodestone
