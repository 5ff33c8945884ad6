#include "base/file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <utility>

#include "temporary_folder.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

std::string_view Text(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST(MappedFileTest, ShowsTheBytes) {
  const TemporaryFolder folder;
  const std::string contents("a\0b\xff", 4);
  const Result<MappedFile> file = MappedFile::Open(folder.Write("data", contents));
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(Text(*file), contents);
}

TEST(MappedFileTest, EmptyFileIsAnEmptySpan) {
  const TemporaryFolder folder;
  const Result<MappedFile> file = MappedFile::Open(folder.Write("data", ""));
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_TRUE(file->bytes().empty());
}

TEST(MappedFileTest, MovesLeaveTheSourceEmpty) {
  const TemporaryFolder folder;
  MappedFile first = *MappedFile::Open(folder.Write("first", "one"));
  MappedFile second = *MappedFile::Open(folder.Write("second", "two"));
  MappedFile moved(std::move(first));
  EXPECT_TRUE(first.bytes().empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(Text(moved), "one");
  moved = std::move(second);
  EXPECT_EQ(Text(moved), "two");
  MappedFile& same = moved;
  moved = std::move(same);
  EXPECT_EQ(Text(moved), "two");
}

TEST(MappedFileTest, RefusesWhatCannotBeMapped) {
  const TemporaryFolder folder;
  const Result<MappedFile> directory = MappedFile::Open(folder.path());
  ASSERT_FALSE(directory.ok());
  EXPECT_EQ(directory.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(directory.error().message, folder.path().string() + ": found a directory, expected a file");

  const Result<MappedFile> missing = MappedFile::Open(folder.path() / "missing");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(missing.error().message, (folder.path() / "missing").string() + ": cannot open: No such file or directory");

  const fs::path pipe = folder.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const Result<MappedFile> piped = MappedFile::Open(pipe);
  ASSERT_FALSE(piped.ok());
  EXPECT_EQ(piped.error().message,
            pipe.string() + ": found a pipe or a device, expected a regular file that can be mapped");
}

TEST(ReadFileTest, ReadsUpToTheBound) {
  const TemporaryFolder folder;
  const fs::path path = folder.Write("data", "12345");
  const Result<std::string> whole = ReadFile(path, 5);
  ASSERT_TRUE(whole.ok()) << whole.error().message;
  EXPECT_EQ(*whole, "12345");
  const Result<std::string> above = ReadFile(path, 4);
  ASSERT_FALSE(above.ok());
  EXPECT_EQ(above.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(above.error().message, path.string() + ": found 5 bytes, expected at most 4");
}

TEST(ReadFileTest, EmptyFile) {
  const TemporaryFolder folder;
  const Result<std::string> contents = ReadFile(folder.Write("data", ""), 0);
  ASSERT_TRUE(contents.ok()) << contents.error().message;
  EXPECT_EQ(*contents, "");
}

TEST(ReadFileTest, BoundsFilesThatStateNoSize) {
  const Result<std::string> zeros = ReadFile("/dev/zero", 100'000);
  ASSERT_FALSE(zeros.ok());
  EXPECT_EQ(zeros.error().message, "/dev/zero: found more than 100000 bytes, expected at most 100000");
  const Result<std::string> status = ReadFile("/proc/self/status", 1 << 20);
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_NE(status->find("Pid:"), std::string::npos);
}

TEST(ReadFileTest, RefusesDirectoriesAndMissingFiles) {
  const TemporaryFolder folder;
  EXPECT_EQ(ReadFile(folder.path(), 10).error().message,
            folder.path().string() + ": found a directory, expected a file");
  const Result<std::string> missing = ReadFile(folder.Write("file", "") / "below", 10);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_NE(missing.error().message.find("Not a directory"), std::string::npos) << missing.error().message;
}

TEST(WriteFileAtomicallyTest, WritesAndReplaces) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "out";
  ASSERT_TRUE(WriteFileAtomically(path, "first").ok());
  EXPECT_EQ(folder.Read("out"), "first");
  const std::string long_contents(3'000'000, 'x');
  ASSERT_TRUE(WriteFileAtomically(path, long_contents).ok());
  EXPECT_EQ(folder.Read("out"), long_contents);
  ASSERT_TRUE(WriteFileAtomically(path, "").ok());
  EXPECT_EQ(folder.Read("out"), "");
  EXPECT_EQ(folder.FileCount(), 1u);
}

TEST(WriteFileAtomicallyTest, AReaderOfTheOldFileKeepsIt) {
  const TemporaryFolder folder;
  const fs::path path = folder.Write("out", "old");
  const Result<MappedFile> old = MappedFile::Open(path);
  ASSERT_TRUE(old.ok());
  ASSERT_TRUE(WriteFileAtomically(path, "new").ok());
  EXPECT_EQ(Text(*old), "old");
  EXPECT_EQ(folder.Read("out"), "new");
}

TEST(WriteFileAtomicallyTest, KeepsPermissionsAndFollowsLinks) {
  const TemporaryFolder folder;
  const fs::path path = folder.Write("out", "old");
  fs::permissions(path, fs::perms(0640));
  fs::create_symlink("out", folder.path() / "link");
  ASSERT_TRUE(WriteFileAtomically(folder.path() / "link", "new").ok());
  EXPECT_TRUE(fs::is_symlink(folder.path() / "link"));
  EXPECT_EQ(folder.Read("out"), "new");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms(0640));
}

TEST(WriteFileAtomicallyTest, ANewFileObeysTheUmask) {
  const TemporaryFolder folder;
  const mode_t before = ::umask(027);
  const Status status = WriteFileAtomically(folder.path() / "out", "x");
  ::umask(before);
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(fs::status(folder.path() / "out").permissions(), fs::perms(0640));
}

TEST(WriteFileAtomicallyTest, RefusesDirectoriesAndMissingFolders) {
  const TemporaryFolder folder;
  EXPECT_EQ(WriteFileAtomically(folder.path(), "x").error().message,
            folder.path().string() + ": found a directory, expected a file");
  const Status missing = WriteFileAtomically(folder.path() / "no" / "out", "x");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(missing.error().message,
            (folder.path() / "no" / "out").string() + ": cannot create a file beside it: No such file or directory");
}

TEST(WriteFileAtomicallyTest, WritesIntoDevicesInPlace) {
  EXPECT_TRUE(WriteFileAtomically("/dev/null", "x").ok());
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  const Status full = WriteFileAtomically("/dev/full", "x");
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().code, ErrorCode::kIo);
  EXPECT_EQ(full.error().message, "/dev/full: cannot write: No space left on device");
}

// A bound on file sizes stands for the full disk: the write fails half way.
TEST(WriteFileAtomicallyTest, AFailedWriteKeepsTheOldFileAndLeavesNoOther) {
  const TemporaryFolder folder;
  const fs::path path = folder.Write("out", "old");
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 4096;
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status status = WriteFileAtomically(path, std::string(10'000, 'x'));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, handler);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
  EXPECT_EQ(status.error().message, path.string() + ": cannot write: File too large");
  EXPECT_EQ(folder.Read("out"), "old");
  EXPECT_EQ(folder.FileCount(), 1u);
}

TEST(CheckWritableTest, TellsWhatStandsInTheWayBeforeAnythingIsWritten) {
  const TemporaryFolder folder;
  EXPECT_TRUE(CheckWritable(folder.path() / "new.csv").ok());
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "new.csv"));
  EXPECT_TRUE(CheckWritable("relative.csv").ok());
  EXPECT_TRUE(CheckWritable("/dev/null").ok());
  EXPECT_NE(CheckWritable(folder.path()).error().message.find("found a directory"), std::string::npos);
  const Status missing = CheckWritable(folder.path() / "none" / "new.csv");
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("there is no folder"), std::string::npos) << missing.error().message;
}

}  // namespace
}  // namespace lodestone
