// Machines on the command line: listed, shown, and a user's file checked.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "e2e/program.h"

namespace lodestone::testing {
namespace {

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// The TOML of docs/add-hardware.md: what a reader copies.
std::string DocumentedExample() {
  const Result<std::string> document =
      ReadFile(std::filesystem::path(LODESTONE_SOURCE_DIR) / "docs/add-hardware.md", 1 << 20);
  if (!document.ok()) return "";
  const std::string fence = "```toml\n";
  const size_t begin = document->find(fence) + fence.size();
  return document->substr(begin, document->find("```", begin) - begin);
}

TEST(Hardware, ListHasALineForEveryMachine) {
  const Outcome text = RunProgram({"hardware", "list"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  const Json json = RunJson({"hardware", "list", "--format", "json"});
  ASSERT_NE(json.as_array(), nullptr);
  const Outcome csv = RunProgram({"hardware", "list", "--format", "csv"});
  EXPECT_EQ(csv.exit_code, 0) << csv.err;
  EXPECT_EQ(static_cast<size_t>(std::count(csv.out.begin(), csv.out.end(), '\n')), json.as_array()->size() + 1);
  for (const Json& machine : *json.as_array()) {
    const std::string& name = *machine.Find("name")->as_string();
    EXPECT_TRUE(Has(text.out, "\n  " + name + " ")) << name;
    EXPECT_TRUE(Has(csv.out, "\n" + name + ",")) << name;
  }
  EXPECT_TRUE(Has(text.out, "\n  northpole-16 "));
}

TEST(Hardware, ShowGivesEveryFigureItsUnitAndItsSource) {
  const Outcome text = RunProgram({"hardware", "show", "h100-sxm"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_TRUE(Has(text.out, "limit_w = 700 W (data sheet)")) << text.out;
  EXPECT_TRUE(Has(text.out, "memory.HBM3.bytes_per_s = 3.35 TB/s (data sheet)")) << text.out;
  EXPECT_TRUE(Has(text.out, "Ridge point")) << text.out;
  EXPECT_TRUE(Has(text.out, "Efficiency factors")) << text.out;
  const Json json = RunJson({"hardware", "h100-sxm"});
  EXPECT_NEAR(*json.Find("ridge_ops_per_byte")->Find("bf16")->as_number(), 989.4e12 / 3350e9, 1e-9);
  const Json* limit = json.Find("figures")->Find("limit_w");
  EXPECT_EQ(*limit->Find("unit")->as_string(), "W");
  EXPECT_EQ(*limit->Find("source")->as_string(), "data sheet");
  EXPECT_NE(json.Find("efficiency")->Find("memory"), nullptr);
}

TEST(Hardware, UnknownNamesAndStacksAreRefusedWithTheNearest) {
  const Outcome name = RunProgram({"hardware", "show", "h100-sxn"});
  EXPECT_EQ(name.exit_code, 1);
  EXPECT_TRUE(Has(name.err, "did you mean 'h100-sxm'?")) << name.err;
  const Outcome stack = RunProgram({"hardware", "show", "h100-sxm", "--stack", "vlm"});
  EXPECT_EQ(stack.exit_code, 1);
  EXPECT_TRUE(Has(stack.err, "did you mean 'vllm'?")) << stack.err;
  EXPECT_EQ(RunProgram({"hardware", "show"}).exit_code, 1);
  EXPECT_EQ(RunProgram({"hardware", "list", "h100-sxm"}).exit_code, 1);
  EXPECT_EQ(RunProgram({"hardware", "list", "--format", "xml"}).exit_code, 1);
}

TEST(Hardware, TheExampleOfTheDocumentIsWhole) {
  const std::string example = DocumentedExample();
  ASSERT_TRUE(Has(example, "kind = \"machine\"")) << example;
  const TemporaryFolder folder;
  const std::string path = folder.Write("my-accelerator.toml", example);
  const Outcome check = RunProgram({"hardware", "check", path});
  EXPECT_EQ(check.exit_code, 0) << check.out << check.err;
  EXPECT_TRUE(Has(check.out, "Nothing in it contradicts itself")) << check.out;
  const Json json = RunJson({"hardware", "check", path});
  EXPECT_TRUE(json.Find("faults")->as_array()->empty());
  for (const Json& estimate : *json.Find("estimates")->as_array()) {
    EXPECT_TRUE(estimate.Find("missing")->as_array()->empty()) << estimate.Dump();
  }
  EXPECT_EQ(RunProgram({"hardware", "show", path}).exit_code, 0);
  EXPECT_EQ(RunProgram({"hardware", path}).exit_code, 0);
}

TEST(Hardware, CheckSaysEveryFaultWithItsLine) {
  std::string example = DocumentedExample();
  const auto replace = [&example](const std::string& from, const std::string& to) {
    ASSERT_NE(example.find(from), std::string::npos) << from;
    example.replace(example.find(from), from.size(), to);
  };
  replace("platform = \"asic\"", "platform = \"npu\"");
  replace("limit_w = 350", "limit_watts = 350");
  replace("int8 = 560e12", "int8 = -560e12");
  const TemporaryFolder folder;
  const std::string path = folder.Write("own.toml", example);
  const Outcome check = RunProgram({"hardware", "check", path});
  EXPECT_EQ(check.exit_code, 1);
  for (const char* part : {"own.toml:5: key 'platform'", "key 'limit_watts'", "key 'peak_ops_per_s.int8'"}) {
    EXPECT_TRUE(Has(check.out, part)) << check.out;
  }
  EXPECT_TRUE(Has(check.err, "3 faults")) << check.err;
  const std::string catalogue = std::string(LODESTONE_SOURCE_DIR) + "/catalog/hardware/";
  EXPECT_EQ(RunProgram({"hardware", "check", catalogue + "northpole-16.toml"}).exit_code, 0);
  EXPECT_EQ(RunProgram({"hardware", "check", catalogue + "efficiency.toml"}).exit_code, 0);
  const Outcome missing = RunProgram({"hardware", "check", folder.path() + "/none.toml"});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_FALSE(missing.err.empty());
}

}  // namespace
}  // namespace lodestone::testing
