#include "base/random_access_file.h"

#include <gtest/gtest.h>

#include <array>

#include "base/temporary_folder.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(RandomAccessFile, BytesWrittenAnywhereAreReadBack) {
  const TemporaryFolder folder;
  auto out = WritableFile::Create(folder.path() / "f", 10);
  ASSERT_TRUE(out.ok()) << out.error().message;
  ASSERT_TRUE(out->WriteAt(5, Bytes("world")).ok());
  ASSERT_TRUE(out->WriteAt(0, Bytes("hello")).ok());
  ASSERT_TRUE(out->Finish().ok());
  EXPECT_EQ(folder.Read("f"), "helloworld");

  const auto in = ReadableFile::Open(folder.path() / "f");
  ASSERT_TRUE(in.ok());
  std::array<std::byte, 4> read{};
  ASSERT_TRUE(in->ReadAt(3, read).ok());
  EXPECT_EQ(read[0], std::byte{'l'});
  EXPECT_EQ(read[3], std::byte{'o'});
}

TEST(RandomAccessFile, AFileThatEndsTooEarlyIsRefused) {
  const TemporaryFolder folder;
  const auto file = ReadableFile::Open(folder.Write("f", "abc"));
  ASSERT_TRUE(file.ok());
  std::array<std::byte, 4> read{};
  const Status status = file->ReadAt(1, read);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("ends at byte 3, and 2 more"), std::string::npos) << status.error().message;
}

TEST(RandomAccessFile, WhatIsNoFileIsRefused) {
  const TemporaryFolder folder;
  EXPECT_EQ(ReadableFile::Open(folder.path() / "none").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(ReadableFile::Open(folder.path()).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(ReadableFile::Open("/dev/zero").error().code, ErrorCode::kInvalid);
  EXPECT_EQ(WritableFile::Create(folder.Write("f", "kept"), 4).error().code, ErrorCode::kIo);
  EXPECT_EQ(folder.Read("f"), "kept");
}

TEST(RandomAccessFile, SpaceThatNoDiskHasIsRefusedBeforehand) {
  const TemporaryFolder folder;
  const auto file = WritableFile::Create(folder.path() / "f", int64_t{1} << 60);
  ASSERT_FALSE(file.ok());
  EXPECT_NE(file.error().message.find("reserve"), std::string::npos) << file.error().message;
}

TEST(StagedDirectory, AppearsWholeOrNotAtAll) {
  const TemporaryFolder folder;
  const fs::path target = folder.path() / "out";
  {
    const auto abandoned = StagedDirectory::Create(target);
    ASSERT_TRUE(abandoned.ok());
    std::ofstream(abandoned->path() / "a") << "1";
    EXPECT_FALSE(fs::exists(target));
  }
  EXPECT_EQ(folder.FileCount(), 0u);
  auto staged = StagedDirectory::Create(target.string() + "/");
  ASSERT_TRUE(staged.ok());
  std::ofstream(staged->path() / "a") << "1";
  ASSERT_TRUE(staged->Commit().ok());
  EXPECT_EQ(folder.Read("out/a"), "1");
  EXPECT_EQ(folder.FileCount(), 1u);
}

TEST(StagedDirectory, AnEmptyDirectoryIsReplacedAndAnyOtherTargetRefused) {
  const TemporaryFolder folder;
  fs::create_directory(folder.path() / "empty");
  auto staged = StagedDirectory::Create(folder.path() / "empty");
  ASSERT_TRUE(staged.ok());
  std::ofstream(staged->path() / "a") << "1";
  ASSERT_TRUE(staged->Commit().ok());
  EXPECT_EQ(StagedDirectory::Create(folder.path() / "empty").error().code, ErrorCode::kInvalid);  // no longer empty
  EXPECT_EQ(StagedDirectory::Create(folder.Write("file", "x")).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(StagedDirectory::Create(folder.path() / "none" / "out").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace lodestone
