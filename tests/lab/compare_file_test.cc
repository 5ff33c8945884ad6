#include <gtest/gtest.h>

#include "base/catalog.h"
#include "base/file.h"
#include "fixtures.h"
#include "hardware/machine.h"
#include "lab/compare/compare.h"

extern "C" int FuzzCompare(const uint8_t* data, size_t size);

namespace lodestone::testing {
namespace {

constexpr const char* kHead =
    "kind = \"compare\"\nname = \"c\"\n[workload]\nmodel = \"tiny-4l\"\nrecipe = \"w8a8\"\nbatch = [1, 8]\n"
    "prompt_tokens = 16\noutput_tokens = 8\n";  // eight lines

Result<Comparison> Parse(const std::string& text) {
  const Result<Json> toml = ParseToml(text, "c.toml");
  if (!toml.ok()) return toml.error();
  return ParseComparison(*toml, "c.toml");
}

TEST(CompareFile, ReadsEveryKindOfTarget) {
  const Result<Comparison> comparison =
      Parse(std::string(kHead) +
            "[[published]]\nshape = \"any\"\nbatch = \"any\"\nsource = [\"a\", \"b\"]\n"
            "[[estimated]]\nhardware = [\"a100-40gb\", \"./x.toml\"]\n"
            "recipe = [\"w8a8\", \"w4a16\"]\ndevices = 4\nstack = \"vllm\"\n"
            "[[simulated]]\nappliance = \"northpole-16\"\nbatch = 3\nlabel = \"np\"\n"
            "[[measured]]\nthreads = 2\n");
  ASSERT_TRUE(comparison.ok()) << comparison.error().message;
  ASSERT_EQ(comparison->targets.size(), 1u + 1 + 4 + 1);
  const auto* measured = std::get_if<MeasuredTarget>(&comparison->targets[0].what);
  ASSERT_NE(measured, nullptr);
  EXPECT_EQ(measured->model, "random:tiny-4l");
  EXPECT_EQ(measured->threads, 2);
  EXPECT_EQ(comparison->targets[0].batches, (std::vector<int>{1, 8}));
  const auto* simulated = std::get_if<SimulatedTarget>(&comparison->targets[1].what);
  ASSERT_NE(simulated, nullptr);
  EXPECT_EQ(comparison->targets[1].batches, std::vector<int>{3});
  EXPECT_EQ(comparison->targets[1].label, "np");
  const auto* estimated = std::get_if<EstimatedTarget>(&comparison->targets[5].what);
  ASSERT_NE(estimated, nullptr);
  EXPECT_EQ(estimated->machine, "./x.toml");
  EXPECT_EQ(estimated->parallelism.tensor, 4);
  EXPECT_EQ(comparison->targets[5].recipe, "w4a16");
  const auto* query = std::get_if<PublishedQuery>(&comparison->targets[6].what);
  ASSERT_NE(query, nullptr);
  EXPECT_TRUE(query->any_batch);
  EXPECT_FALSE(query->any_tokens);
  EXPECT_TRUE(query->shapes.empty());
  EXPECT_EQ(query->sources, (std::vector<std::string>{"a", "b"}));
}

TEST(CompareFile, AllIsEveryMachineOfTheCatalogue) {
  const Result<Comparison> comparison = Parse(std::string(kHead) + "[[estimated]]\nhardware = \"all\"\n");
  ASSERT_TRUE(comparison.ok()) << comparison.error().message;
  ASSERT_TRUE(CatalogMachines().ok());
  EXPECT_EQ(comparison->targets.size(), CatalogMachines()->size());
  EXPECT_GE(comparison->targets.size(), 40u);
}

TEST(CompareFile, PublishedRowsAreOfTheWorkloadUnlessTheFileSaysOtherwise) {
  const Result<Comparison> comparison = Parse(std::string(kHead) + "[[published]]\n");
  ASSERT_TRUE(comparison.ok()) << comparison.error().message;
  const auto& query = std::get<PublishedQuery>(comparison->targets[0].what);
  EXPECT_EQ(query.shapes, std::vector<std::string>{"tiny-4l"});
  EXPECT_FALSE(query.any_batch || query.any_tokens);
}

TEST(CompareFile, RefusesWithKeyAndLine) {
  const std::string head = kHead;
  const struct {
    std::string text, says;
  } cases[] = {
      {"kind = \"sweep\"\n", "c.toml:1: key 'kind': found 'sweep', expected 'compare'"},
      {head, "no target"},
      {head + "colour = 1\n[[published]]\n", "key 'workload.colour'"},
      {"kind = \"compare\"\nname = \"c\"\n[[published]]\n", "key 'workload': found nothing, expected a table"},
      {head + "[[published]]\nbatches = 1\n", "c.toml:10: key 'published.batches'"},
      {head + "[[published]]\nbatches = 1\n", "expected one of batch, tokens, source, machine, shape, recipe, stack"},
      {head + "[[published]]\nshape = 3\n", "c.toml:10: key 'published.shape': found an integer"},
      {head + "[[published]]\ntokens = \"all\"\n", "c.toml:10: key 'published.tokens': found 'all', expected one of"},
      {head + "[published]\n", "expected tables [[published]]"},
      {head + "[[estimated]]\n", "key 'estimated.hardware'"},
      {head + "[[estimated]]\nhardware = []\n", "c.toml:10: key 'estimated.hardware': found 0 values"},
      {head + "[[estimated]]\nhardware = \"a100-40g\"\n", "did you mean 'a100-40gb'"},
      {head + "[[estimated]]\nhardware = \"all\"\nlevel = \"best\"\n", "c.toml:11: key 'estimated.level'"},
      {head + "[[estimated]]\nhardware = \"all\"\ncalibrate_on = \"rows.json\"\n",
       "c.toml:11: key 'estimated.calibrate_on'"},
      {head + "[[estimated]]\nhardware = \"all\"\nwith = \"magic=2\"\n", "c.toml:11: key 'estimated.with'"},
      {head + "[[estimated]]\nhardware = \"all\"\ndevices = 4\npipeline_parallel = 2\n", "key 'estimated.devices'"},
      {head + "[[estimated]]\nhardware = \"all\"\nrecipe = \"w3a3\"\n", "c.toml:11: key 'estimated.recipe'"},
      {head + "[[estimated]]\nhardware = \"all\"\nbatch = [1, 1]\n", "c.toml:11: key 'estimated.batch': found 1 twice"},
      {head + "[[estimated]]\nhardware = \"all\"\nbatch = [0]\n", "c.toml:11: key 'estimated.batch': found 0"},
      {head + "[[simulated]]\n", "key 'simulated.appliance'"},
      {head + "[[simulated]]\nappliance = \"northpole-16\"\nfidelity = \"high\"\n", "key 'simulated.fidelity'"},
      {head + "[[measured]]\nthreads = 0\n", "c.toml:10: key 'measured.threads'"},
      {head + "[[measured]]\nlabel = \"a\\nb\"\n", "c.toml:10: key 'measured.label'"},
  };
  for (const auto& [text, says] : cases) {
    const Result<Comparison> comparison = Parse(text);
    ASSERT_FALSE(comparison.ok()) << text;
    EXPECT_NE(comparison.error().message.find(says), std::string::npos) << comparison.error().message << "\n" << text;
  }
}

TEST(CompareFile, BoundsTargets) {
  std::string text = kHead;
  for (int i = 0; i < 200; ++i) text += "[[estimated]]\nhardware = \"all\"\n";
  const Result<Comparison> comparison = Parse(text);
  ASSERT_FALSE(comparison.ok());
  EXPECT_NE(comparison.error().message.find("more than 500 targets"), std::string::npos);
}

TEST(CompareFile, TheCatalogueLoadsAndUnknownNamesAreHelped) {
  int found = 0;
  for (const CatalogFile& file : CatalogFilesIn("experiments")) {
    if (!file.stem().starts_with("compare-")) continue;
    const Result<Comparison> comparison = LoadComparison(std::string(file.stem()));
    EXPECT_TRUE(comparison.ok()) << comparison.error().message;
    ++found;
  }
  EXPECT_GE(found, 2);
  const Result<Comparison> unknown = LoadComparison("compare-surve");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message.find("did you mean 'compare-survey'"), std::string::npos)
      << unknown.error().message;
}

TEST(CompareFile, ReplaysTheFuzzCorpus) {
  int files = 0;
  const std::filesystem::path corpus = std::filesystem::path(LODESTONE_SOURCE_DIR) / "tests/fuzz/corpus/compare";
  for (const auto& entry : std::filesystem::directory_iterator(corpus)) {
    SCOPED_TRACE(entry.path().string());
    const Result<std::string> text = ReadFile(entry.path(), 1 << 20);
    ASSERT_TRUE(text.ok());
    EXPECT_EQ(FuzzCompare(reinterpret_cast<const uint8_t*>(text->data()), text->size()), 0);
    const std::string name = entry.path().stem();
    EXPECT_EQ(Parse(*text).ok(), name == "every_key" || name == "northpole") << name;
    ++files;
  }
  EXPECT_GE(files, 6);
}

}  // namespace
}  // namespace lodestone::testing
