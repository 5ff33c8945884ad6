#include <gtest/gtest.h>

#include <filesystem>

#include "base/temporary_folder.h"
#include "model/safetensors.h"
#include "model/safetensors_builder.h"

namespace lodestone {
namespace {

using testing::SafetensorsBuilder;
using testing::TemporaryFolder;

constexpr const char* kIndex = "model.safetensors.index.json";

std::string ErrorOf(const TemporaryFolder& folder) {
  const auto model = SafetensorsModel::Open(folder.path().string());
  return model.ok() ? "accepted" : model.error().message;
}

void ExpectRefused(const std::string& message, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) {
    EXPECT_NE(message.find(part), std::string::npos) << "expected '" << part << "' in: " << message;
  }
}

class ShardedModelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_.Write("model-00001-of-00002.safetensors",
                  SafetensorsBuilder().AddF32("b", {1}, {2}).AddF32("a", {2}, {1, 3}).Build());
    folder_.Write("model-00002-of-00002.safetensors", SafetensorsBuilder().AddF32("c", {1}, {4}).Build());
  }
  void WriteIndex(std::string_view weight_map) {
    folder_.Write(kIndex, fmt::format("{{\"metadata\":{{\"total_size\":16}},\"weight_map\":{}}}", weight_map));
  }
  TemporaryFolder folder_;
};

TEST_F(ShardedModelTest, ReadsAllShardsSortedByName) {
  WriteIndex(R"({"a":"model-00001-of-00002.safetensors","b":"model-00001-of-00002.safetensors",)"
             R"("c":"model-00002-of-00002.safetensors"})");
  const auto model = SafetensorsModel::Open(folder_.path().string());
  ASSERT_TRUE(model.ok()) << model.error().message;
  ASSERT_EQ(model->tensors().size(), 3u);
  EXPECT_EQ(model->tensors()[0].name, "a");
  EXPECT_EQ(model->tensors()[2].name, "c");
  EXPECT_EQ(model->description(), "2 shards of model.safetensors.index.json");
  ASSERT_NE(model->Find("c"), nullptr);
  EXPECT_EQ(model->Find("d"), nullptr);
  float value = 0;
  ReadValues(*model->Find("c"), 0, {&value, 1});
  EXPECT_EQ(value, 4);
}

TEST_F(ShardedModelTest, RefusesAMissingShard) {
  WriteIndex(R"({"a":"model-00001-of-00002.safetensors","c":"model-00003-of-00003.safetensors"})");
  ExpectRefused(ErrorOf(folder_), {"model-00003-of-00003.safetensors"});
}

TEST_F(ShardedModelTest, RefusesATensorThatIsNotWhereTheIndexSays) {
  WriteIndex(R"({"a":"model-00002-of-00002.safetensors","c":"model-00001-of-00002.safetensors"})");
  ExpectRefused(ErrorOf(folder_), {kIndex, "'a'", "not in model-00002-of-00002.safetensors"});
  WriteIndex(R"({"z":"model-00002-of-00002.safetensors"})");
  ExpectRefused(ErrorOf(folder_), {"'z'"});
}

TEST_F(ShardedModelTest, RefusesATensorInTwoShards) {
  folder_.Write("model-00002-of-00002.safetensors", SafetensorsBuilder().AddF32("a", {1}, {4}).Build());
  WriteIndex(R"({"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"})");
  ExpectRefused(ErrorOf(folder_), {"'a'", "both", "model-00001-of-00002", "model-00002-of-00002"});
}

TEST_F(ShardedModelTest, RefusesShardsOutsideTheDirectory) {
  for (const char* name : {"../x.safetensors", "/x.safetensors", "a/b.safetensors", "..", ""}) {
    WriteIndex(fmt::format(R"({{"a":"{}"}})", name));
    ExpectRefused(ErrorOf(folder_), {kIndex, "'a'", "same directory"});
  }
  WriteIndex(R"({"a":3})");
  ExpectRefused(ErrorOf(folder_), {kIndex, "'a'", "3"});
}

TEST_F(ShardedModelTest, RefusesABrokenIndex) {
  folder_.Write(kIndex, "{\n\"weight_map\": {\n");
  ExpectRefused(ErrorOf(folder_), {std::string(kIndex) + ":"});
  folder_.Write(kIndex, "{}");
  ExpectRefused(ErrorOf(folder_), {kIndex, "weight_map"});
  WriteIndex("{}");
  ExpectRefused(ErrorOf(folder_), {kIndex, "weight_map"});
}

TEST(SafetensorsModelTest, OneFileWinsOverAnIndex) {
  TemporaryFolder folder;
  folder.Write("model.safetensors", SafetensorsBuilder().AddF32("w", {1}, {7}).Build());
  folder.Write(kIndex, "not read");
  const auto model = SafetensorsModel::Open(folder.path().string());
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->description(), "model.safetensors");
}

TEST(SafetensorsModelTest, SaysWhatADirectoryWithoutWeightsHolds) {
  TemporaryFolder folder;
  ExpectRefused(ErrorOf(folder), {folder.path().string(), "no weights", "model.safetensors"});
  folder.Write("pytorch_model.bin", "x");
  ExpectRefused(ErrorOf(folder), {"found pytorch_model.bin, which is not read"});
}

}  // namespace
}  // namespace lodestone
