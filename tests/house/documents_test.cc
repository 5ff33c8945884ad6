// What documents say about the code is read from the code.
#include <gtest/gtest.h>

#include <regex>

#include "house/tree.h"

namespace lodestone::testing {
namespace {

// The kinds of `using Op = std::variant<…>` in program.h.
std::vector<std::string> Operators() {
  const std::string header = ReadText(Root() / "src/program/program.h");
  static const std::regex kVariant(R"(using Op = std::variant<([^>]*)>)"), kName("[A-Za-z]+");
  std::smatch match;
  std::vector<std::string> names;
  if (!std::regex_search(header, match, kVariant)) return names;
  const std::string list = match[1];
  for (std::sregex_iterator it(list.begin(), list.end(), kName), end; it != end; ++it) names.push_back(it->str());
  return names;
}

TEST(Documents, ArchitectureListsEveryOperatorInOrder) {
  const std::vector<std::string> operators = Operators();
  ASSERT_GE(operators.size(), 10u);
  static const std::regex kRow(R"(\| `([A-Z][A-Za-z]+)` \|.*)");
  std::vector<std::string> documented;
  for (const std::string& line : Lines(ReadText(Root() / "docs/architecture.md"))) {
    std::smatch match;
    if (std::regex_match(line, match, kRow)) documented.push_back(match[1]);
  }
  EXPECT_EQ(documented, operators);
}

// Relative links of the documents lead to files of the checkout.
TEST(Documents, LinksLeadSomewhere) {
  static const std::regex kLink(R"(\]\(([^)#:]+)(#[^)]*)?\))");
  size_t seen = 0;
  std::vector<std::filesystem::path> documents{Root() / "README.md", Root() / "src/README.md",
                                               Root() / "models/nano/README.md"};
  for (const auto& entry : std::filesystem::directory_iterator(Root() / "docs")) documents.push_back(entry.path());
  for (const std::filesystem::path& document : documents) {
    const std::string text = ReadText(document);
    for (std::sregex_iterator it(text.begin(), text.end(), kLink), end; it != end; ++it) {
      ++seen;
      EXPECT_TRUE(std::filesystem::exists(document.parent_path() / (*it)[1].str())) << document << ": " << it->str();
    }
  }
  EXPECT_GT(seen, 0u);
}

// The commands that the README shows exist.
TEST(Documents, ReadmeShowsCommandsThatExist) {
  static const std::regex kCommand(R"(^(?:\./run|lodestone) ([a-z]+))");
  const std::set<std::string> known{"demo",      "generate", "plan",    "simulate", "models",   "hardware",
                                    "version",   "test",     "tidy",    "format",   "quantize", "perplexity",
                                    "compare",   "bench",    "kernels", "traffic",  "sweep",    "train",
                                    "tokenizer", "genome",   "eval",    "estimate", "validate", "published"};
  size_t seen = 0;
  for (const std::string& line : Lines(ReadText(Root() / "README.md"))) {
    std::smatch match;
    if (!std::regex_search(line, match, kCommand)) continue;
    ++seen;
    EXPECT_TRUE(known.count(match[1])) << line;
  }
  EXPECT_GT(seen, 5u);
}

}  // namespace
}  // namespace lodestone::testing
