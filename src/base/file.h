// Files: mapped for reading, read whole within a bound, written so that a reader never sees half a file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace lodestone {

// A read-only memory mapping of a whole file. Movable; an empty file maps to an empty span. Directories, pipes and
// devices are refused. The file must not be cut short while it is mapped.
class MappedFile {
 public:
  static Result<MappedFile> Open(const std::filesystem::path& path);
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Gives back the memory of whole pages of a mapping, which are read from the file again if they are touched again.
void ReleasePages(std::span<const std::byte> mapped);

// The file's contents; refuses directories and files above `max_bytes`, naming both sizes.
Result<std::string> ReadFile(const std::filesystem::path& path, size_t max_bytes);

// Writes beside the target and renames over it: a killed process leaves the old file or the new one. Keeps the
// permissions of an existing file, follows a symbolic link, and writes straight into a pipe or a device.
Status WriteFileAtomically(const std::filesystem::path& path, std::string_view contents);

// Whether that can be expected to succeed, so that work of minutes need not end in a refusal: the path is no directory,
// and the folder that it lies in exists and may be written. Changes nothing.
Status CheckWritable(const std::filesystem::path& path);

}  // namespace lodestone
