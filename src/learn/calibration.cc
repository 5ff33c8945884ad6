#include "learn/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

#include "executor/executor.h"
#include "executor/step_recorder.h"
#include "program/program.h"

namespace lodestone {
namespace {

constexpr int kMaxTokens = 512;
constexpr int kPageTokens = 64;

using StepKey = std::pair<WeightKind, int>;

class CalibratedSource final : public WeightSource {
 public:
  CalibratedSource(std::unique_ptr<WeightSource> base, std::map<StepKey, float> steps, int tokens)
      : base_(std::move(base)), steps_(std::move(steps)), tokens_(tokens) {}

  Status ReadRow(const WeightId& id, int64_t row, std::span<float> out) const override {
    const auto step = steps_.find({id.kind, id.layer});
    if (step == steps_.end()) return base_->ReadRow(id, row, out);
    if (row != 0 || out.size() != 1) return Invalid(fmt::format("{} is one number", ToString(id)));
    out[0] = step->second;
    return {};
  }
  Status ReadPanels(const WeightId& id, int64_t first_row, int begin, int end, PackedMatrix& matrix) const override {
    return base_->ReadPanels(id, first_row, begin, end, matrix);
  }
  std::string Describe() const override {
    return fmt::format("{}, step sizes calibrated on {} tokens", base_->Describe(), tokens_);
  }

 private:
  std::unique_ptr<WeightSource> base_;
  std::map<StepKey, float> steps_;
  int tokens_;
};

// The format of each static quantiser, by its step.
std::map<WeightKind, Code> StepCodes(const Program& program) {
  std::map<WeightKind, Code> codes;
  for (const Segment& segment : program.segments) {
    for (const Op& op : segment.ops) {
      if (const auto* quantize = std::get_if<Quantize>(&op); quantize != nullptr && quantize->step) {
        codes[quantize->step->kind] = quantize->to.code;
      } else if (const auto* store = std::get_if<StoreKv>(&op); store != nullptr && store->key_step) {
        codes[store->key_step->kind] = codes[store->value_step->kind] = store->format.code;
      } else if (const auto* attend = std::get_if<Attend>(&op); attend != nullptr && attend->probability_step) {
        codes[attend->probability_step->kind] = attend->probability.code;
      }
    }
  }
  return codes;
}

}  // namespace

bool NeedsStepSizes(const Recipe& recipe) {
  for (const Format& format :
       {recipe.activations, recipe.query, recipe.probability, recipe.kv, recipe.output_input, recipe.down_input}) {
    if (format.scales == Scales::kStatic) return true;
  }
  return false;
}

std::string_view DefaultCalibrationText() {
  return "Once there was a small ship that sailed every morning before the sun came up. Its captain kept three clocks, "
         "two maps and one needle of iron that always turned to the north. \"Where are we going?\" asked the boy. "
         "\"Home,\" "
         "she said, \"by the long way, because the short way has 17 rocks and no lighthouse.\"\n\n"
         "def distance(a, b):\n    \"\"\"Length of the straight line from a to b.\"\"\"\n"
         "    return sum((x - y) ** 2 for x, y in zip(a, b)) ** 0.5\n\n"
         "In 1600 William Gilbert wrote that the Earth itself is a great magnet. He tested 30 old stories about "
         "the lodestone, found most of them false, and described each experiment so that others could repeat it.\n";
}

Result<std::unique_ptr<WeightSource>> Calibrate(const ModelConfig& config, const Recipe& recipe,
                                                std::unique_ptr<WeightSource> base, std::span<const int32_t> tokens,
                                                ThreadPool& threads) {
  const auto count =
      static_cast<int>(std::min<int64_t>({static_cast<int64_t>(tokens.size()), kMaxTokens, config.max_positions}));
  if (count < 1) return Invalid("calibration needs at least one token");
  LODESTONE_ASSIGN_OR_RETURN(const Program program, Describe(config, recipe));
  LODESTONE_ASSIGN_OR_RETURN(const Stage stage, MakeStage(program, 0, PartCount(program)));

  StepRecorder recorder;
  LODESTONE_ASSIGN_OR_RETURN(std::unique_ptr<Executor> executor, MakeCalibratingExecutor(threads, recorder));
  const int pages = (count + kPageTokens - 1) / kPageTokens;
  LODESTONE_RETURN_IF_ERROR(executor->Configure(std::span(&stage, 1), *base, pages));

  std::vector<Row> rows;
  for (int i = 0; i < count; ++i) {
    rows.push_back({.sequence = 0, .position = i, .token = tokens[i], .wants_logits = i + 1 == count});
  }
  std::vector<int32_t> page_table(pages);
  std::iota(page_table.begin(), page_table.end(), 0);
  Pass pass{.id = 0, .load = LoadOf(rows), .rows = rows, .page_table = page_table, .pages_per_sequence = pages};
  LODESTONE_RETURN_IF_ERROR(executor->Run(0, 0, pass, {}).status());

  const std::map<WeightKind, Code> codes = StepCodes(program);
  std::map<StepKey, float> steps;
  for (const auto& [key, largest] : recorder.maxima()) {
    const auto max_code = static_cast<float>(MaxCode(codes.at(key.first)));
    // A quantiser that met zeros only still needs a step; any maps zero to zero.
    steps[key] = largest > 0 ? largest / max_code : 1.0f;
  }
  return std::unique_ptr<WeightSource>(std::make_unique<CalibratedSource>(std::move(base), std::move(steps), count));
}

Result<std::string> AddStepSizes(Model& model, const Recipe& recipe, ThreadPool& threads) {
  if (!NeedsStepSizes(recipe)) return std::string();
  float step = 0;
  const WeightId probe{.kind = WeightKind::kAttentionInputStep, .layer = 0};
  const Status own = model.weights->ReadRow(probe, 0, {&step, 1});
  if (own.ok()) return std::string("of the checkpoint");
  if (own.error().code != ErrorCode::kNotFound) return own.error();
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<int32_t> tokens, model.tokenizer->Encode(DefaultCalibrationText(), {}));
  LODESTONE_ASSIGN_OR_RETURN(model.weights, Calibrate(model.config, recipe, std::move(model.weights), tokens, threads));
  return std::string("calibrated on the built-in text");
}

}  // namespace lodestone
