// The library as other programs meet it: installed, moved, found by CMake and by pkg-config, linked, run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>

#include "e2e/program.h"
#include "fixtures.h"

namespace lodestone::testing {
namespace {

constexpr const char* kPrompt = "Once upon a time";

struct Finished {
  bool ok = false;
  std::string out;
};

// A command line and what it wrote to both outputs.
Finished Shell(const std::string& line) {
  Finished finished;
  FILE* pipe = popen((line + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return finished;
  char buffer[4096];
  for (size_t n = 0; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) finished.out.append(buffer, n);
  finished.ok = pclose(pipe) == 0;
  return finished;
}

// Installed in one place and moved to another: nothing in it may remember where it was.
class Install : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string first = folder_.path() + "/first";
    const Finished install = Shell(std::string(LODESTONE_CMAKE) +
                                   " --install " LODESTONE_BINARY_DIR " --component library --prefix " + first);
    ASSERT_TRUE(install.ok) << install.out;
    std::filesystem::rename(first, prefix());
    EXPECT_FALSE(std::filesystem::exists(prefix() + "/bin")) << "the program is another component";
  }
  std::string prefix() const { return folder_.path() + "/moved"; }
  std::string library_folder() const { return prefix() + "/" LODESTONE_LIBDIR; }
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }

 private:
  TemporaryFolder folder_;
};

std::vector<int64_t> TokensOfProgram(const std::string& model, const std::string& appliance) {
  const Json record = RunJson({"generate", "--model", model, "--recipe", "w4a8", "--appliance", appliance, "--prompt",
                               kPrompt, "--tokens", "40", "--ignore-eos"});
  const std::vector<std::vector<int64_t>> users = TokensOf(record);
  return users.empty() ? std::vector<int64_t>() : users[0];
}

// The first line of an example's output is the tokens.
std::vector<int64_t> TokensOfExample(const std::string& example, const std::string& model,
                                     const std::string& appliance) {
  const Finished run = Shell(example + " " + model + " " + appliance + " w4a8 40 '" + kPrompt + "'");
  EXPECT_TRUE(run.ok) << run.out;
  std::istringstream line(run.out.substr(0, run.out.find('\n')));
  return {std::istream_iterator<int64_t>(line), {}};
}

void ExpectTokensOfTheProgram(const std::string& example) {
  // Greedy tokens of random weights tend to repeat themselves; a trained model's do not.
  std::vector<std::string> models{"random:nano-14l"};
  const std::string trained = (SharedDir() / "fixtures/stories260k").string();
  if (std::filesystem::exists(trained)) models.push_back(trained);
  for (const std::string& model : models) {
    for (const char* appliance : {"cpu", "northpole-16"}) {
      const std::vector<int64_t> tokens = TokensOfExample(example, model, appliance);
      EXPECT_EQ(tokens.size(), 40u);
      EXPECT_EQ(tokens, TokensOfProgram(model, appliance)) << example << ", " << model << " on " << appliance;
    }
  }
  const Finished refused = Shell(example + " random:nano-14l northpole-17 w4a8 40 hello");
  EXPECT_FALSE(refused.ok);
  EXPECT_NE(refused.out.find("northpole-16"), std::string::npos) << refused.out;
}

TEST_F(Install, ExamplesBuildWithCMakeAndMakeTheTokensOfTheProgram) {
  const std::string build = path("build");
  const Finished configured = Shell(std::string(LODESTONE_CMAKE) + " -S " LODESTONE_SOURCE_DIR "/examples -B " + build +
                                    " -DCMAKE_PREFIX_PATH=" + prefix() +
                                    " -DCMAKE_C_COMPILER=" LODESTONE_CC " -DCMAKE_CXX_COMPILER=" LODESTONE_CXX);
  ASSERT_TRUE(configured.ok) << configured.out;
  const Finished built = Shell(std::string(LODESTONE_CMAKE) + " --build " + build);
  ASSERT_TRUE(built.ok) << built.out;
  ExpectTokensOfTheProgram(build + "/generate_c");
  ExpectTokensOfTheProgram(build + "/generate_cc");
}

TEST_F(Install, ExamplesBuildWithPkgConfig) {
  const std::string flags = "$(PKG_CONFIG_PATH=" + library_folder() + "/pkgconfig pkg-config --cflags --libs ";
  const Finished c =
      Shell(LODESTONE_CC " -std=c99 -pedantic -Wall -Wextra -Wconversion -Werror -o " + path("c") +
            " " LODESTONE_SOURCE_DIR "/examples/generate.c " + flags + "lodestone) -Wl,-rpath," + library_folder());
  ASSERT_TRUE(c.ok) << c.out;
  EXPECT_EQ(c.out, "");
  ExpectTokensOfTheProgram(path("c"));
  const Finished cc = Shell(LODESTONE_CXX " -std=c++20 -o " + path("cc") +
                            " " LODESTONE_SOURCE_DIR "/examples/generate.cc " + flags + "lodestone-cpp)");
  ASSERT_TRUE(cc.ok) << cc.out;
  ExpectTokensOfTheProgram(path("cc"));
}

// Its names are the header's calls: nothing else can be linked to by mistake, and no call was forgotten.
TEST_F(Install, SharedLibraryExportsTheCallsOfTheHeaderAlone) {
  const Finished names = Shell("nm -D --defined-only --format=just-symbols " + library_folder() + "/liblodestone.so");
  ASSERT_TRUE(names.ok) << names.out;
  std::istringstream lines(names.out);
  const std::set<std::string> exported{std::istream_iterator<std::string>(lines), {}};

  std::ifstream header(prefix() + "/include/lodestone/lodestone.h");
  const std::string text{std::istreambuf_iterator<char>(header), {}};
  static const std::regex kCall(R"(LODESTONE_API [a-z_ ]+\**\s+\**(lodestone_[a-z_]+)\()");
  std::set<std::string> declared;
  for (std::sregex_iterator it(text.begin(), text.end(), kCall), end; it != end; ++it) declared.insert((*it)[1]);
  EXPECT_GE(declared.size(), 18u);
  EXPECT_EQ(exported, declared);
}

TEST_F(Install, AskingForAnUnknownComponentSaysWhatThereIs) {
  const std::string source = path("unknown");
  std::filesystem::create_directories(source);
  std::ofstream(source + "/CMakeLists.txt") << "cmake_minimum_required(VERSION 3.16)\nproject(p LANGUAGES C)\n"
                                               "find_package(lodestone REQUIRED COMPONENTS fortran)\n";
  const Finished configured = Shell(std::string(LODESTONE_CMAKE) + " -S " + source + " -B " + source +
                                    "/build -DCMAKE_PREFIX_PATH=" + prefix());
  EXPECT_FALSE(configured.ok);
  EXPECT_NE(configured.out.find("no component 'fortran'"), std::string::npos) << configured.out;
}

// Who has built only the program installs without a word of libraries; the module for mpirun is a part of the program.
TEST(InstallProgram, IsWhatIsInstalledUnlessTheLibraryIsNamed) {
  const TemporaryFolder folder;
  const Finished install =
      Shell(std::string(LODESTONE_CMAKE) + " --install " LODESTONE_BINARY_DIR " --prefix " + folder.path());
  ASSERT_TRUE(install.ok) << install.out;
  EXPECT_TRUE(std::filesystem::exists(folder.path() + "/bin/lodestone"));
  const std::string libraries = folder.path() + "/" LODESTONE_LIBDIR;
  if (std::filesystem::exists(libraries)) {
    for (const auto& entry : std::filesystem::directory_iterator(libraries)) {
      EXPECT_EQ(entry.path().filename(), "lodestone");
    }
    for (const auto& entry : std::filesystem::directory_iterator(libraries + "/lodestone")) {
      EXPECT_EQ(entry.path().stem(), "lodestone_mpi");
    }
  }
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/include"));
}

TEST(Examples, AreSixtyLinesAtMost) {
  for (const char* name : {"generate.c", "generate.cc"}) {
    std::ifstream file(std::string(LODESTONE_SOURCE_DIR "/examples/") + name);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto lines = std::count(text.begin(), text.end(), '\n');
    EXPECT_GT(lines, 20) << name;
    EXPECT_LE(lines, 60) << name;
  }
}

}  // namespace
}  // namespace lodestone::testing
