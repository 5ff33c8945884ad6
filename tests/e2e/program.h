// Runs the program as a user does and keeps what it wrote.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace lodestone::testing {

struct Outcome {
  int exit_code = -1;  // −1: killed by a signal
  std::string out, err;
};

// `lodestone` with these words; `environment` is added to this process's. Standard input is empty.
Outcome RunProgram(const std::vector<std::string>& words,
                   const std::vector<std::pair<std::string, std::string>>& environment = {});

// The same; the test fails unless it ends with 0 and standard output is one JSON value.
Json RunJson(std::vector<std::string> words, const std::vector<std::pair<std::string, std::string>>& environment = {});

// token_ids of every user of a run record.
std::vector<std::vector<int64_t>> TokensOf(const Json& record);
// measures.NAME.value; NaN where it is null or absent.
double MeasureOf(const Json& record, const std::string& name);

// A folder for one test's files, removed afterwards.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  // Writes a file of it and returns the path.
  std::string Write(const std::string& name, const std::string& contents) const;
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace lodestone::testing
