// Files read and written at stated offsets, from several threads at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "base/status.h"

namespace lodestone {

// An open file descriptor that closes itself.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  int get() const { return fd_; }
  int Close();  // what ::close returned: some file systems report a full disk only here

 private:
  int fd_;
};

// Reads go from the page cache straight to their destination: unlike a mapping, they leave no second copy resident.
class ReadableFile {
 public:
  static Result<ReadableFile> Open(const std::filesystem::path& path);
  // Fills `out` from `offset`. A file that ends before is kInvalid: it was cut short.
  Status ReadAt(int64_t offset, std::span<std::byte> out) const;

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
};

// A new file of a size known from the start.
class WritableFile {
 public:
  // Reserves the space, so that a full disk is found before the work, not after it. Refuses an existing file.
  static Result<WritableFile> Create(const std::filesystem::path& path, int64_t bytes);
  Status WriteAt(int64_t offset, std::span<const std::byte> bytes);
  // Everything is on the disk when this returns.
  Status Finish();

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
};

// A directory that appears whole or not at all: written under a temporary name beside `target` and renamed at the end.
// Without Commit, the temporary directory is removed. Refuses a target that exists, unless it is an empty directory.
class StagedDirectory {
 public:
  static Result<StagedDirectory> Create(const std::filesystem::path& target);
  StagedDirectory(StagedDirectory&& other) noexcept;
  StagedDirectory& operator=(StagedDirectory&&) = delete;
  ~StagedDirectory();

  const std::filesystem::path& path() const { return path_; }  // where to write
  Status Commit();

 private:
  StagedDirectory(std::filesystem::path target, std::filesystem::path path)
      : target_(std::move(target)), path_(std::move(path)) {}

  std::filesystem::path target_, path_;
};

}  // namespace lodestone
