#include "model/safetensors_writer.h"

#include <gtest/gtest.h>

#include "base/temporary_folder.h"
#include "model/safetensors.h"
#include "model/safetensors_builder.h"

namespace lodestone {
namespace {

using testing::AsBytes;
using testing::TemporaryFolder;

TEST(SafetensorsWriter, WhatIsWrittenInAnyOrderIsReadBack) {
  const TemporaryFolder folder;
  auto writer = SafetensorsWriter::Create(
      folder.path() / "m.safetensors", {{"a", "U8", {64, 2}}, {"b \"quoted\"", "F32", {2, 1}}, {"empty", "I64", {0}}},
      {{"format", "test"}, {"version", "7"}});
  ASSERT_TRUE(writer.ok()) << writer.error().message;
  const std::vector<float> b = {1.5f, -2};
  std::string a(128, 'x');
  a[127] = 'y';
  ASSERT_TRUE(writer->Write(1, 0, std::as_bytes(std::span(b))).ok());
  ASSERT_TRUE(writer->Write(0, 100, AsBytes(a).subspan(100)).ok());
  ASSERT_TRUE(writer->Write(0, 0, AsBytes(a).first(100)).ok());
  ASSERT_TRUE(writer->Finish().ok());

  const std::string file = folder.Read("m.safetensors");
  EXPECT_EQ(static_cast<int64_t>(file.size()), writer->file_bytes());
  const auto tensors = ParseSafetensors(AsBytes(file), "m");
  ASSERT_TRUE(tensors.ok()) << tensors.error().message;
  ASSERT_EQ(tensors->size(), 3u);
  EXPECT_EQ((*tensors)[0].name, "a");
  EXPECT_EQ((*tensors)[0].shape, (std::vector<int64_t>{64, 2}));
  EXPECT_EQ((*tensors)[0].data.size(), 128u);
  EXPECT_EQ(std::memcmp((*tensors)[0].data.data(), a.data(), a.size()), 0);
  EXPECT_EQ(((*tensors)[0].data.data() - AsBytes(file).data()) % 64, 0);
  EXPECT_EQ((*tensors)[1].name, "b \"quoted\"");
  std::vector<float> read(2);
  ReadValues((*tensors)[1], 0, read);
  EXPECT_EQ(read, b);
  const auto metadata = ParseSafetensorsMetadata(AsBytes(file), "m");
  ASSERT_TRUE(metadata.ok());
  EXPECT_EQ(*metadata, (SafetensorsMetadata{{"format", "test"}, {"version", "7"}}));
}

TEST(SafetensorsWriter, AFileThatExistsIsRefused) {
  const TemporaryFolder folder;
  const auto path = folder.Write("m.safetensors", "kept");
  EXPECT_EQ(SafetensorsWriter::Create(path, {}, {}).error().code, ErrorCode::kIo);
  EXPECT_EQ(folder.Read("m.safetensors"), "kept");
}

TEST(SafetensorsMetadata, IsEmptyWithoutTheKeyAndRefusedLikeTheHeader) {
  const auto none = ParseSafetensorsMetadata(AsBytes(testing::RawSafetensors("{}", "")), "m");
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->empty());
  EXPECT_FALSE(ParseSafetensorsMetadata(AsBytes(testing::RawSafetensors("[]", "")), "m").ok());
  EXPECT_FALSE(ParseSafetensorsMetadata(AsBytes(testing::RawSafetensors(R"({"__metadata__":{"a":1}})", "")), "m").ok());
}

}  // namespace
}  // namespace lodestone
