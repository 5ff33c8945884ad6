// `mpirun -n 2 lodestone train`: what two ranks compute is what one computes with the same global batch.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "e2e/micro_shape.h"
#include "e2e/program.h"

namespace lodestone::testing {
namespace {

// Of the micro shape.
constexpr double kParameters = 28'832, kTokensAStep = 4 * 32, kSteps = 20, kLearningRate = 0.01;

class Ranks : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::filesystem::path module = std::filesystem::path(LODESTONE_PROGRAM).parent_path() / "lodestone_mpi.so";
    if (!std::filesystem::exists(module)) GTEST_SKIP() << "built without MPI (Debian: libopenmpi-dev)";
    if (std::system("mpirun --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "there is no mpirun";
    std::string text;
    for (int i = 0; i < 300; ++i) text += "the card turns activations into activations; ";
    shape_ = folder_.Write("micro.toml", kMicroShape);
    text_ = folder_.Write("text.txt", text);
    config_ = folder_.Write("train.toml",
                            "kind = \"training\"\n[model]\nshape = \"" + shape_ + "\"\n[data]\ntrain = \"" + text_ +
                                "\"\nvalidation_fraction = 0.2\n[run]\nsteps = 20\nsequence = 32\n" +
                                "micro_batch = 2\ngradient_accumulation = 2\n[optimizer]\n" + "learning_rate = 0.01\n");
  }

  Outcome MpiTrain(int ranks, const std::string& options, const std::string& environment = "") const {
    const std::string err = folder_.path() + "/err";
    const std::string command =
        "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 ASAN_OPTIONS=detect_leaks=0 " + environment +
        " timeout 300 mpirun --oversubscribe -n " + std::to_string(ranks) + " " + LODESTONE_PROGRAM + " train " +
        config_ + " --threads 1 " + options + " 2>" + err + " </dev/null";
    Outcome outcome;
    std::FILE* const pipe = popen(command.c_str(), "r");
    std::array<char, 4096> buffer;
    while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) outcome.out.append(buffer.data(), got);
    const int status = pclose(pipe);
    outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    std::FILE* const file = std::fopen(err.c_str(), "r");
    while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), file)) outcome.err.append(buffer.data(), got);
    std::fclose(file);
    return outcome;
  }
  static std::vector<double> Curve(const Json& record, const char* name) {
    std::vector<double> values;
    const Json* const curve = record.Find("curve");
    const Json* const list = curve == nullptr ? nullptr : curve->Find(name);
    if (list == nullptr || list->as_array() == nullptr) return values;
    for (const Json& value : *list->as_array()) values.push_back(value.as_number().value_or(std::nan("")));
    return values;
  }

  TemporaryFolder folder_;
  std::string shape_, text_, config_;
};

TEST_F(Ranks, TwoRanksTrainWhatOneTrains) {
  const Outcome alone = RunProgram({"train", config_, "--threads", "1", "--json"});
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  const Outcome two = MpiTrain(2, "--json");
  ASSERT_EQ(two.exit_code, 0) << two.err;
  const Result<Json> one_record = ParseJson(alone.out, "one rank"), two_record = ParseJson(two.out, "two ranks");
  ASSERT_TRUE(one_record.ok() && two_record.ok()) << two.out;
  const std::vector<double> one_loss = Curve(*one_record, "loss"), two_loss = Curve(*two_record, "loss");
  const std::vector<double> norms = Curve(*one_record, "gradient_norm"),
                            two_norms = Curve(*two_record, "gradient_norm");
  ASSERT_EQ(one_loss.size(), kSteps);
  ASSERT_EQ(two_loss.size(), kSteps);

  // Step 1: the same parameters, so the same bits of every token's loss; only their order in the sum, in double, is
  // another.
  EXPECT_NEAR(two_loss[0], one_loss[0], 2 * kTokensAStep * 0x1p-53 * one_loss[0]);
  // A gradient is a sum over T tokens in float: in another order it differs by at most 2 T u Σ|terms|, and Σ|terms| is
  // √T times the sum's size where signs are mixed.
  const double relative = 2 * kTokensAStep * 0x1p-24 * std::sqrt(kTokensAStep);
  EXPECT_NEAR(two_norms[0], norms[0], relative * norms[0]);
  // AdamW moves a parameter by at most the learning rate, and by a relative error of the gradient's at most twice that
  // part of it. After S steps parameters are 2 S η e apart, in each of P places, and the loss by the gradient's norm
  // times that distance.
  const double distance = 2 * kSteps * kLearningRate * relative * std::sqrt(kParameters);
  const double bound = distance * *std::max_element(norms.begin(), norms.end());
  for (size_t step = 0; step < one_loss.size(); ++step) EXPECT_NEAR(two_loss[step], one_loss[step], bound) << step;
  EXPECT_LT(bound, (one_loss.front() - one_loss.back()) / 10) << "the bound says something";
}

TEST_F(Ranks, TwoRunsOfTwoRanksAreEqualToTheBit) {
  const Outcome first = MpiTrain(2, "--json"), second = MpiTrain(2, "--json");
  ASSERT_EQ(first.exit_code, 0) << first.err;
  ASSERT_EQ(second.exit_code, 0) << second.err;
  const Result<Json> a = ParseJson(first.out, "first"), b = ParseJson(second.out, "second");
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_FALSE(Curve(*a, "loss").empty());
  EXPECT_EQ(Curve(*a, "loss"), Curve(*b, "loss"));
}

TEST_F(Ranks, AConfigurationThatOnlyOneRankCannotReadEndsAll) {
  // Rank 1 alone looks for a file that is not there.
  const std::string command =
      "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 ASAN_OPTIONS=detect_leaks=0 LODESTONE_RANK_TIMEOUT=5 "
      "timeout 300 mpirun --oversubscribe -n 1 " +
      std::string(LODESTONE_PROGRAM) + " train " + config_ + " --threads 1 : -n 1 " + LODESTONE_PROGRAM +
      " train /nowhere.toml --threads 1 >/dev/null 2>&1";
  const int status = std::system(command.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_NE(WEXITSTATUS(status), 0);
  EXPECT_NE(WEXITSTATUS(status), 124) << "it hung";
}

}  // namespace
}  // namespace lodestone::testing
