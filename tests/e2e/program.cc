#include "e2e/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>

namespace lodestone::testing {
namespace {

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

int OpenForWriting(const std::filesystem::path& path) { return open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600); }

}  // namespace

Outcome RunProgram(const std::vector<std::string>& words,
                   const std::vector<std::pair<std::string, std::string>>& environment) {
  const TemporaryFolder folder;
  const std::filesystem::path out = folder.path() + "/out", err = folder.path() + "/err";
  std::vector<char*> arguments{const_cast<char*>(LODESTONE_PROGRAM)};
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);

  const pid_t child = fork();
  if (child == 0) {
    dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    dup2(OpenForWriting(out), STDOUT_FILENO);
    dup2(OpenForWriting(err), STDERR_FILENO);
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    execv(LODESTONE_PROGRAM, arguments.data());
    _exit(127);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1, .out = ReadAll(out), .err = ReadAll(err)};
}

Json RunJson(std::vector<std::string> words, const std::vector<std::pair<std::string, std::string>>& environment) {
  words.push_back("--json");
  const Outcome outcome = RunProgram(words, environment);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  Result<Json> json = ParseJson(outcome.out, "standard output");
  EXPECT_TRUE(json.ok()) << json.error().message;
  return json.ok() ? *std::move(json) : Json();
}

std::vector<std::vector<int64_t>> TokensOf(const Json& record) {
  std::vector<std::vector<int64_t>> tokens;
  const Json* users = record.Find("users");
  if (!users || !users->as_array()) {
    ADD_FAILURE() << "the record has no users";
    return tokens;
  }
  for (const Json& user : *users->as_array()) {
    tokens.emplace_back();
    const Json* ids = user.Find("token_ids");
    if (!ids || !ids->as_array()) continue;
    for (const Json& id : *ids->as_array()) tokens.back().push_back(id.as_int() ? *id.as_int() : -1);
  }
  return tokens;
}

double MeasureOf(const Json& record, const std::string& name) {
  const Json* measures = record.Find("measures");
  const Json* measure = measures ? measures->Find(name) : nullptr;
  const Json* value = measure ? measure->Find("value") : nullptr;
  return value ? value->as_number().value_or(std::nan("")) : std::numeric_limits<double>::quiet_NaN();
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "lodestone-e2e-XXXXXX").string();
  EXPECT_NE(mkdtemp(name.data()), nullptr);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryFolder::Write(const std::string& name, const std::string& contents) const {
  const std::filesystem::path file = path_ / name;
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << contents;
  return file.string();
}

}  // namespace lodestone::testing
