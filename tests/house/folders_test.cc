// src/README.md, the CMake targets and the include lines tell the same story.
#include <gtest/gtest.h>

#include <map>
#include <regex>

#include "house/tree.h"

namespace lodestone::testing {
namespace {

std::vector<std::string> Named(const std::vector<Paragraph>& paragraphs) {
  std::vector<std::string> names;
  for (const Paragraph& paragraph : paragraphs) names.push_back(paragraph.folder);
  return names;
}

// A folder, what it names, and what those name.
std::set<std::string> Reachable(const std::string& folder) {
  std::set<std::string> reached{folder};
  for (const std::string& dependency : DependenciesOfCMake(folder)) reached.merge(Reachable(dependency));
  return reached;
}

TEST(Folders, ReadmeListsTheFoldersOfTheTreeInTheOrderOfTheBuild) {
  EXPECT_EQ(Named(ParagraphsOfReadme()), FoldersOfCMake());
  std::set<std::string> tree;
  for (const auto& entry : std::filesystem::directory_iterator(Root() / "src")) {
    if (entry.is_directory() && std::filesystem::exists(entry.path() / "CMakeLists.txt")) {
      tree.insert(entry.path().filename());
    }
  }
  const std::vector<std::string> built = FoldersOfCMake();
  EXPECT_EQ(tree, std::set<std::string>(built.begin(), built.end()));
}

TEST(Folders, ReadmeNamesTheDependenciesOfTheTargets) {
  for (const Paragraph& paragraph : ParagraphsOfReadme()) {
    EXPECT_EQ(paragraph.includes, DependenciesOfCMake(paragraph.folder)) << paragraph.folder;
  }
}

TEST(Folders, DependOnEarlierFoldersOnly) {
  std::set<std::string> earlier;
  for (const std::string& folder : FoldersOfCMake()) {
    for (const std::string& dependency : DependenciesOfCMake(folder)) {
      EXPECT_TRUE(earlier.count(dependency)) << folder << " depends on " << dependency;
    }
    earlier.insert(folder);
  }
}

TEST(Folders, IncludeOnlyWhatTheyDependOn) {
  static const std::regex kInclude(R"re(\s*#\s*include\s*"([a-z_]+)/[^"]*".*)re");
  size_t seen = 0;
  for (const std::string& folder : FoldersOfCMake()) {
    const std::set<std::string> allowed = Reachable(folder);
    for (const auto& file : SourceFiles("src/" + folder)) {
      for (const std::string& line : Lines(ReadText(file))) {
        std::smatch match;
        if (!std::regex_match(line, match, kInclude)) continue;
        ++seen;
        EXPECT_TRUE(allowed.count(match[1])) << file << ": " << line;
      }
    }
  }
  EXPECT_GT(seen, 100u) << "the pattern no longer finds the include lines";
}

// Headers that cost seconds to compile stay behind one or two source files, and out of headers.
TEST(Folders, HeavyHeadersStayBehindFewFiles) {
  static const std::regex kHeavy(
      R"(\s*#\s*include\s*[<"](nlohmann|toml\+\+|toml\.hpp|CLI|pcre2|utf8proc|boost)[/.h>].*)");
  std::map<std::string, std::set<std::string>> users;
  for (const auto& file : SourceFiles("src")) {
    for (const std::string& line : Lines(ReadText(file))) {
      std::smatch match;
      if (!std::regex_match(line, match, kHeavy)) continue;
      users[match[1]].insert(file);
      EXPECT_EQ(file.extension(), ".cc") << file << ": " << line;
    }
  }
  EXPECT_TRUE(users.count("CLI")) << "the pattern no longer finds the include lines";
  for (const auto& [header, files] : users) EXPECT_LE(files.size(), 2u) << header;
}

}  // namespace
}  // namespace lodestone::testing
