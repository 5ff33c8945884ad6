#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

namespace lodestone {
namespace {

namespace fs = std::filesystem;

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }
  // The one close whose result matters: some file systems report a full disk only here.
  int Close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

Error SystemError(const fs::path& path, std::string_view action, int error) {
  const ErrorCode code = error == ENOENT || error == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo;
  return {code, fmt::format("{}: cannot {}: {}", path.string(), action, std::generic_category().message(error))};
}

Error IsDirectory(const fs::path& path) {
  return Invalid(fmt::format("{}: found a directory, expected a file", path.string()));
}

int OpenRetrying(const fs::path& path, int flags, mode_t mode = 0) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

Status WriteAll(int fd, std::string_view contents, const fs::path& path) {
  while (!contents.empty()) {
    const ssize_t written = ::write(fd, contents.data(), contents.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return SystemError(path, "write", errno);
    }
    contents.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

// A pipe or a device has no old and new contents; renaming over it would destroy it.
Status WriteInPlace(const fs::path& path, std::string_view contents) {
  Descriptor file(OpenRetrying(path, O_WRONLY));
  if (file.get() < 0) return SystemError(path, "open for writing", errno);
  LODESTONE_RETURN_IF_ERROR(WriteAll(file.get(), contents, path));
  if (file.Close() != 0) return SystemError(path, "write", errno);
  return {};
}

// Creates a file of a name that nobody else uses beside `target`; open's own 0666 lets the umask apply.
int CreateBeside(const fs::path& target, fs::path& temporary) {
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; attempt < 100; ++attempt) {
    temporary = target;
    temporary += fmt::format(".{}.{}.tmp", ::getpid(), counter.fetch_add(1));
    const int fd = OpenRetrying(temporary, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

// Without this the rename itself may be lost at a power failure. Some file systems cannot do it; the file is then
// still whole, old or new, so a failure is not an error.
void SyncDirectory(const fs::path& file) {
  const fs::path parent = file.has_parent_path() ? file.parent_path() : fs::path(".");
  Descriptor directory(OpenRetrying(parent, O_RDONLY | O_DIRECTORY));
  if (directory.get() >= 0) ::fsync(directory.get());
}

Status WriteAndRename(const fs::path& target, const struct stat* existing, std::string_view contents) {
  fs::path temporary;
  Descriptor file(CreateBeside(target, temporary));
  if (file.get() < 0) return SystemError(target, "create a file beside it", errno);
  Status status = WriteAll(file.get(), contents, target);
  if (status.ok() && existing != nullptr && ::fchmod(file.get(), existing->st_mode & 07777) != 0) {
    status = SystemError(target, "keep its permissions", errno);
  }
  if (status.ok() && ::fsync(file.get()) != 0) status = SystemError(target, "write", errno);
  if (file.Close() != 0 && status.ok()) status = SystemError(target, "write", errno);
  if (status.ok() && ::rename(temporary.c_str(), target.c_str()) != 0) {
    status = SystemError(target, "replace", errno);
  }
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  SyncDirectory(target);
  return {};
}

}  // namespace

Result<MappedFile> MappedFile::Open(const fs::path& path) {
  // O_NONBLOCK: a named pipe is refused below and not waited for; regular files ignore the flag.
  Descriptor file(OpenRetrying(path, O_RDONLY | O_NONBLOCK));
  if (file.get() < 0) return SystemError(path, "open", errno);
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) return SystemError(path, "read its size", errno);
  if (S_ISDIR(info.st_mode)) return IsDirectory(path);
  if (!S_ISREG(info.st_mode)) {
    return Invalid(
        fmt::format("{}: found a pipe or a device, expected a regular file that can be mapped", path.string()));
  }
  MappedFile mapped;
  if (info.st_size == 0) return mapped;
  void* data = ::mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) return SystemError(path, "map into memory", errno);
  mapped.data_ = static_cast<const std::byte*>(data);
  mapped.size_ = static_cast<size_t>(info.st_size);
  return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  // The temporary takes the old mapping with it; right for self-assignment too.
  MappedFile taken(std::move(other));
  std::swap(data_, taken.data_);
  std::swap(size_, taken.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void ReleasePages(std::span<const std::byte> mapped) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<uintptr_t>(mapped.data());
  const uintptr_t begin = (address + page - 1) / page * page, end = (address + mapped.size()) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

Result<std::string> ReadFile(const fs::path& path, size_t max_bytes) {
  Descriptor file(OpenRetrying(path, O_RDONLY));
  if (file.get() < 0) return SystemError(path, "open", errno);
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) return SystemError(path, "read its size", errno);
  if (S_ISDIR(info.st_mode)) return IsDirectory(path);
  const auto stated_size = static_cast<size_t>(std::max<off_t>(info.st_size, 0));
  if (stated_size > max_bytes) {
    return Invalid(fmt::format("{}: found {} bytes, expected at most {}", path.string(), stated_size, max_bytes));
  }
  // Pipes and files under /proc state no size, and a file may grow: what counts is what can be read.
  std::string contents;
  size_t filled = 0;
  while (true) {
    if (filled == contents.size()) contents.resize(std::max(stated_size + 1, filled + filled / 2 + 4096));
    const ssize_t count = ::read(file.get(), contents.data() + filled, contents.size() - filled);
    if (count < 0) {
      if (errno == EINTR) continue;
      return SystemError(path, "read", errno);
    }
    if (count == 0) break;
    filled += static_cast<size_t>(count);
    if (filled > max_bytes) {
      return Invalid(
          fmt::format("{}: found more than {} bytes, expected at most {}", path.string(), max_bytes, max_bytes));
    }
  }
  contents.resize(filled);
  return contents;
}

Status WriteFileAtomically(const fs::path& path, std::string_view contents) {
  struct stat info = {};
  const bool exists = ::stat(path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) return IsDirectory(path);
  if (exists && !S_ISREG(info.st_mode)) return WriteInPlace(path, contents);
  // Through a symbolic link it is the linked file that is replaced, as any editor's user expects.
  fs::path target = path;
  if (exists) {
    std::error_code error;
    const fs::path canonical = fs::canonical(path, error);
    if (!error) target = canonical;
  }
  return WriteAndRename(target, exists ? &info : nullptr, contents);
}

Status CheckWritable(const fs::path& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return IsDirectory(path);
    if (!S_ISREG(info.st_mode)) return {};
  }
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (::stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return NotFound(fmt::format("{}: there is no folder {}", path.string(), folder.string()));
  }
  if (::access(folder.c_str(), W_OK) != 0) {
    return Invalid(fmt::format("{}: the folder {} may not be written", path.string(), folder.string()));
  }
  return {};
}

}  // namespace lodestone
