#include "learn/training_setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <system_error>

#include "base/quote.h"
#include "base/units.h"
#include "host/cpu.h"
#include "learn/codons.h"
#include "learn/data_split.h"
#include "learn/training_cost.h"
#include "model/open_model.h"
#include "model/weight_source.h"
#include "program/program.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;

// Of the order in which held-out sequences are drawn: the same for every run over the same data.
constexpr uint64_t kValidationSeed = 0;

// tokenizer.json of a path that names it or its directory.
fs::path TokenizerFile(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored) ? path / "tokenizer.json" : path;
}

// What reads the trained model's texts must have the ids that it was trained on.
Status CheckCodons(const Tokenizer& tokenizer) {
  for (int32_t id = kFirstCodon; id < kCodonVocabulary; ++id) {
    const std::optional<int32_t> found = tokenizer.TokenToId(CodonName(id));
    if (found == id) continue;
    return Invalid(
        fmt::format("model.tokenizer: {} is {} in it, and FASTA is read with GenSLM's codons, where it is "
                    "{}; leave model.tokenizer out, and begin with a model of codons",
                    CodonName(id), found ? fmt::format("id {}", *found) : "no token", id));
  }
  return {};
}

Status OpenTokenizer(Training& training, std::shared_ptr<const Tokenizer> of_initial) {
  const TrainConfig& config = training.config;
  if (!config.model.tokenizer.empty()) {
    training.tokenizer_path = config.model.tokenizer;
    LODESTONE_ASSIGN_OR_RETURN(training.tokenizer, Tokenizer::Load(TokenizerFile(config.model.tokenizer).string()));
  } else if (of_initial != nullptr) {
    training.tokenizer = std::move(of_initial);
    std::error_code ignored;
    if (fs::exists(TokenizerFile(config.model.initial), ignored)) training.tokenizer_path = config.model.initial;
  } else if (config.data.kind == DataKind::kText) {
    LODESTONE_ASSIGN_OR_RETURN(training.tokenizer_json, ByteTokenizerJson(training.model.vocab));
    LODESTONE_ASSIGN_OR_RETURN(training.tokenizer,
                               Tokenizer::Parse(training.tokenizer_json, "the built-in byte tokenizer"));
  } else if (config.data.kind == DataKind::kFasta) {
    training.tokenizer_json = CodonTokenizerJson();
    LODESTONE_ASSIGN_OR_RETURN(training.tokenizer,
                               Tokenizer::Parse(training.tokenizer_json, "the built-in codon tokenizer"));
  }
  if (training.tokenizer == nullptr) return {};
  if (config.data.kind == DataKind::kFasta) LODESTONE_RETURN_IF_ERROR(CheckCodons(*training.tokenizer));
  if (training.tokenizer->vocab_size() <= training.model.vocab) return {};
  return Invalid(
      fmt::format("model.tokenizer: it has {} ids, and the model '{}' a vocabulary of {}; take the model's own "
                  "tokenizer, or a shape with a larger vocabulary",
                  training.tokenizer->vocab_size(), training.model.name, training.model.vocab));
}

// Whatever ids the shape's own tokenizer has: texts of this one end with its own, and begin with what it puts in front
// of them, or behind the end of another text.
Status SetTextEnds(Training& training) {
  if (training.tokenizer == nullptr) return {};
  const std::optional<int32_t> end = EndOfText(*training.tokenizer);
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<int32_t> front, training.tokenizer->Encode(""));
  training.model.eos_ids = end ? std::vector<int32_t>{*end} : std::vector<int32_t>();
  training.model.bos_id = front.empty() ? end : std::optional<int32_t>(front[0]);
  return {};
}

// The shape, the tokenizer and, where training does not begin anew, the weights.
Result<std::unique_ptr<WeightSource>> OpenWeights(Training& training) {
  const TrainConfig::Model& model = training.config.model;
  if (!model.initial.empty()) {
    LODESTONE_ASSIGN_OR_RETURN(Model initial, OpenModel(model.initial));
    training.model = std::move(initial.config);
    training.model.stored.reset();  // codes become values again
    LODESTONE_RETURN_IF_ERROR(OpenTokenizer(training, std::move(initial.tokenizer)));
    return std::move(initial.weights);
  }
  LODESTONE_ASSIGN_OR_RETURN(training.model, LoadModelConfig(model.shape));
  training.model.stored.reset();
  LODESTONE_RETURN_IF_ERROR(OpenTokenizer(training, nullptr));
  LODESTONE_RETURN_IF_ERROR(SetTextEnds(training));
  return RandomWeights(training.model, model.seed);
}

Result<std::unique_ptr<TokenData>> ReadFiles(const Training& training, std::span<const fs::path> files) {
  const int64_t vocab = training.model.vocab;
  switch (training.config.data.kind) {
    case DataKind::kText:
      return TokensOfText(files, "", *training.tokenizer, vocab);
    case DataKind::kFasta:
      return TokensOfFasta(files, vocab);
    case DataKind::kTokens:
      break;
  }
  std::vector<std::unique_ptr<TokenData>> parts;
  for (const fs::path& file : files) {
    LODESTONE_ASSIGN_OR_RETURN(std::unique_ptr<TokenData> part, OpenTokenFile(file, vocab));
    parts.push_back(std::move(part));
  }
  return Joined(std::move(parts));
}

Status OpenData(Training& training) {
  const TrainConfig::Data& data = training.config.data;
  const TrainConfig::Run& run = training.config.run;
  LODESTONE_ASSIGN_OR_RETURN(const DataSplit files, SplitData(data));
  LODESTONE_ASSIGN_OR_RETURN(training.train, ReadFiles(training, files.train));
  if (!files.validation.empty()) {
    LODESTONE_ASSIGN_OR_RETURN(training.validation, ReadFiles(training, files.validation));
  } else if (data.validation_fraction > 0) {
    std::optional<int32_t> end;
    if (!training.model.eos_ids.empty()) end = training.model.eos_ids[0];
    SplitTokens split = SplitRow(std::move(training.train), data.validation_fraction, end);
    training.train = std::move(split.train);
    training.validation = std::move(split.validation);
  }
  LODESTONE_ASSIGN_OR_RETURN(training.order, BatchOrder::Make(*training.train, run.sequence, run.seed));
  if (training.validation == nullptr) return {};
  const Result<BatchOrder> order = BatchOrder::Make(*training.validation, run.sequence, kValidationSeed);
  if (!order.ok()) return Error{order.error().code, fmt::format("validation: {}", order.error().message)};
  training.validation_order = *order;
  training.validation_sequences = std::min(run.evaluate_sequences, order->windows());
  return {};
}

Status CheckSequence(const Training& training) {
  if (training.config.run.sequence <= training.model.max_positions) return {};
  return Infeasible(fmt::format("run.sequence is {} and the model '{}' has {} positions: take a sequence of at most {}",
                                training.config.run.sequence, training.model.name, training.model.max_positions,
                                training.model.max_positions));
}

// Found before the work: what cannot be written as a config.json cannot be opened afterwards.
Status CheckOutput(const Training& training) {
  if (training.config.output.directory.empty()) return {};
  const Result<ModelConfig> read = ParseHuggingFaceConfig(HuggingFaceConfig(training.model), training.model.name);
  ModelConfig same = read.ok() ? *read : ModelConfig();
  same.name = training.model.name;
  same.bos_id = training.model.bos_id;
  same.eos_ids = training.model.eos_ids;
  if (read.ok() && same == training.model) return {};
  return Unsupported(
      fmt::format("output.directory: the shape '{}' is not one that a config.json of its architecture can describe{}; "
                  "change the shape, or leave output.directory out",
                  training.model.name, read.ok() ? "" : fmt::format(" ({})", read.error().message)));
}

Status CheckMemory(const Training& training) {
  LODESTONE_ASSIGN_OR_RETURN(const Program program, Describe(training.model, training.recipe));
  const TrainConfig::Run& run = training.config.run;
  const TrainingMemory memory =
      MemoryOfTraining(training.model, program, int64_t{run.micro_batch} * run.sequence, run.recompute);
  return CheckTrainingMemory(training.model.name, memory, DescribeHost().memory_bytes);
}

// A model in full precision that the trained one is to follow.
Status OpenTeacher(Training& training, ThreadPool& threads) {
  const TrainConfig::Distillation& distillation = training.config.distillation;
  if (distillation.teacher.empty()) return {};
  LODESTONE_ASSIGN_OR_RETURN(Model model, OpenModel(distillation.teacher));
  if (model.config.vocab != training.model.vocab) {
    return Invalid(
        fmt::format("quantization.teacher: '{}' has a vocabulary of {} and the trained model {}; a teacher has "
                    "the same ids",
                    distillation.teacher, model.config.vocab, training.model.vocab));
  }
  model.config.stored.reset();
  LODESTONE_ASSIGN_OR_RETURN(const Recipe recipe, ParseRecipe(training.recipe.stream == Code::kBf16 ? "bf16" : "f32"));
  LODESTONE_ASSIGN_OR_RETURN(Parameters parameters, Parameters::Make(model.config, recipe));
  LODESTONE_RETURN_IF_ERROR(parameters.Load(*model.weights));
  training.teacher_parameters = std::make_unique<Parameters>(std::move(parameters));
  LODESTONE_ASSIGN_OR_RETURN(training.teacher,
                             Differentiator::Make(model.config, recipe, *training.teacher_parameters, threads));
  return training.differentiator->DistillFrom(*training.teacher, static_cast<float>(distillation.weight),
                                              static_cast<float>(distillation.temperature));
}

}  // namespace

bool Training::integers() const { return IsInteger(recipe.weights.code); }

Result<std::unique_ptr<Training>> OpenTraining(const TrainConfig& config, ThreadPool& threads) {
  auto training = std::make_unique<Training>();
  training->config = config;
  LODESTONE_ASSIGN_OR_RETURN(training->recipe, ParseRecipe(config.run.recipe));
  LODESTONE_ASSIGN_OR_RETURN(const std::unique_ptr<WeightSource> weights, OpenWeights(*training));
  if (training->model.experts > 0) {
    return Unsupported(
        fmt::format("model '{}': a mixture of experts cannot be trained: experts are estimated, not "
                    "computed",
                    training->model.name));
  }
  LODESTONE_RETURN_IF_ERROR(CheckSequence(*training));
  LODESTONE_RETURN_IF_ERROR(CheckOutput(*training));
  LODESTONE_RETURN_IF_ERROR(CheckMemory(*training));
  LODESTONE_RETURN_IF_ERROR(OpenData(*training));

  const double windows = static_cast<double>(training->order->windows());
  const double epochs_steps = config.run.epochs * windows / static_cast<double>(config.run.sequences_a_step());
  training->steps = config.run.steps > 0 ? config.run.steps : std::max<int64_t>(1, std::llround(epochs_steps));

  LODESTONE_ASSIGN_OR_RETURN(Parameters parameters, Parameters::Make(training->model, training->recipe));
  LODESTONE_RETURN_IF_ERROR(parameters.Load(*weights));
  training->parameters = std::make_unique<Parameters>(std::move(parameters));
  if (config.sparsity.pattern != SparsityPattern::kNone) {
    LODESTONE_ASSIGN_OR_RETURN(training->masks, SparsityMasks::Make(*training->parameters, config.sparsity));
  }
  DifferentiatorOptions options{.recompute = config.run.recompute, .block_mask = {}};
  if (training->masks) {
    options.block_mask = [masks = &*training->masks](const WeightId& id) { return masks->Blocks(id); };
  }
  LODESTONE_ASSIGN_OR_RETURN(
      training->differentiator,
      Differentiator::Make(training->model, training->recipe, *training->parameters, threads, std::move(options)));
  LODESTONE_RETURN_IF_ERROR(OpenTeacher(*training, threads));
  return training;
}

Json Training::Settings() const {
  Json json;
  const Json shape = HuggingFaceConfig(model);
  for (const auto& [key, value] : *shape.as_object()) json.Set("model." + key, value);
  if (config.model.initial.empty()) {
    json.Set("model.seed", static_cast<int64_t>(config.model.seed));
  } else {
    json.Set("model.initial", config.model.initial);
  }
  json.Set("data", fmt::format("{} tokens, hash {:016x}", train->size(), Fingerprint(*train)));
  json.Set("run.sequence", config.run.sequence).Set("run.recipe", recipe.name);
  json.Set("micro_batch × gradient_accumulation", config.run.sequences_a_step());
  json.Set("run.seed", static_cast<int64_t>(config.run.seed));
  const OptimizerSettings& optimizer = config.optimizer;
  json.Set("optimizer.learning_rate", optimizer.learning_rate).Set("optimizer.eps", optimizer.eps);
  json.Set("optimizer.beta1", optimizer.beta1).Set("optimizer.beta2", optimizer.beta2);
  json.Set("optimizer.weight_decay", optimizer.weight_decay).Set("optimizer.clip_norm", optimizer.clip_norm);
  json.Set("schedule.kind", optimizer.cosine ? "cosine" : "constant");
  json.Set("schedule.warmup_steps", optimizer.warmup_steps);
  if (optimizer.cosine) json.Set("schedule.final_fraction", optimizer.final_fraction).Set("run.steps", steps);
  if (integers()) {
    json.Set("quantization.step_rate_factor", optimizer.step_rate_factor);
    json.Set("quantization.step_rate_steps", optimizer.step_rate_steps);
  }
  if (!config.distillation.teacher.empty()) {
    json.Set("quantization.teacher", config.distillation.teacher);
    json.Set("quantization.distillation_weight", config.distillation.weight);
    json.Set("quantization.distillation_temperature", config.distillation.temperature);
  }
  if (masks) {
    json.Set("sparsity.pattern", ToString(config.sparsity.pattern)).Set("sparsity.level", config.sparsity.level);
    json.Set("sparsity.block", config.sparsity.block_rows);
  }
  return json;
}

}  // namespace lodestone
