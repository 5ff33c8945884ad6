#include "house/tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <sstream>

namespace lodestone::testing {
namespace {

std::vector<std::string> Words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// What stands between `open` and the next ')' of the text.
std::string Call(const std::string& text, const std::string& open) {
  const size_t begin = text.find(open);
  if (begin == std::string::npos) return "";
  return text.substr(begin + open.size(), text.find(')', begin) - begin - open.size());
}

}  // namespace

std::filesystem::path Root() { return LODESTONE_SOURCE_DIR; }

std::string ReadText(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> Lines(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<std::filesystem::path> SourceFiles(const std::string& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(Root() / folder)) {
    const std::string kind = entry.path().extension();
    if (entry.is_regular_file() && (kind == ".h" || kind == ".cc" || kind == ".inc")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> FoldersOfCMake() {
  std::vector<std::string> folders;
  for (const std::string& word : Words(Call(ReadText(Root() / "src/CMakeLists.txt"), "foreach(folder"))) {
    if (std::filesystem::exists(Root() / "src" / word / "CMakeLists.txt")) folders.push_back(word);
  }
  return folders;
}

std::set<std::string> DependenciesOfCMake(const std::string& folder) {
  const std::string text = ReadText(Root() / "src" / folder / "CMakeLists.txt");
  std::set<std::string> dependencies;
  bool inside = false;
  for (const std::string& word : Words(Call(text, "lodestone_folder(" + folder))) {
    const bool keyword = word == "SOURCES" || word == "LINK" || word == "DEPS";
    if (keyword) {
      inside = word == "DEPS";
    } else if (inside) {
      dependencies.insert(word);
    }
  }
  return dependencies;
}

std::vector<Paragraph> ParagraphsOfReadme() {
  static const std::regex kHeading("## `([a-z]+)/`"), kName("`([a-z]+)`");
  std::vector<Paragraph> paragraphs;
  for (const std::string& line : Lines(ReadText(Root() / "src/README.md"))) {
    std::smatch match;
    if (std::regex_match(line, match, kHeading)) paragraphs.push_back({.folder = match[1], .includes = {}});
    if (paragraphs.empty() || !line.starts_with("Includes ")) continue;
    for (std::sregex_iterator it(line.begin(), line.end(), kName), end; it != end; ++it) {
      paragraphs.back().includes.insert((*it)[1]);
    }
  }
  return paragraphs;
}

}  // namespace lodestone::testing
