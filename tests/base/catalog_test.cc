#include "base/catalog.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "base/json.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;

TEST(CatalogTest, HoldsTheFilesOfTheTreeByteForByte) {
  const fs::path root = fs::path(LODESTONE_SOURCE_DIR) / "catalog";
  std::set<std::string> expected;
  for (const auto& folder : fs::directory_iterator(root)) {
    if (!folder.is_directory()) continue;
    for (const auto& file : fs::directory_iterator(folder)) {
      const fs::path ending = file.path().extension();
      if (ending == ".toml" || ending == ".csv") expected.insert(file.path().lexically_relative(root).generic_string());
    }
  }
  std::set<std::string> found;
  for (const CatalogFile& file : CatalogFiles()) {
    found.emplace(file.path);
    std::ifstream stream(root / file.path, std::ios::binary);
    const std::string contents{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    EXPECT_EQ(file.contents, contents) << file.path;
  }
  EXPECT_EQ(found, expected);
}

TEST(CatalogTest, IsSortedAndParses) {
  const auto files = CatalogFiles();
  EXPECT_TRUE(std::is_sorted(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; }));
  for (const CatalogFile& file : files) {
    if (!file.path.ends_with(".toml")) continue;
    const Result<Json> json = ParseToml(file.contents, file.path);
    EXPECT_TRUE(json.ok()) << json.error().message;
  }
}

TEST(CatalogTest, FolderHasItsOwnFilesOnly) {
  for (const CatalogFile& file : CatalogFilesIn("models")) EXPECT_TRUE(file.path.starts_with("models/")) << file.path;
  EXPECT_FALSE(CatalogFilesIn("models").empty());
  EXPECT_TRUE(CatalogFilesIn("model").empty());
  EXPECT_TRUE(CatalogFilesIn("").empty());
}

TEST(CatalogTest, StemIsTheNameWithoutFolderAndEnding) {
  EXPECT_EQ((CatalogFile{"models/gpt2.toml", ""}).stem(), "gpt2");
  EXPECT_EQ((CatalogFile{"models/granite-3.3-8b.toml", ""}).stem(), "granite-3.3-8b");
}

}  // namespace
}  // namespace lodestone
