// The reducer over MPI itself: ranks_program under mpirun.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>

namespace lodestone::testing {
namespace {

struct Outcome {
  int exit_code = -1;
  std::string output;
};

// What all ranks and mpirun print. Memory that MPI itself never frees is no concern of a leak checker.
Outcome MpiRun(const std::string& arguments, const std::string& environment = "") {
  const std::string command = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 ASAN_OPTIONS=detect_leaks=0 " +
                              environment + " timeout 100 mpirun " + arguments + " 2>&1 </dev/null";
  Outcome outcome;
  std::FILE* const pipe = popen(command.c_str(), "r");
  std::array<char, 4096> buffer;
  while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe))
    outcome.output.append(buffer.data(), got);
  const int status = pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

Outcome RunRanks(int ranks, const std::string& scenario, const std::string& environment = "") {
  const std::string program = std::string(LODESTONE_BINARY_DIR) + "/ranks_program";
  return MpiRun("--oversubscribe -n " + std::to_string(ranks) + " " + program + " " + scenario, environment);
}

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

class Mpi : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(std::string(LODESTONE_BINARY_DIR) + "/lodestone_mpi.so")) {
      GTEST_SKIP() << "built without MPI (Debian: libopenmpi-dev)";
    }
    if (std::system("mpirun --version >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "there is no mpirun (Debian: openmpi-bin)";
    }
  }
};

TEST_F(Mpi, SumsAreExactOnTwoToFourRanks) {
  for (const int ranks : {2, 3, 4}) {
    const Outcome outcome = RunRanks(ranks, "sums");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    EXPECT_EQ(Count(outcome.output, std::to_string(ranks) + " ranks over MPI ("), static_cast<size_t>(ranks))
        << outcome.output;
  }
}

TEST_F(Mpi, RanksAndRunsAgreeToTheBit) {
  std::set<std::string> hashes;
  for (int run = 0; run < 2; ++run) {
    const Outcome outcome = RunRanks(3, "hash");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    EXPECT_EQ(Count(outcome.output, "hash "), 3u) << outcome.output;
    std::istringstream lines(outcome.output);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("hash ")) hashes.insert(line);
    }
  }
  EXPECT_EQ(hashes.size(), 1u);
}

TEST_F(Mpi, ALostRankEndsTheRunAndIsNamed) {
  const Outcome outcome = RunRanks(3, "kill");
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_NE(outcome.exit_code, 124) << "it hung";
  EXPECT_NE(outcome.output.find("rank 2 (process "), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("has ended"), std::string::npos) << outcome.output;
}

TEST_F(Mpi, ASilentRankEndsTheRunAndIsNamed) {
  const Outcome outcome = RunRanks(2, "stop", "LODESTONE_RANK_TIMEOUT=1");
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_NE(outcome.exit_code, 124) << "it hung";
  EXPECT_NE(outcome.output.find("has been silent for 1 s"), std::string::npos) << outcome.output;
}

TEST_F(Mpi, ARankThatGivesUpSaysWhy) {
  const Outcome outcome = RunRanks(2, "leave");
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_NE(outcome.output.find("gave up: it saw a NaN"), std::string::npos) << outcome.output;
}

TEST_F(Mpi, OtherSizesAreRefused) {
  const Outcome outcome = RunRanks(2, "mismatch");
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_NE(outcome.output.find("a sum of 99 floats"), std::string::npos) << outcome.output;
}

TEST_F(Mpi, ABoundRankHasTheThreadsOfItsCore) {
  const std::string program = std::string(LODESTONE_BINARY_DIR) + "/ranks_program sums";
  const Outcome outcome = MpiRun("--oversubscribe -n 2 --bind-to hwthread --map-by slot " + program);
  if (outcome.exit_code != 0 && Count(outcome.output, "ranks over") == 0) {
    GTEST_SKIP() << "mpirun cannot bind here: " << outcome.output;
  }
  EXPECT_EQ(Count(outcome.output, ", 1 threads"), 2u) << outcome.output;
}

TEST_F(Mpi, ABadTimeLimitIsRefused) {
  const Outcome outcome = RunRanks(2, "sums", "LODESTONE_RANK_TIMEOUT=soon");
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_NE(outcome.output.find("LODESTONE_RANK_TIMEOUT: found 'soon'"), std::string::npos) << outcome.output;
}

}  // namespace
}  // namespace lodestone::testing
