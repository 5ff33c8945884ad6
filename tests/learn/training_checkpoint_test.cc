// Checkpoints: whole or passed over, whatever happened to the run that wrote them.
#include "learn/training_checkpoint.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <random>

#include "base/log.h"
#include "base/temporary_folder.h"
#include "hash_weights.h"
#include "learn/training_data.h"
#include "test_models.h"

namespace lodestone::testing {
namespace {

namespace fs = std::filesystem;

Json Settings(int sequence) {
  Json json;
  return json.Set("run.sequence", sequence).Set("run.recipe", "f32");
}

// Parameters and moments that say which step they are of.
struct State {
  State() : parameters(*Parameters::Make(TinyLlama(), *ParseRecipe("f32"))), optimizer(*AdamW::Make(parameters, {})) {}

  void Become(int64_t step) {
    Fill(parameters.all_values(), step, 1);
    Fill(optimizer.first_moments(), step, 2);
    Fill(optimizer.second_moments(), step, 3);
  }
  bool Is(int64_t step) {
    State other;
    other.Become(step);
    return Equal(parameters.all_values(), other.parameters.all_values()) &&
           Equal(optimizer.first_moments(), other.optimizer.first_moments()) &&
           Equal(optimizer.second_moments(), other.optimizer.second_moments());
  }
  Status Save(CheckpointFolder& folder, int64_t step, int sequence = 64) {
    Become(step);
    return folder.Save({.step = step, .settings = Settings(sequence), .history = Json(step * 10)}, parameters,
                       optimizer);
  }

  Parameters parameters;
  AdamW optimizer;

 private:
  void Fill(std::span<float> buffer, int64_t step, int which) const {
    for (const Parameter& p : parameters.list()) {
      for (int64_t i = p.offset; i < p.offset + p.count(); ++i) {
        buffer[static_cast<size_t>(i)] = static_cast<float>(step * 3 + which) + static_cast<float>(i % 1000) * 1e-3F;
      }
    }
  }
  static bool Equal(std::span<const float> a, std::span<const float> b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }
};

CheckpointFolder Open(const TemporaryFolder& folder, int keep = 2, bool writes = true) {
  Result<CheckpointFolder> opened = CheckpointFolder::Open(folder.path() / "c", keep, writes);
  EXPECT_TRUE(opened.ok()) << opened.error().message;
  return *std::move(opened);
}

// The step that is resumed from; −1 for none.
int64_t Loaded(const CheckpointFolder& folder) {
  State run;
  const auto state = folder.Load(Settings(64), run.parameters, run.optimizer);
  EXPECT_TRUE(state.ok()) << state.error().message;
  if (!state.ok() || !state->has_value()) return -1;
  EXPECT_TRUE(run.Is((*state)->step));
  EXPECT_EQ(*(*state)->history.as_int(), (*state)->step * 10);
  return (*state)->step;
}

TEST(TrainingCheckpoint, ReadsBackTheNewestAndKeepsAsManyAsAsked) {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints = Open(folder, 2);
  EXPECT_EQ(Loaded(checkpoints), -1);
  State run;
  for (const int64_t step : {9, 10, 100}) ASSERT_TRUE(run.Save(checkpoints, step).ok());
  EXPECT_EQ(Loaded(checkpoints), 100);
  EXPECT_FALSE(fs::exists(checkpoints.path() / "step-9"));
  EXPECT_TRUE(fs::exists(checkpoints.path() / "step-10"));
  ASSERT_TRUE(run.Save(checkpoints, 100).ok());  // again: replaced
  EXPECT_EQ(Loaded(checkpoints), 100);
}

TEST(TrainingCheckpoint, WhatIsTornIsPassedOver) {
  const LogLevel level = CurrentLogLevel();
  SetLogLevel(LogLevel::kQuiet);
  const auto tear = [](const char* what, const std::function<void(const fs::path&)>& damage) {
    SCOPED_TRACE(what);
    const TemporaryFolder folder;
    CheckpointFolder checkpoints = Open(folder);
    State run;
    ASSERT_TRUE(run.Save(checkpoints, 1).ok());
    ASSERT_TRUE(run.Save(checkpoints, 2).ok());
    damage(checkpoints.path() / "step-2");
    EXPECT_EQ(Loaded(checkpoints), 1);
    ASSERT_TRUE(run.Save(checkpoints, 2).ok());  // the run comes there again
    EXPECT_EQ(Loaded(checkpoints), 2);
  };
  tear("cut file", [](const fs::path& p) { fs::resize_file(p / "training.safetensors", 5000); });
  tear("no tensors", [](const fs::path& p) { fs::remove(p / "training.safetensors"); });
  tear("no state", [](const fs::path& p) { fs::remove(p / "state.json"); });
  tear("cut state", [](const fs::path& p) { fs::resize_file(p / "state.json", 40); });
  tear("empty directory", [](const fs::path& p) {
    fs::remove_all(p);
    fs::create_directory(p);
  });
  tear("one bit", [](const fs::path& p) {
    std::fstream file(p / "training.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(fs::file_size(p / "training.safetensors") - 101);
    file.seekg(at);
    const auto byte = static_cast<char>(file.get() ^ 4);
    file.seekp(at);
    file.put(byte);
  });
  tear("zeros where data was", [](const fs::path& p) {
    const auto size = fs::file_size(p / "training.safetensors");
    fs::resize_file(p / "training.safetensors", size - 4096);
    fs::resize_file(p / "training.safetensors", size);
  });
  SetLogLevel(level);
}

TEST(TrainingCheckpoint, OtherSettingsAreRefusedWithWhatDiffers) {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints = Open(folder);
  State run;
  ASSERT_TRUE(run.Save(checkpoints, 3, 128).ok());
  run.Become(7);
  const auto state = checkpoints.Load(Settings(64), run.parameters, run.optimizer);
  ASSERT_FALSE(state.ok());
  EXPECT_NE(state.error().message.find("run.sequence is 128 in the checkpoint and 64 now"), std::string::npos)
      << state.error().message;
  EXPECT_EQ(state.error().message.find("run.recipe"), std::string::npos);
  EXPECT_TRUE(run.Is(7));
}

TEST(TrainingCheckpoint, ACheckpointOfAnotherModelIsRefused) {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints = Open(folder);
  ASSERT_TRUE(State().Save(checkpoints, 3).ok());
  for (ModelConfig config : {TinyGpt2(), TinyLlama()}) {
    if (config.architecture == Architecture::kLlama) config.layers = 2;
    Parameters parameters = *Parameters::Make(config, *ParseRecipe("f32"));
    AdamW optimizer = *AdamW::Make(parameters, {});
    const auto state = checkpoints.Load(Settings(64), parameters, optimizer);
    ASSERT_FALSE(state.ok());
    EXPECT_NE(state.error().message.find("of another model"), std::string::npos) << state.error().message;
  }
}

TEST(TrainingCheckpoint, TwoRunsDoNotWriteInOneDirectory) {
  const TemporaryFolder folder;
  const CheckpointFolder first = Open(folder);
  const Result<CheckpointFolder> second = CheckpointFolder::Open(folder.path() / "c", 2, true);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find("another run writes"), std::string::npos);
  EXPECT_TRUE(CheckpointFolder::Open(folder.path() / "c", 2, false).ok());
}

TEST(TrainingCheckpoint, WhatAKilledRunLeftIsRemoved) {
  const TemporaryFolder folder;
  fs::create_directories(folder.path() / "c/.step-5.aB3dEf");
  fs::create_directories(folder.path() / "c/step-x");
  CheckpointFolder checkpoints = Open(folder);
  EXPECT_FALSE(fs::exists(checkpoints.path() / ".step-5.aB3dEf"));
  EXPECT_TRUE(fs::exists(checkpoints.path() / "step-x"));  // not ours
  EXPECT_EQ(Loaded(checkpoints), -1);
}

// In a child, whose files may not grow beyond 100 kB: as on a full disk, writing fails.
TEST(TrainingCheckpoint, AFullDiskIsAnErrorAndLeavesTheLastCheckpoint) {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints = Open(folder, 1);
  ASSERT_TRUE(State().Save(checkpoints, 1).ok());
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {.rlim_cur = 100'000, .rlim_max = 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const Status status = State().Save(checkpoints, 2);
    ::_exit(!status.ok() && status.error().code == ErrorCode::kIo ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(Loaded(checkpoints), 1);
  int entries = 0;
  for (const auto& entry : fs::directory_iterator(checkpoints.path())) entries += entry.exists();
  EXPECT_EQ(entries, 1);  // no half-written one is left
}

// A child writes one checkpoint after another and is killed at a random moment: what is found afterwards is whole, and
// no older than what the child said it had written.
TEST(TrainingCheckpointProperty, AKilledWriterLeavesWholeCheckpointsAlone) {
  std::mt19937 random(7);
  const TemporaryFolder folder;
  int64_t last = 0;
  for (int round = 0; round < 12; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      CheckpointFolder checkpoints = Open(folder, 2);
      State run;
      for (int64_t step = last + 1;; ++step) {
        if (!run.Save(checkpoints, step).ok()) ::_exit(1);
        if (::write(pipe_ends[1], &step, sizeof step) != sizeof step) ::_exit(1);
      }
    }
    ::close(pipe_ends[1]);
    ::usleep(static_cast<useconds_t>(random() % 30'000));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    int64_t said = last, step = 0;
    while (::read(pipe_ends[0], &step, sizeof step) == sizeof step) said = step;
    ::close(pipe_ends[0]);
    const int64_t found = std::max<int64_t>(0, Loaded(Open(folder, 2)));
    EXPECT_GE(found, said);
    EXPECT_LE(found, said + 1);  // renamed, and killed before it could say so
    last = found;
  }
}

TEST(SettingsDifference, NamesEachKeyAndBothValues) {
  Json a = Settings(64), b = Settings(64);
  EXPECT_EQ(SettingsDifference(a, b), "");
  b.Set("new", 1.5);
  a.Set("old", true);
  EXPECT_EQ(SettingsDifference(a, b),
            "new is absent in the checkpoint and 1.5 now; old is true in the checkpoint and absent now");
}

}  // namespace
}  // namespace lodestone::testing
