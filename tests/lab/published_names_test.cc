// The names by which published rows speak of the catalogue are names of the catalogue.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "hardware/hardware_catalog.h"
#include "hardware/machine.h"
#include "model/config.h"
#include "model/recipe.h"
#include "plan/methods.h"
#include "report/published_rows.h"

namespace lodestone {
namespace {

// Each word of the column, with the place of the first row that has it.
std::map<std::string, std::string> WordsOf(std::string PublishedRow::*column) {
  std::map<std::string, std::string> words;
  const auto rows = CatalogPublishedRows();
  EXPECT_TRUE(rows.ok()) << rows.error().message;
  if (!rows.ok()) return words;
  for (const PublishedRow& row : *rows) {
    if (!(row.*column).empty()) words.try_emplace(row.*column, row.file + ":" + std::to_string(row.line));
  }
  EXPECT_FALSE(words.empty());
  return words;
}

TEST(PublishedNames, MachinesAreOfTheCatalogue) {
  const auto machines = CatalogMachines();
  ASSERT_TRUE(machines.ok()) << machines.error().message;
  const auto appliances = CatalogAppliances();
  ASSERT_TRUE(appliances.ok()) << appliances.error().message;
  std::set<std::string> known;
  for (const Machine& machine : *machines) known.insert(machine.name);
  for (const ApplianceSpec& appliance : *appliances) known.insert(appliance.name);
  for (const auto& [name, place] : WordsOf(&PublishedRow::machine)) {
    EXPECT_TRUE(known.contains(name)) << place << ": " << name;
  }
}

TEST(PublishedNames, ShapesAreOfTheCatalogue) {
  for (const auto& [name, place] : WordsOf(&PublishedRow::shape)) {
    const auto config = LoadModelConfig(name);
    EXPECT_TRUE(config.ok()) << place << ": " << (config.ok() ? "" : config.error().message);
  }
}

TEST(PublishedNames, RecipesCanBeRead) {
  for (const auto& [name, place] : WordsOf(&PublishedRow::recipe)) {
    const auto recipe = ParseRecipe(name);
    EXPECT_TRUE(recipe.ok()) << place << ": " << (recipe.ok() ? "" : recipe.error().message);
  }
}

TEST(PublishedNames, MethodsOfRowsWithoutACautionCanBeRead) {
  const auto rows = CatalogPublishedRows();
  ASSERT_TRUE(rows.ok()) << rows.error().message;
  int methods = 0;
  for (const PublishedRow& row : *rows) {
    if (row.method.empty() || !row.caution.empty()) continue;
    ++methods;
    const auto method = ParseMethods({row.method});
    EXPECT_TRUE(method.ok()) << row.file << ":" << row.line << ": " << (method.ok() ? "" : method.error().message);
  }
  EXPECT_GT(methods, 0);
}

// What fits and comparisons join rows by.
TEST(PublishedNames, RowsOfAMachineSayHowMuchTheyComputed) {
  const auto rows = CatalogPublishedRows();
  ASSERT_TRUE(rows.ok()) << rows.error().message;
  const std::set<std::string> total = {"total_throughput", "latency", "ttft"};
  for (const PublishedRow& row : *rows) {
    if (!total.contains(row.metric)) continue;
    EXPECT_GT(row.batch, 0) << row.file << ":" << row.line;
    EXPECT_GT(row.prompt_tokens, 0) << row.file << ":" << row.line;
    EXPECT_GT(row.output_tokens, 0) << row.file << ":" << row.line;
    EXPECT_GT(row.devices, 0) << row.file << ":" << row.line;
  }
}

// Every generated token of a dense model reads its weights at least once a batch: figures that would need more than the
// bandwidth of the data sheet are faults of the document, and have a caution.
TEST(PublishedNames, RowsWithoutACautionReadWeightsNoFasterThanTheMemory) {
  const auto rows = CatalogPublishedRows();
  ASSERT_TRUE(rows.ok()) << rows.error().message;
  const auto machines = CatalogMachines();
  ASSERT_TRUE(machines.ok()) << machines.error().message;
  std::map<std::string, double> bandwidth, weights;
  for (const Machine& machine : *machines) {
    if (machine.main_memory().bytes_per_s) bandwidth[machine.name] = machine.main_memory().bytes_per_s->value;
  }
  int checked = 0;
  for (const PublishedRow& row : *rows) {
    if (!row.caution.empty() || row.metric != "total_throughput" || row.recipe != "bf16" || row.shape.empty() ||
        row.shape == "mixtral-8x7b" || !bandwidth.contains(row.machine)) {
      continue;
    }
    if (!weights.contains(row.shape)) {
      const ModelConfig config = *LoadModelConfig(row.shape);
      weights[row.shape] = 2.0 * static_cast<double>(ParameterCount(config) - int64_t{config.vocab} * config.hidden);
    }
    const double seconds = static_cast<double>(row.batch * (row.prompt_tokens + row.output_tokens)) / row.value;
    const double read = weights[row.shape] * static_cast<double>(row.output_tokens) / row.devices / seconds;
    EXPECT_LT(read, bandwidth[row.machine]) << row.file << ":" << row.line;
    ++checked;
  }
  EXPECT_GT(checked, 1500);
}

}  // namespace
}  // namespace lodestone
