// Checkpoints of a training run: what it takes to go on with the very bits of a run that never stopped.
//
//   DIR/step-300/training.safetensors   every parameter's values and both moments, as f32, by the parameter's name
//   DIR/step-300/state.json             the step, the settings that matter, the curve so far, and a checksum
//
// A checkpoint is written under another name, brought to the disk and renamed, so that a run that is killed at any
// moment leaves whole checkpoints alone. One that is torn all the same (a disk that lied) is told from a whole one by
// its sizes and checksum, and passed over.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/random_access_file.h"
#include "base/status.h"
#include "learn/optimizer.h"
#include "learn/parameters.h"

namespace lodestone {

struct TrainingState {
  int64_t step = 0;  // finished steps; the next one's sequences follow from it (BatchOrder)
  Json settings;     // object of plain values: what must be the same for the run to go on
  Json history;      // the curve so far, as the caller keeps it
};

// "run.sequence is 256 in the checkpoint and 512 now; …": empty where nothing differs.
std::string SettingsDifference(const Json& stored, const Json& now);

class CheckpointFolder {
 public:
  // With `writes`, makes the directory, refuses one in which another run writes, and removes what a killed run left
  // half written. `keep` ≥ 1 is how many checkpoints stay.
  static Result<CheckpointFolder> Open(const std::filesystem::path& directory, int keep, bool writes);

  // Writes the checkpoint, then removes the oldest beyond `keep`. A full disk, or any other failure, is an error and
  // leaves the older checkpoints as they are.
  Status Save(const TrainingState& state, const Parameters& parameters, AdamW& optimizer);

  // The newest whole checkpoint, read into `parameters` and `optimizer`; none where there is none. What is torn is
  // logged and passed over. Refused: settings that differ from `settings`, naming each; other parameters.
  Result<std::optional<TrainingState>> Load(const Json& settings, Parameters& parameters, AdamW& optimizer) const;

  const std::filesystem::path& path() const { return path_; }

 private:
  CheckpointFolder(std::filesystem::path path, int keep) : path_(std::move(path)), keep_(keep) {}

  std::filesystem::path path_;
  int keep_;
  FileDescriptor lock_;
};

}  // namespace lodestone
