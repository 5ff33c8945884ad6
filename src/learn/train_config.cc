#include "learn/train_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <system_error>

#include "base/catalog.h"
#include "base/nearest.h"
#include "base/quote.h"
#include "model/recipe.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFileBytes = size_t{1} << 20;
constexpr const char* kFolder = "experiments";
constexpr const char* kKind = "training";
constexpr int64_t kMaxSteps = 1'000'000'000;
constexpr int64_t kMaxBatch = 1 << 20;
constexpr int64_t kMaxSequence = 1 << 24;
constexpr int64_t kMaxSeed = int64_t{1} << 53;  // what every TOML reader keeps exactly
constexpr size_t kMaxPaths = 100'000;

// A section of the file, read as an object of no members where it is absent.
class Section {
 public:
  Section(ObjectReader& file, std::string_view name)
      : json_(file.Optional(name)), reader_(json_ == nullptr ? kEmpty : *json_, file.file(), std::string(name)) {}

  ObjectReader* operator->() { return &reader_; }
  ObjectReader& reader() { return reader_; }

  std::vector<std::string> Texts(std::string_view key) {
    std::vector<std::string> texts;
    const Json* json = reader_.Optional(key);
    if (json == nullptr) return texts;
    const Json::Array one = {*json};
    const Json::Array* items = json->as_array() != nullptr ? json->as_array() : &one;
    if (items->size() > kMaxPaths) {
      reader_.Fail(key, fmt::format("found {} texts, expected at most {}", items->size(), kMaxPaths));
      return texts;
    }
    for (const Json& item : *items) {
      const std::string* text = item.as_string();
      if (text != nullptr && !text->empty()) {
        texts.push_back(*text);
        continue;
      }
      reader_.Fail(key, fmt::format("found {}, expected a text or a list of texts",
                                    text == nullptr ? item.TypeName() : "an empty text"));
      return {};
    }
    return texts;
  }

 private:
  static const Json kEmpty;
  const Json* json_;
  ObjectReader reader_;
};
const Json Section::kEmpty{Json::Object{}};

// The path of a directory, without a '/' at its end.
fs::path Directory(const std::string& text) {
  const fs::path path = fs::path(text).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

std::vector<fs::path> Paths(std::vector<std::string> texts) { return {texts.begin(), texts.end()}; }

Status ReadModel(ObjectReader& file, TrainConfig::Model& model) {
  Section section(file, "model");
  model.shape = section->OptionalString("shape", "");
  model.initial = section->OptionalString("initial", "");
  model.tokenizer = section->OptionalString("tokenizer", "");
  model.seed = static_cast<uint64_t>(section->OptionalInt("seed", 1, 0, kMaxSeed));
  if (model.shape.empty() == model.initial.empty()) {
    section->Fail("shape",
                  "expected either shape (a name of the catalogue or FILE.toml, weights from seed) or initial (a "
                  "model's directory to begin with)");
  }
  return section->Finish();
}

Status ReadData(ObjectReader& file, TrainConfig::Data& data) {
  Section section(file, "data");
  const std::string kind = section->OptionalString("kind", "text");
  bool known = false;
  for (const DataKind candidate : {DataKind::kText, DataKind::kTokens, DataKind::kFasta}) {
    if (kind != ToString(candidate)) continue;
    data.kind = candidate;
    known = true;
  }
  if (!known) section->Fail("kind", fmt::format("found {}, expected text, tokens or fasta", Quoted(kind)));
  data.train = Paths(section.Texts("train"));
  data.validation = Paths(section.Texts("validation"));
  data.validation_fraction = section->OptionalNumber("validation_fraction", 0, 0, 0.9);
  data.suffix = section->OptionalString("suffix", "");
  data.exclude = section.Texts("exclude");
  if (data.train.empty()) section->Fail("train", "found nothing, expected files or directories to train on");
  if (!data.validation.empty() && data.validation_fraction > 0) {
    section->Fail("validation_fraction", "found beside validation, expected one of the two");
  }
  return section->Finish();
}

Status ReadRun(ObjectReader& file, TrainConfig::Run& run) {
  Section section(file, "run");
  run.steps = section->OptionalInt("steps", 0, 1, kMaxSteps);
  run.epochs = section->OptionalNumber("epochs", 0, 1e-6, 1e6);
  if (section->Has("steps") == section->Has("epochs")) {
    section->Fail(section->Has("steps") ? "epochs" : "steps", "expected either steps or epochs");
  }
  run.sequence = static_cast<int>(section->RequireInt("sequence", 1, kMaxSequence));
  run.micro_batch = static_cast<int>(section->OptionalInt("micro_batch", 1, 1, kMaxBatch));
  run.gradient_accumulation = static_cast<int>(section->OptionalInt("gradient_accumulation", 1, 1, kMaxBatch));
  run.recipe = section->OptionalString("recipe", "f32");
  if (const Result<Recipe> recipe = ParseRecipe(run.recipe); !recipe.ok()) {
    section->Fail("recipe", recipe.error().message);
  }
  run.recompute = section->OptionalBool("recompute", false);
  run.seed = static_cast<uint64_t>(section->OptionalInt("seed", 1, 0, kMaxSeed));
  run.evaluate_every = section->OptionalInt("evaluate_every", 0, 0, kMaxSteps);
  run.evaluate_sequences = section->OptionalInt("evaluate_sequences", 64, 1, kMaxSteps);
  return section->Finish();
}

Status ReadOptimizer(ObjectReader& file, OptimizerSettings& settings) {
  Section section(file, "optimizer");
  settings.learning_rate = section->OptionalNumber("learning_rate", settings.learning_rate, 0, 1e3);
  settings.beta1 = section->OptionalNumber("beta1", settings.beta1, 0, 0.999999);
  settings.beta2 = section->OptionalNumber("beta2", settings.beta2, 0, 0.9999999);
  settings.eps = section->OptionalNumber("eps", settings.eps, 1e-30, 1);
  settings.weight_decay = section->OptionalNumber("weight_decay", settings.weight_decay, 0, 100);
  settings.clip_norm = section->OptionalNumber("clip_norm", settings.clip_norm, 0, 1e12);
  LODESTONE_RETURN_IF_ERROR(section->Finish());

  Section schedule(file, "schedule");
  const std::string kind = schedule->OptionalString("kind", "cosine");
  if (kind != "cosine" && kind != "constant") {
    schedule->Fail("kind", fmt::format("found {}, expected cosine or constant", Quoted(kind)));
  }
  settings.cosine = kind == "cosine";
  settings.warmup_steps = schedule->OptionalInt("warmup_steps", 0, 0, kMaxSteps);
  settings.final_fraction = schedule->OptionalNumber("final_fraction", settings.final_fraction, 0, 1);
  return schedule->Finish();
}

Status ReadQuantization(ObjectReader& file, TrainConfig& config) {
  Section section(file, "quantization");
  // Only a recipe with trained steps has what these rates are of; the paper's values are the default there.
  config.optimizer.step_rate_factor = section->OptionalNumber("step_rate_factor", 200, 0, 1e6);
  config.optimizer.step_rate_steps = section->OptionalInt("step_rate_steps", 250, 0, kMaxSteps);
  config.distillation.teacher = section->OptionalString("teacher", "");
  config.distillation.weight = section->OptionalNumber("distillation_weight", 0.5, 0, 1);
  config.distillation.temperature = section->OptionalNumber("distillation_temperature", 1, 0.01, 100);
  const bool distills = section->Has("distillation_weight") || section->Has("distillation_temperature");
  if (distills && config.distillation.teacher.empty()) {
    section->Fail("teacher",
                  "found nothing, expected a model's directory, since a weight or temperature of distillation "
                  "is given");
  }
  return section->Finish();
}

Status ReadCheckpoint(ObjectReader& file, TrainConfig::Checkpoint& checkpoint) {
  Section section(file, "checkpoint");
  checkpoint.directory = Directory(section->OptionalString("directory", ""));
  checkpoint.every = section->OptionalInt("every", 0, 0, kMaxSteps);
  checkpoint.keep = static_cast<int>(section->OptionalInt("keep", 2, 1, 1000));
  if (checkpoint.directory.empty() && (section->Has("every") || section->Has("keep"))) {
    section->Fail("directory", "found nothing, expected the directory of the checkpoints");
  }
  return section->Finish();
}

Status ReadSparsity(ObjectReader& file, SparsitySettings& sparsity) {
  Section section(file, "sparsity");
  const Result<SparsityPattern> pattern = ParseSparsityPattern(section->OptionalString("pattern", "none"));
  if (pattern.ok()) {
    sparsity.pattern = *pattern;
  } else {
    section->Fail("pattern", pattern.error().message);
  }
  sparsity.level = section->OptionalNumber("level", sparsity.pattern == SparsityPattern::k2of4 ? 0.5 : 0, 0, 0.999);
  const int64_t block = section->OptionalInt("block", 32, 16, 1024);
  if (block % 16 != 0) section->Fail("block", fmt::format("found {}, expected a multiple of 16", block));
  sparsity.block_rows = sparsity.block_columns = static_cast<int>(block);
  if (sparsity.pattern == SparsityPattern::kNone && sparsity.level > 0) {
    section->Fail("pattern", "found none beside a level, expected unstructured, 2:4 or tiles");
  }
  return section->Finish();
}

Status ReadOutput(ObjectReader& file, TrainConfig::Output& output) {
  Section section(file, "output");
  output.directory = Directory(section->OptionalString("directory", ""));
  output.record = section->OptionalString("record", "");
  output.report = section->OptionalString("report", "");
  return section->Finish();
}

// A value as TOML writes it; words that are no TOML are a text.
Result<Json> ReadValue(std::string_view text) {
  constexpr std::string_view kKey = "value";
  Result<Json> json = ParseToml(fmt::format("{} = {}\n", kKey, text), "--set");
  if (!json.ok()) return Json(text);
  const Json* value = json->Find(kKey);
  if (value == nullptr || json->as_object()->size() != 1) return Json(text);
  return *value;
}

}  // namespace

const char* ToString(DataKind kind) {
  switch (kind) {
    case DataKind::kText:
      return "text";
    case DataKind::kTokens:
      return "tokens";
    case DataKind::kFasta:
      return "fasta";
  }
  return "";
}

Result<TrainConfig> ParseTrainConfig(const Json& toml, const std::string& file) {
  ObjectReader reader(toml, file);
  TrainConfig config;
  if (const std::string kind = reader.RequireString("kind"); reader.status().ok() && kind != kKind) {
    reader.Fail("kind",
                fmt::format("found {}, expected \"{}\": this file is not for 'lodestone train'", Quoted(kind), kKind));
  }
  config.name = reader.OptionalString("name", fs::path(file).stem().string());
  config.description = reader.OptionalString("description", "");
  LODESTONE_RETURN_IF_ERROR(reader.status());
  LODESTONE_RETURN_IF_ERROR(ReadModel(reader, config.model));
  LODESTONE_RETURN_IF_ERROR(ReadData(reader, config.data));
  LODESTONE_RETURN_IF_ERROR(ReadRun(reader, config.run));
  LODESTONE_RETURN_IF_ERROR(ReadOptimizer(reader, config.optimizer));
  LODESTONE_RETURN_IF_ERROR(ReadQuantization(reader, config));
  LODESTONE_RETURN_IF_ERROR(ReadCheckpoint(reader, config.checkpoint));
  LODESTONE_RETURN_IF_ERROR(ReadSparsity(reader, config.sparsity));
  LODESTONE_RETURN_IF_ERROR(ReadOutput(reader, config.output));
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  return config;
}

Status SetTrainOption(Json& toml, std::string_view assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return Invalid(fmt::format("--set {}: expected KEY=VALUE, such as run.steps=200", Quoted(assignment)));
  }
  const std::string_view key = assignment.substr(0, equals);
  const size_t dot = key.find('.');
  LODESTONE_ASSIGN_OR_RETURN(Json value, ReadValue(assignment.substr(equals + 1)));
  value.line = 0;
  if (dot == std::string_view::npos) {
    toml.Set(std::string(key), std::move(value));
    return {};
  }
  const std::string section(key.substr(0, dot)), name(key.substr(dot + 1));
  Json members = toml.Find(section) == nullptr ? Json(Json::Object{}) : *toml.Find(section);
  if (members.as_object() == nullptr || name.empty()) {
    return Invalid(fmt::format("--set {}: {} is no section with keys", Quoted(assignment), Quoted(section)));
  }
  members.Set(name, std::move(value));
  toml.Set(section, std::move(members));
  return {};
}

Result<TrainConfig> LoadTrainConfig(const std::string& name_or_path, std::span<const std::string> options) {
  const auto parse = [&options](Json json, const std::string& file) -> Result<TrainConfig> {
    for (const std::string& option : options) LODESTONE_RETURN_IF_ERROR(SetTrainOption(json, option));
    Result<TrainConfig> config = ParseTrainConfig(json, file);
    if (config.ok() || options.empty()) return config;
    // The file's line may be innocent.
    return Error{config.error().code,
                 fmt::format("{} (with --set {})", config.error().message, fmt::join(options, " --set "))};
  };
  std::error_code ignored;
  // A directory of that name may be what an earlier run left: the same command then goes on with it.
  if (fs::exists(name_or_path, ignored) && !fs::is_directory(name_or_path, ignored)) {
    LODESTONE_ASSIGN_OR_RETURN(Json json, ReadTomlFile(name_or_path, kMaxFileBytes));
    return parse(std::move(json), name_or_path);
  }
  std::vector<std::string> names;
  for (const CatalogFile& file : CatalogFilesIn(kFolder)) {
    const std::string name = fmt::format("catalog/{}", file.path);
    LODESTONE_ASSIGN_OR_RETURN(Json json, ParseToml(file.contents, name));
    if (file.stem() == name_or_path) return parse(std::move(json), name);
    const Json* kind = json.Find("kind");
    if (kind != nullptr && kind->as_string() != nullptr && *kind->as_string() == kKind) names.emplace_back(file.stem());
  }
  const std::optional<std::string> nearest = Nearest(name_or_path, names);
  return NotFound(fmt::format("no training file {}: neither a file nor one of the catalogue, which has {}{}",
                              Quoted(name_or_path), fmt::join(names, ", "),
                              nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
}

}  // namespace lodestone
