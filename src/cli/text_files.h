// Text files that a command reads whole.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace lodestone::cli {

// The words of a command line as paths.
std::vector<std::filesystem::path> PathsOf(std::span<const std::string> words);

// A file's text. Refused by name: an empty file, binary data (a NUL, or what is not UTF-8), more than 256 MiB.
Result<std::string> ReadTextFile(const std::filesystem::path& path);

}  // namespace lodestone::cli
