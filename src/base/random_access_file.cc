#include "base/random_access_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace lodestone {
namespace {

namespace fs = std::filesystem;

Error SystemError(const fs::path& path, std::string_view action, int error) {
  const ErrorCode code = error == ENOENT || error == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo;
  return {code, fmt::format("{}: cannot {}: {}", path.string(), action, std::generic_category().message(error))};
}

int OpenRetrying(const fs::path& path, int flags, mode_t mode = 0) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

// A failure is not an error: some file systems cannot sync a directory, and what is in it is synced already.
void SyncDirectory(const fs::path& directory) {
  const FileDescriptor fd(OpenRetrying(directory, O_RDONLY | O_DIRECTORY));
  if (fd.get() >= 0) ::fsync(fd.get());
}

fs::path ParentOf(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

}  // namespace

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

int FileDescriptor::Close() { return ::close(std::exchange(fd_, -1)); }

Result<ReadableFile> ReadableFile::Open(const fs::path& path) {
  ReadableFile file;
  file.path_ = path;
  file.file_ = FileDescriptor(OpenRetrying(path, O_RDONLY | O_NONBLOCK));
  if (file.file_.get() < 0) return SystemError(path, "open", errno);
  struct stat info = {};
  if (::fstat(file.file_.get(), &info) != 0) return SystemError(path, "read its size", errno);
  if (!S_ISREG(info.st_mode)) return Invalid(fmt::format("{}: expected a regular file", path.string()));
  return file;
}

Status ReadableFile::ReadAt(int64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t count = ::pread(file_.get(), out.data(), out.size(), offset);
    if (count < 0) {
      if (errno == EINTR) continue;
      return SystemError(path_, "read", errno);
    }
    if (count == 0) {
      return Invalid(fmt::format("{}: the file ends at byte {}, and {} more were expected; it was cut short",
                                 path_.string(), offset, out.size()));
    }
    out = out.subspan(static_cast<size_t>(count));
    offset += count;
  }
  return {};
}

Result<WritableFile> WritableFile::Create(const fs::path& path, int64_t bytes) {
  WritableFile file;
  file.path_ = path;
  file.file_ = FileDescriptor(OpenRetrying(path, O_RDWR | O_CREAT | O_EXCL, 0666));
  if (file.file_.get() < 0) return SystemError(path, "create", errno);
  int result = 0;
  do {
    result = ::fallocate(file.file_.get(), 0, 0, std::max<int64_t>(bytes, 1));
  } while (result != 0 && errno == EINTR);
  // A file system that cannot reserve says so; a full disk then shows when it is written.
  if (result != 0 && errno != EOPNOTSUPP && errno != ENOSYS) {
    return SystemError(path, fmt::format("reserve {} bytes", bytes), errno);
  }
  return file;
}

Status WritableFile::WriteAt(int64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(file_.get(), bytes.data(), bytes.size(), offset);
    if (count < 0) {
      if (errno == EINTR) continue;
      return SystemError(path_, "write", errno);
    }
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += count;
  }
  return {};
}

Status WritableFile::Finish() {
  if (::fsync(file_.get()) != 0) return SystemError(path_, "write", errno);
  if (file_.Close() != 0) return SystemError(path_, "write", errno);
  return {};
}

Result<StagedDirectory> StagedDirectory::Create(const fs::path& given) {
  fs::path target = given.lexically_normal();
  if (!target.has_filename()) target = target.parent_path();  // "out/" is "out"
  std::error_code error;
  if (fs::exists(target, error) && (!fs::is_directory(target, error) || !fs::is_empty(target, error))) {
    return Invalid(fmt::format("{}: exists already and is no empty directory; name a new one", target.string()));
  }
  std::string name = (ParentOf(target) / fmt::format(".{}.XXXXXX", target.filename().string())).string();
  if (::mkdtemp(name.data()) == nullptr) return SystemError(target, "create a directory beside it", errno);
  ::chmod(name.c_str(), 0755);
  return StagedDirectory(std::move(target), name);
}

StagedDirectory::StagedDirectory(StagedDirectory&& other) noexcept
    : target_(std::move(other.target_)), path_(std::exchange(other.path_, fs::path())) {}

StagedDirectory::~StagedDirectory() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

Status StagedDirectory::Commit() {
  SyncDirectory(path_);
  // An empty directory is replaced by rename; a directory that was filled meanwhile is refused by it.
  if (::rename(path_.c_str(), target_.c_str()) != 0) return SystemError(target_, "put the new directory there", errno);
  path_.clear();
  SyncDirectory(ParentOf(target_));
  return {};
}

}  // namespace lodestone
