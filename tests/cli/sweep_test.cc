#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"

namespace lodestone::cli {
namespace {

constexpr const char* kText =
    "kind = \"sweep\"\nname = \"small\"\nmodel = \"nano-14l\"\nappliance = \"northpole-16\"\n"
    "[workload]\nrecipe = \"w4a4\"\n[axes]\ncontext = [32, 4096]\nusers = [1, 3]\n";

class SweepCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // Tests run side by side.
    folder_ = std::filesystem::path(::testing::TempDir()) /
              fmt::format("lodestone_sweep_{}", ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
    ASSERT_TRUE(WriteFileAtomically(folder_ / "small.toml", kText).ok());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const char* name) const { return (folder_ / name).string(); }
  std::string Contents(const char* name) const {
    Result<std::string> text = ReadFile(folder_ / name, 1 << 20);
    return text.ok() ? *text : std::string();
  }
  // Standard output; the exit code is `code`.
  static std::string RunSweep(std::vector<std::string> words, int code = 0) {
    words.insert(words.begin(), "sweep");
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(Main(words), code);
    const std::string errors = ::testing::internal::GetCapturedStderr();
    const std::string text = ::testing::internal::GetCapturedStdout();
    return code == 0 ? text : errors;
  }

  std::filesystem::path folder_;
};

TEST_F(SweepCommandTest, WritesTheSameFilesWithAnyNumberOfThreads) {
  for (const char* threads : {"1", "3"}) {
    const std::string csv = Path(threads) + ".csv", html = Path(threads) + ".html";
    const std::string text = RunSweep({Path("small.toml"), "--csv", csv, "--html", html, "--threads", threads});
    EXPECT_NE(text.find("small: nano-14l on northpole-16, 4 points"), std::string::npos) << text;
    EXPECT_NE(text.find("2 of 4 points do not run"), std::string::npos) << text;
  }
  const std::string csv = Contents("1.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 5);
  EXPECT_EQ(csv, Contents("3.csv"));
  EXPECT_FALSE(Contents("1.html").empty());
  EXPECT_EQ(Contents("1.html"), Contents("3.html"));
}

TEST_F(SweepCommandTest, JsonHasEveryPoint) {
  const Result<Json> json = ParseJson(RunSweep({Path("small.toml"), "--json"}), "out");
  ASSERT_TRUE(json.ok()) << json.error().message;
  EXPECT_EQ(*json->Find("provenance")->as_string(), "simulated");
  EXPECT_EQ(json->Find("points")->as_array()->size(), 4u);
}

TEST_F(SweepCommandTest, RefusesAFileWithKeyAndLine) {
  ASSERT_TRUE(WriteFileAtomically(folder_ / "bad.toml", std::string(kText) + "user = [1]\n").ok());
  const std::string text = RunSweep({Path("bad.toml")}, 1);
  EXPECT_NE(text.find("bad.toml:10: key 'axes.user'"), std::string::npos) << text;
  EXPECT_NE(text.find("did you mean 'users'?"), std::string::npos) << text;
  EXPECT_NE(RunSweep({}, 1).find("name of an experiment"), std::string::npos);
  EXPECT_NE(RunSweep({"northpole-curv"}, 1).find("northpole-curve"), std::string::npos);
}

}  // namespace
}  // namespace lodestone::cli
