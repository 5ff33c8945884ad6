// Reads the file of a comparison.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/nearest.h"
#include "base/quote.h"
#include "hardware/machine.h"
#include "lab/compare/compare.h"
#include "lab/experiment_file.h"
#include "model/recipe.h"
#include "plan/placement.h"

namespace lodestone {
namespace {

constexpr size_t kMaxTextBytes = 4000, kMaxWordBytes = 200, kMaxWords = 200;
constexpr int64_t kMaxBatch = kMaxPlacedUsers;
constexpr const char* kKind = "compare";
constexpr std::string_view kAny = "any", kAll = "all";

// A text of one line; `fallback` where the key is absent.
std::string ReadText(ObjectReader& reader, std::string_view key, size_t max_bytes, const std::string& fallback) {
  if (reader.Optional(key) == nullptr) return fallback;
  std::string text = reader.RequireString(key);
  const bool control = std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 32 || c == 127; });
  if (text.empty() || control || text.size() > max_bytes) {
    reader.Fail(key,
                fmt::format("found {}, expected a text of one line and at most {} bytes", Quoted(text), max_bytes));
  }
  return text;
}

std::string RequireText(ObjectReader& reader, std::string_view key, size_t max_bytes) {
  if (!reader.Has(key)) return reader.RequireString(key);
  return ReadText(reader, key, max_bytes, "");
}

// A string, or a list of strings; empty where the key is absent.
std::vector<std::string> ReadWords(ObjectReader& reader, std::string_view key) {
  std::vector<std::string> words;
  const Json* json = reader.Optional(key);
  if (json == nullptr) return words;
  const Json::Array one{*json};
  const Json::Array* list = json->as_array() != nullptr ? json->as_array() : &one;
  if (list->empty() || list->size() > kMaxWords) {
    reader.Fail(key, fmt::format("found {} values, expected 1 to {}", list->size(), kMaxWords));
    return words;
  }
  for (const Json& item : *list) {
    const std::string* word = item.as_string();
    if (word == nullptr || word->empty() || word->size() > kMaxWordBytes) {
      reader.Fail(key, fmt::format("found {}, expected a string of 1 to {} bytes, or a list of them",
                                   word == nullptr ? std::string(item.TypeName()) : Quoted(*word, 40), kMaxWordBytes));
      return {};
    }
    words.push_back(*word);
  }
  return words;
}

std::vector<int> ReadBatches(ObjectReader& reader, const std::vector<int>& fallback) {
  constexpr const char* kKey = "batch";
  const Json* json = reader.Optional(kKey);
  if (json == nullptr) return fallback;
  std::vector<int> batches;
  const Json::Array one{*json};
  const Json::Array* list = json->as_array() != nullptr ? json->as_array() : &one;
  if (list->empty() || list->size() > kMaxCompareBatches) {
    reader.Fail(kKey, fmt::format("found {} values, expected 1 to {}", list->size(), kMaxCompareBatches));
    return fallback;
  }
  for (const Json& item : *list) {
    const int64_t* batch = item.as_int();
    if (batch == nullptr || *batch < 1 || *batch > kMaxBatch) {
      reader.Fail(kKey,
                  fmt::format("found {}, expected whole numbers from 1 to {}",
                              batch == nullptr ? std::string(item.TypeName()) : fmt::format("{}", *batch), kMaxBatch));
      return fallback;
    }
    if (std::find(batches.begin(), batches.end(), *batch) != batches.end()) {
      reader.Fail(kKey, fmt::format("found {} twice", *batch));
      return fallback;
    }
    batches.push_back(static_cast<int>(*batch));
  }
  return batches;
}

// One of several words; `words[0]` where the key is absent.
template <size_t kCount>
size_t ReadChoice(ObjectReader& reader, std::string_view key, const std::string_view (&words)[kCount]) {
  if (reader.Optional(key) == nullptr) return 0;
  const std::string word = reader.RequireString(key);
  const auto found = std::find(std::begin(words), std::end(words), word);
  if (found != std::end(words)) return static_cast<size_t>(found - std::begin(words));
  reader.Fail(key, fmt::format("found {}, expected one of {}", Quoted(word), fmt::join(words, ", ")));
  return 0;
}

std::optional<int> ReadCount(ObjectReader& reader, std::string_view key, int64_t most) {
  if (reader.Optional(key) == nullptr) return {};
  return static_cast<int>(reader.RequireInt(key, 1, most));
}

Status CheckRecipe(ObjectReader& reader, std::string_view key, const std::string& recipe) {
  const Result<Recipe> parsed = ParseRecipe(recipe);
  if (!parsed.ok()) reader.Fail(key, parsed.error().message);
  return reader.status();
}

// "all" as the names that it stands for; every other word is checked.
Result<std::vector<std::string>> MachinesOf(ObjectReader& reader, std::string_view key,
                                            const std::vector<std::string>& words) {
  LODESTONE_RETURN_IF_ERROR(CatalogMachines().status());
  std::vector<std::string> names;
  for (const Machine& machine : *CatalogMachines()) names.push_back(machine.name);
  if (words.size() == 1 && words[0] == kAll) return names;
  for (const std::string& word : words) {
    if (word == kThisHost || IsFilePath(word) || std::find(names.begin(), names.end(), word) != names.end()) continue;
    const std::optional<std::string> nearest = Nearest(word, names);
    reader.Fail(key,
                fmt::format("found {}{}, expected machines that 'lodestone hardware' lists, TOML files, or \"all\"",
                            Quoted(word), nearest ? fmt::format(" (did you mean '{}'?)", *nearest) : ""));
    return reader.status().error();
  }
  return words;
}

// What every target may have.
CompareTarget ReadCommon(ObjectReader& reader, const CompareWorkload& workload) {
  return {.label = ReadText(reader, "label", kMaxWordBytes, ""),
          .recipe = workload.recipe,
          .batches = ReadBatches(reader, workload.batches),
          .what = {}};
}

// One target for each recipe that the table lists, or for the workload's.
Status AddForRecipes(ObjectReader& reader, CompareTarget target, std::vector<CompareTarget>& targets) {
  std::vector<std::string> recipes = ReadWords(reader, "recipe");
  for (const std::string& recipe : recipes) LODESTONE_RETURN_IF_ERROR(CheckRecipe(reader, "recipe", recipe));
  if (recipes.empty()) recipes.push_back(target.recipe);
  for (const std::string& recipe : recipes) {
    target.recipe = recipe;
    targets.push_back(target);
  }
  return {};
}

Status ReadMeasured(ObjectReader& reader, const CompareWorkload& workload, std::vector<CompareTarget>& targets) {
  CompareTarget target = ReadCommon(reader, workload);
  MeasuredTarget what;
  what.model = ReadText(reader, "model", kMaxTextBytes, "random:" + workload.model);
  if (reader.Optional("threads") != nullptr) what.threads = reader.RequireInt("threads", 1, 1024);
  target.what = std::move(what);
  return AddForRecipes(reader, std::move(target), targets);
}

Status ReadSimulated(ObjectReader& reader, const CompareWorkload& workload, std::vector<CompareTarget>& targets) {
  CompareTarget target = ReadCommon(reader, workload);
  SimulatedTarget what;
  what.appliance = RequireText(reader, "appliance", kMaxTextBytes);
  what.fidelity =
      ReadChoice(reader, "fidelity", {"calibrated", "ideal"}) == 0 ? Fidelity::kCalibrated : Fidelity::kIdeal;
  what.through_host = ReadChoice(reader, "transfers", {"direct", "host"}) == 1;
  what.micro_batches = ReadCount(reader, "micro_batches", kMaxBatch);
  what.prefill_chunk = ReadCount(reader, "prefill_chunk", kMaxPlacedRows).value_or(what.prefill_chunk);
  target.what = std::move(what);
  return AddForRecipes(reader, std::move(target), targets);
}

Status ReadEstimated(ObjectReader& reader, const CompareWorkload& workload, std::vector<CompareTarget>& targets) {
  constexpr int64_t kMostDevices = 1 << 16;
  CompareTarget target = ReadCommon(reader, workload);
  EstimatedTarget what;
  if (!reader.Has("hardware")) reader.RequireString("hardware");
  const std::vector<std::string> hardware = ReadWords(reader, "hardware");
  LODESTONE_RETURN_IF_ERROR(reader.status());
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<std::string> machines, MachinesOf(reader, "hardware", hardware));
  what.stack = ReadText(reader, "stack", kMaxWordBytes, "");
  what.level =
      ReadChoice(reader, "level", {"calibrated", "ideal"}) == 0 ? EstimateLevel::kCalibrated : EstimateLevel::kIdeal;
  what.calibrate_on = ReadText(reader, "calibrate_on", kMaxTextBytes, "");
  if (!what.calibrate_on.empty() && machines != std::vector<std::string>{std::string(kThisHost)}) {
    reader.Fail("calibrate_on", "stands beside other hardware than \"this-host\", which alone it describes");
  }
  const std::optional<int> devices = ReadCount(reader, "devices", kMostDevices);
  what.parallelism.tensor = ReadCount(reader, "tensor_parallel", kMostDevices).value_or(1);
  what.parallelism.pipeline = ReadCount(reader, "pipeline_parallel", kMostDevices).value_or(1);
  what.parallelism.data = ReadCount(reader, "data_parallel", kMostDevices).value_or(1);
  what.parallelism.expert = ReadCount(reader, "expert_parallel", kMostDevices).value_or(1);
  if (devices && what.parallelism == Parallelism{}) what.parallelism.tensor = *devices;
  if (devices && *devices != what.parallelism.devices()) {
    reader.Fail("devices", fmt::format("found {}, but {} are {} devices: leave one of them out", *devices,
                                       ToString(what.parallelism), what.parallelism.devices()));
  }
  what.methods = ReadWords(reader, "with");
  if (const Result<Methods> methods = ParseMethods(what.methods); !methods.ok()) {
    reader.Fail("with", methods.error().message);
  }
  what.prefill_chunk = ReadCount(reader, "prefill_chunk", kMaxPlacedRows);
  for (const std::string& machine : machines) {
    what.machine = machine;
    target.what = what;
    LODESTONE_RETURN_IF_ERROR(AddForRecipes(reader, target, targets));
    if (targets.size() > kMaxCompareTargets) break;  // refused by the caller
  }
  return reader.status();
}

// A filter: the words of the key, `fallback` where it is absent, none for "any".
std::vector<std::string> ReadFilter(ObjectReader& reader, std::string_view key, std::vector<std::string> fallback) {
  if (reader.Optional(key) == nullptr) return fallback;
  std::vector<std::string> words = ReadWords(reader, key);
  if (words.size() == 1 && words[0] == kAny) words.clear();
  return words;
}

Status ReadPublished(ObjectReader& reader, const CompareWorkload& workload, std::vector<CompareTarget>& targets) {
  PublishedQuery query;
  const Json* batch = reader.Optional("batch");
  query.any_batch = batch != nullptr && batch->as_string() != nullptr && *batch->as_string() == kAny;
  CompareTarget target{.label = "", .recipe = "", .batches = workload.batches, .what = {}};
  if (!query.any_batch) target.batches = ReadBatches(reader, workload.batches);
  query.any_tokens = ReadChoice(reader, "tokens", {"workload", "any"}) == 1;
  query.sources = ReadFilter(reader, "source", {});
  query.machines = ReadFilter(reader, "machine", {});
  query.shapes = ReadFilter(reader, "shape", {workload.model});
  query.recipes = ReadFilter(reader, "recipe", {});
  query.stacks = ReadFilter(reader, "stack", {});
  target.what = std::move(query);
  targets.push_back(std::move(target));
  return {};
}

using ReadTarget = Status (*)(ObjectReader&, const CompareWorkload&, std::vector<CompareTarget>&);

// The tables [[key]], if there are any.
Status ReadTargets(ObjectReader& parent, const char* key, ReadTarget read, const CompareWorkload& workload,
                   std::vector<CompareTarget>& targets) {
  const Json* json = parent.Optional(key);
  if (json == nullptr) return {};
  const Json::Array* tables = json->as_array();
  if (tables == nullptr) {
    parent.Fail(key, fmt::format("found {}, expected tables [[{}]]", json->TypeName(), key));
    return parent.status();
  }
  for (const Json& table : *tables) {
    if (table.as_object() == nullptr) {
      parent.Fail(key, fmt::format("found {} in the list, expected tables [[{}]]", table.TypeName(), key));
      return parent.status();
    }
    ObjectReader reader(table, parent.file(), key);
    LODESTONE_RETURN_IF_ERROR(read(reader, workload, targets));
    LODESTONE_RETURN_IF_ERROR(reader.Finish());
    if (targets.size() > kMaxCompareTargets) {
      parent.Fail(key, fmt::format("more than {} targets", kMaxCompareTargets));
      return parent.status();
    }
  }
  return {};
}

Result<CompareWorkload> ReadWorkload(ObjectReader& parent) {
  CompareWorkload workload;
  const Json* json = parent.Optional("workload");
  if (json == nullptr) {
    parent.Fail("workload", "found nothing, expected a table: [workload]", ErrorCode::kNotFound);
    return parent.status().error();
  }
  if (json->as_object() == nullptr) {
    parent.Fail("workload", fmt::format("found {}, expected a table", json->TypeName()));
    return parent.status().error();
  }
  ObjectReader reader(*json, parent.file(), "workload");
  workload.model = RequireText(reader, "model", kMaxTextBytes);
  if (const Json* model = reader.Optional("model")) workload.model_line = model->line;
  workload.recipe = RequireText(reader, "recipe", kMaxWordBytes);
  LODESTONE_RETURN_IF_ERROR(reader.status());
  LODESTONE_RETURN_IF_ERROR(CheckRecipe(reader, "recipe", workload.recipe));
  workload.batches = ReadBatches(reader, {1});
  workload.prompt_tokens = reader.RequireInt("prompt_tokens", 1, kMaxPlacedContext);
  workload.output_tokens = reader.RequireInt("output_tokens", 1, kMaxPlacedContext);
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  return workload;
}

}  // namespace

Result<Comparison> ParseComparison(const Json& toml, const std::string& file) {
  ObjectReader reader(toml, file);
  const std::string kind = reader.RequireString("kind");
  if (kind != kKind) reader.Fail("kind", fmt::format("found {}, expected '{}'", Quoted(kind), kKind));
  LODESTONE_RETURN_IF_ERROR(reader.status());
  Comparison comparison;
  comparison.file = file;
  comparison.name = RequireText(reader, "name", kMaxWordBytes);
  comparison.description = ReadText(reader, "description", kMaxTextBytes, "");
  LODESTONE_ASSIGN_OR_RETURN(comparison.workload, ReadWorkload(reader));
  constexpr std::pair<const char*, ReadTarget> kTargets[] = {{"measured", ReadMeasured},
                                                             {"simulated", ReadSimulated},
                                                             {"estimated", ReadEstimated},
                                                             {"published", ReadPublished}};
  for (const auto& [key, read] : kTargets) {
    LODESTONE_RETURN_IF_ERROR(ReadTargets(reader, key, read, comparison.workload, comparison.targets));
  }
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  if (comparison.targets.empty()) {
    return Invalid(
        fmt::format("{}: no target, expected at least one table [[measured]], [[simulated]], [[estimated]] "
                    "or [[published]]",
                    file));
  }
  return comparison;
}

Result<Comparison> LoadComparison(const std::string& name_or_path) {
  LODESTONE_ASSIGN_OR_RETURN(const ExperimentFile found, FindExperiment(kKind, "comparison", name_or_path));
  return ParseComparison(found.json, found.file);
}

}  // namespace lodestone
