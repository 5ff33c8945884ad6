// Small text files of /proc and /sys.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lodestone {

// Without its line end; empty where the file cannot be read.
std::string FirstLine(const std::string& path);

// The kernel's lists of processors and nodes: "0-2,5" is 0, 1, 2, 5. Anything else is empty.
std::vector<int> ParseCpuList(std::string_view text);

}  // namespace lodestone
