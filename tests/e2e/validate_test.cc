// `lodestone validate`, as its users run it; and the two files of the project that it writes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "program.h"

namespace lodestone::testing {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 20;

std::string TextOf(const std::filesystem::path& path) {
  const Result<std::string> text = ReadFile(path, kMaxBytes);
  EXPECT_TRUE(text.ok()) << text.error().message;
  return text.ok() ? *text : "";
}

std::filesystem::path Source(const char* path) { return std::filesystem::path(LODESTONE_SOURCE_DIR) / path; }

TEST(ValidateCommand, WritesTheDocumentOfTheProject) {
  const std::string file = ::testing::TempDir() + "/accuracy.md";
  const Outcome outcome = RunProgram({"validate", "--markdown", file});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(TextOf(file), TextOf(Source("docs/accuracy.md"))) << "lodestone validate --markdown docs/accuracy.md";
}

TEST(ValidateCommand, CalibratesToTheCatalogue) {
  const std::string file = ::testing::TempDir() + "/calibration.toml";
  const Outcome outcome = RunProgram({"validate", "--calibrate", file});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(TextOf(file), TextOf(Source("catalog/hardware/calibration.toml")))
      << "lodestone validate --calibrate catalog/hardware/calibration.toml, build, and write docs/accuracy.md again";
}

TEST(ValidateCommand, SaysTheSameAsJson) {
  const Json json = RunJson({"validate"});
  const Json* machine = json.Find("machines")->Find("h100-sxm");
  ASSERT_NE(machine, nullptr);
  const Outcome text = RunProgram({"validate"});
  EXPECT_NE(text.out.find(fmt::format("h100-sxm   {:>4}", *machine->Find("rows")->as_int())), std::string::npos);
  EXPECT_GT(*json.Find("rows")->as_int(), 3000);
}

TEST(ValidateCommand, RefusesWhereItCannotWrite) {
  const Outcome outcome = RunProgram({"validate", "--markdown", "/nowhere/accuracy.md"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("/nowhere"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace lodestone::testing
