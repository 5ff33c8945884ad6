// The source tree as the house tests read it: files, lines, and what CMake and the README say of the folders.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace lodestone::testing {

std::filesystem::path Root();
std::string ReadText(const std::filesystem::path& path);  // fails the test where the file cannot be read
std::vector<std::string> Lines(const std::string& text);

// Files below `folder` of the checkout that the compiler reads: .h, .cc, .inc; sorted.
std::vector<std::filesystem::path> SourceFiles(const std::string& folder);

// Folders in the order of src/CMakeLists.txt that exist.
std::vector<std::string> FoldersOfCMake();
// DEPS of a folder's lodestone_folder call.
std::set<std::string> DependenciesOfCMake(const std::string& folder);

// One paragraph of src/README.md.
struct Paragraph {
  std::string folder;
  std::set<std::string> includes;
};
std::vector<Paragraph> ParagraphsOfReadme();

}  // namespace lodestone::testing
