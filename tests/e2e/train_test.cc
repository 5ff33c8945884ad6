// `lodestone train` as its users run it: a model from a text, interrupted, gone on with, generated from; and what is
// refused.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>

#include "e2e/micro_shape.h"
#include "e2e/program.h"

namespace lodestone::testing {
namespace {

namespace fs = std::filesystem;

// Text that repeats itself, so that a few steps learn some of it.
std::string Text() {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "the card turns activations into activations; ";
  return text;
}

class Train : public ::testing::Test {
 protected:
  Train() {
    folder_.Write("micro.toml", kMicroShape);
    folder_.Write("text.txt", Text());
  }

  std::string At(const std::string& name) const { return folder_.path() + "/" + name; }

  std::string Config(const std::string& run = "steps = 20", const std::string& rest = "") const {
    return "kind = \"training\"\n[model]\nshape = \"" + At("micro.toml") + "\"\n[data]\ntrain = \"" + At("text.txt") +
           "\"\nvalidation_fraction = 0.2\n[run]\n" + run + "\nsequence = 32\nmicro_batch = 2\n" + rest +
           "\n[optimizer]\nlearning_rate = 0.01\n";
  }
  std::vector<std::string> Words(const std::string& name, const std::vector<std::string>& settings = {}) const {
    std::vector<std::string> words = {"train", At(name), "--threads", "1"};
    for (const std::string& setting : settings) {
      words.emplace_back("--set");
      words.push_back(setting);
    }
    return words;
  }
  static std::string Bytes(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  // Starts the program and kills it after a while; true if it was still running.
  bool StartAndKill(const std::vector<std::string>& words, std::chrono::milliseconds after, int signal) const {
    const pid_t child = ::fork();
    if (child == 0) {
      std::vector<char*> arguments;
      std::vector<std::string> all = words;
      all.insert(all.begin(), LODESTONE_PROGRAM);
      for (std::string& word : all) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      const std::string log = At("killed.log");
      if (std::freopen(log.c_str(), "a", stderr) == nullptr || std::freopen("/dev/null", "w", stdout) == nullptr)
        ::_exit(3);
      ::execv(LODESTONE_PROGRAM, arguments.data());
      ::_exit(3);
    }
    std::this_thread::sleep_for(after);
    ::kill(child, signal);
    int status = 0;
    ::waitpid(child, &status, 0);
    return signal == SIGKILL ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 1;
  }

  TemporaryFolder folder_;
};

TEST_F(Train, TrainsFromTextAndTheModelGenerates) {
  folder_.Write("t.toml", Config("steps = 60"));
  std::vector<std::string> words = Words("t.toml", {"output.directory=" + At("model"), "output.record=" + At("r.json"),
                                                    "output.report=" + At("r.html"), "run.evaluate_every=20"});
  words.emplace_back("--json");
  const Outcome trained = RunProgram(words);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_NE(trained.err.find("step 60 of 60"), std::string::npos) << trained.err;
  const Json record = *ParseJson(trained.out, "the record");
  EXPECT_LT(MeasureOf(record, "validation_loss_nats_per_token"), 3.0);  // log 320 = 5.8 at the start
  EXPECT_GT(MeasureOf(record, "training_tokens_per_s"), 0);
  EXPECT_EQ(record.Find("curve")->Find("step")->as_array()->size(), 60u);
  EXPECT_EQ(record.Find("curve")->Find("validation")->Find("step")->as_array()->size(), 3u);
  EXPECT_EQ(Bytes(At("r.json")), record.Dump() + "\n");
  const std::string page = Bytes(At("r.html"));
  EXPECT_NE(page.find("<svg"), std::string::npos);
  EXPECT_EQ(page.find("http://www.w3"), page.find("http://"));

  const Outcome generated = RunProgram({"generate", "--model", At("model"), "--recipe", "f32", "--prompt", "the card",
                                        "--tokens", "8", "--temperature", "0"});
  EXPECT_EQ(generated.exit_code, 0) << generated.err;
  EXPECT_FALSE(generated.out.empty());
  // The engine's own measure of the held-out loss' kind: the text is predicted far better than by chance.
  const Json perplexity =
      RunJson({"perplexity", "--model", At("model"), "--recipe", "f32", "--text", At("text.txt"), "--context", "32"});
  EXPECT_LT(*perplexity.Find("rows")->as_array()->at(0).Find("nats_per_token")->as_number(), 3.0);
}

// The paper's way: full precision first, then the codes, with the step sizes that training finds.
TEST_F(Train, QuantisedTrainingGoesOnFromAModelAndFollowsIt) {
  folder_.Write("t.toml", Config("steps = 60"));
  ASSERT_EQ(RunProgram(Words("t.toml", {"output.directory=" + At("model")})).exit_code, 0);
  std::string config = Config("steps = 60", "recipe = \"w4a4:static\"");
  const std::string shape = "shape = \"" + At("micro.toml") + "\"";
  config.replace(config.find(shape), shape.size(), "initial = \"" + At("model") + "\"");
  folder_.Write("q.toml", config);
  const std::vector<std::string> settings = {"quantization.teacher=" + At("model"), "quantization.step_rate_factor=10",
                                             "optimizer.learning_rate=1e-3"};
  std::vector<std::string> written = settings;
  written.push_back("output.directory=" + At("w4a4"));
  const Outcome outcome = RunProgram(Words("q.toml", written));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json perplexity = RunJson(
      {"perplexity", "--model", At("w4a4"), "--recipe", "w4a4:static", "--text", At("text.txt"), "--context", "32"});
  EXPECT_LT(*perplexity.Find("rows")->as_array()->at(0).Find("nats_per_token")->as_number(), 3.0);
  EXPECT_EQ(RunProgram({"generate", "--model", At("w4a4"), "--prompt", "the card", "--tokens", "4"}).exit_code, 0);
  // Scales that are found while running leave nothing to train.
  const Outcome dynamic = RunProgram(Words("q.toml", {"run.recipe=w4a4"}));
  EXPECT_EQ(dynamic.exit_code, 1);
  EXPECT_NE(dynamic.err.find("w4a4:static"), std::string::npos) << dynamic.err;
}

TEST_F(Train, FoldersOfTheOutputAreMade) {
  folder_.Write("t.toml", Config("steps = 1"));
  const Outcome outcome = RunProgram(
      Words("t.toml", {"output.directory=" + At("new/model/"), "output.record=" + At("also/new/record.json")}));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(fs::exists(At("new/model/tokenizer.json")));
  EXPECT_TRUE(fs::exists(At("also/new/record.json")));
}

TEST_F(Train, FastaIsNotReadWithATokenizerOfText) {
  folder_.Write("t.toml", Config("steps = 1"));
  folder_.Write("genes.fasta", ">a\nATGGCCAAATAA\n");
  ASSERT_EQ(RunProgram(Words("t.toml", {"output.directory=" + At("bytes")})).exit_code, 0);
  const Outcome outcome = RunProgram(
      Words("t.toml", {"data.kind=fasta", "data.train=" + At("genes.fasta"), "model.tokenizer=" + At("bytes")}));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("model.tokenizer: "), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("codons"), std::string::npos) << outcome.err;
}

TEST_F(Train, PrunedWeightsStayZero) {
  folder_.Write("t.toml", Config("steps = 10"));
  const Outcome outcome = RunProgram(Words("t.toml", {"sparsity.pattern=tiles", "sparsity.level=0.5",
                                                      "sparsity.block=16", "output.directory=" + At("model")}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::string bytes = Bytes(fs::path(At("model")) / "model.safetensors");
  int64_t zeros = 0;
  for (size_t at = bytes.size() % 4; at + 4 <= bytes.size(); at += 4) {
    zeros += bytes.compare(at, 4, std::string(4, '\0')) == 0;
  }
  EXPECT_GT(zeros,
            2 * (32 * 32 + 16 * 32 + 16 * 32 + 32 * 32 + 3 * 32 * 64) / 2 * 9 / 10);  // linear layers of 2 layers
}

TEST_F(Train, AnInterruptedRunEndsWithTheBytesOfOneThatNeverStopped) {
  folder_.Write("t.toml", Config("steps = 400"));
  const auto with = [&](const std::string& name) {
    return std::vector<std::string>{"checkpoint.directory=" + At(name + "-c"), "checkpoint.every=7",
                                    "output.directory=" + At(name)};
  };
  const Outcome straight = RunProgram(Words("t.toml", with("straight")));
  ASSERT_EQ(straight.exit_code, 0) << straight.err;

  std::mt19937 random(11);
  int killed = 0;
  for (int round = 0; round < 6; ++round) {
    killed += StartAndKill(Words("t.toml", with("killed")), std::chrono::milliseconds(100 + random() % 300), SIGKILL);
  }
  killed += StartAndKill(Words("t.toml", with("killed")), std::chrono::milliseconds(300), SIGTERM);
  const Outcome last = RunProgram(Words("t.toml", with("killed")));
  if (!fs::exists(At("killed"))) FAIL() << last.err << Bytes(At("killed.log"));
  EXPECT_GT(killed, 0);
  EXPECT_EQ(Bytes(fs::path(At("killed")) / "model.safetensors"), Bytes(fs::path(At("straight")) / "model.safetensors"));
}

TEST_F(Train, ASignalEndsTheRunWithACheckpoint) {
  folder_.Write("t.toml", Config("steps = 1000000"));
  const std::vector<std::string> words = Words("t.toml", {"checkpoint.directory=" + At("c")});
  EXPECT_TRUE(StartAndKill(words, std::chrono::milliseconds(1500), SIGINT));
  const std::string log = Bytes(At("killed.log"));
  EXPECT_NE(log.find("interrupted after step"), std::string::npos) << log;
  int checkpoints = 0;
  for (const auto& entry : fs::directory_iterator(At("c")))
    checkpoints += entry.path().filename().string().starts_with("step-");
  EXPECT_EQ(checkpoints, 1);
}

TEST_F(Train, OtherSettingsAreRefusedOnResume) {
  folder_.Write("t.toml", Config("steps = 5"));
  ASSERT_EQ(RunProgram(Words("t.toml", {"checkpoint.directory=" + At("c")})).exit_code, 0);
  const Outcome other = RunProgram(Words("t.toml", {"checkpoint.directory=" + At("c"), "run.steps=6"}));
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_NE(other.err.find("run.steps is 5 in the checkpoint and 6 now"), std::string::npos) << other.err;
  const Outcome same = RunProgram(Words("t.toml", {"checkpoint.directory=" + At("c")}));
  EXPECT_EQ(same.exit_code, 0) << same.err;
  EXPECT_NE(same.err.find("goes on after step 5 of 5"), std::string::npos) << same.err;
}

TEST_F(Train, ALossThatIsNotFiniteEndsTheRunAndKeepsTheCheckpoint) {
  folder_.Write("t.toml",
                Config("steps = 200", "recipe = \"f32\"") + "clip_norm = 0\n[schedule]\nkind = \"constant\"\n");
  const Outcome good = RunProgram(Words("t.toml", {"checkpoint.directory=" + At("c"), "run.steps=5"}));
  ASSERT_EQ(good.exit_code, 0) << good.err;
  // The learning rate is a setting that matters, so the fault begins with a rate of its own.
  const Outcome bad = RunProgram(Words("t.toml", {"checkpoint.directory=" + At("d"), "checkpoint.every=1",
                                                  "optimizer.learning_rate=1000", "optimizer.weight_decay=100"}));
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_NE(bad.err.find("step "), std::string::npos) << bad.err;
  EXPECT_NE(bad.err.find("not finite"), std::string::npos) << bad.err;
  EXPECT_NE(bad.err.find("is whole"), std::string::npos) << bad.err;
}

TEST_F(Train, BadInputIsRefusedWithItsName) {
  const auto refused = [&](const std::string& config, const std::vector<std::string>& settings = {}) {
    folder_.Write("bad.toml", config);
    const Outcome outcome = RunProgram(Words("bad.toml", settings));
    EXPECT_EQ(outcome.exit_code, 1) << config;
    EXPECT_EQ(outcome.out, "");
    return outcome.err;
  };
  EXPECT_NE(refused(Config() + "rate = 3\n").find("bad.toml:"), std::string::npos);
  EXPECT_NE(refused(Config(), {"run.sequence=65"}).find("run.sequence is 65 and the model 'micro' has 64 positions"),
            std::string::npos);
  folder_.Write("empty.txt", "");
  EXPECT_NE(refused(Config(), {"data.train=" + At("empty.txt")}).find("empty.txt: the file is empty"),
            std::string::npos);
  folder_.Write("binary.txt", std::string("a\0b", 3));
  EXPECT_NE(refused(Config(), {"data.train=" + At("binary.txt")}).find("binary.txt: found a NUL"), std::string::npos);
  EXPECT_NE(refused(Config(), {"data.train=" + At("none.txt")}).find("none.txt"), std::string::npos);
  EXPECT_NE(refused(Config(), {"data.kind=tokens"}).find("this is no token file"), std::string::npos);
  folder_.Write("short.txt", "a");
  EXPECT_NE(refused(Config(), {"data.train=" + At("short.txt"), "data.validation_fraction=0"}).find("more data"),
            std::string::npos);
  EXPECT_NE(refused(Config(), {"model.shape=gpt3"}).find("gpt3"), std::string::npos);
  fs::create_directories(At("there/already"));
  EXPECT_NE(refused(Config(), {"output.directory=" + At("there")}).find("exists already"), std::string::npos);
  // Before the first step, not after the last.
  for (const std::string key : {"output.directory", "output.record", "output.report"}) {
    const std::string message = refused(Config(), {key + "=" + At("text.txt/below/x")});
    EXPECT_NE(message.find(key + ": "), std::string::npos) << message;
    EXPECT_EQ(message.find("step 1 of"), std::string::npos) << message;
  }
  EXPECT_NE(refused(Config(), {"output.record=" + At("there")}).find("expected a file"), std::string::npos);
  const Outcome none = RunProgram({"train", "train-tinny"});
  EXPECT_NE(none.err.find("did you mean 'train-tiny'"), std::string::npos) << none.err;
  EXPECT_EQ(RunProgram({"train"}).exit_code, 1);
}

// Files may not grow beyond 60 kB: as on a full disk.
TEST_F(Train, AFullDiskIsToldAndLeavesTheLastCheckpoint) {
  folder_.Write("t.toml", Config("steps = 4"));
  ASSERT_EQ(RunProgram(Words("t.toml", {"checkpoint.directory=" + At("c"), "schedule.kind=constant"})).exit_code, 0);
  std::string line = "ulimit -f 60; exec";
  line += std::string(" '") + LODESTONE_PROGRAM + "'";
  for (const std::string& word :
       Words("t.toml", {"checkpoint.directory=" + At("c"), "schedule.kind=constant", "run.steps=6"})) {
    line += " '" + word + "'";
  }
  line += " 2> '" + At("full.log") + "'";
  const int status = std::system(("bash -c \"" + line + "\"").c_str());
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
  const std::string log = Bytes(At("full.log"));
  EXPECT_NE(log.find("the checkpoint of step 6 cannot be written"), std::string::npos) << log;
  EXPECT_NE(log.find("the checkpoint of step 4"), std::string::npos) << log;
  EXPECT_TRUE(fs::exists(At("c") + "/step-4/state.json"));
  const Outcome again =
      RunProgram(Words("t.toml", {"checkpoint.directory=" + At("c"), "schedule.kind=constant", "run.steps=6"}));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_NE(again.err.find("goes on after step 4"), std::string::npos) << again.err;
}

}  // namespace
}  // namespace lodestone::testing
