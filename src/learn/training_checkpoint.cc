#include "learn/training_checkpoint.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <system_error>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "model/safetensors.h"
#include "model/safetensors_writer.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTensorFile = "training.safetensors";
constexpr const char* kStateFile = "state.json";
constexpr int kVersion = 1;
constexpr std::string_view kStep = "step-";
constexpr std::string_view kUnfinished = ".step-";  // how StagedDirectory names what is not yet whole
constexpr size_t kMaxStateBytes = size_t{256} << 20;

// Names of a parameter's three tensors: "layer_3_q_proj.value", "layer_3_q_proj.weight_steps.first_moment", ….
constexpr std::array<const char*, 3> kBuffers = {"value", "first_moment", "second_moment"};

const char* RoleName(ParameterRole role) {
  switch (role) {
    case ParameterRole::kTensor:
    case ParameterRole::kActivationStep:
      return "";
    case ParameterRole::kWeightSteps:
      return ".weight_steps";
    case ParameterRole::kOutputSteps:
      return ".output_steps";
  }
  return "";
}

std::string TensorName(const Parameter& p, size_t buffer) {
  std::string id = ToString(p.id);
  std::replace(id.begin(), id.end(), ' ', '_');
  return fmt::format("{}{}.{}", id, RoleName(p.role), kBuffers[buffer]);
}

std::vector<TensorSpec> SpecsOf(const Parameters& parameters) {
  std::vector<TensorSpec> specs;
  for (const Parameter& p : parameters.list()) {
    for (size_t i = 0; i < kBuffers.size(); ++i) {
      specs.push_back({.name = TensorName(p, i), .dtype = "F32", .shape = {p.rows, p.columns}});
    }
  }
  return specs;
}

// Of one tensor's bytes: four lanes of multiply and rotate, as fast as memory is read. Finds torn and rotten blocks;
// no protection against intent.
uint64_t Checksum(std::span<const std::byte> bytes) {
  constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15;
  std::array<uint64_t, 4> lanes = {1, 2, 3, 4};
  size_t at = 0;
  for (; at + 32 <= bytes.size(); at += 32) {
    std::array<uint64_t, 4> words{};
    std::memcpy(words.data(), bytes.data() + at, 32);
    for (size_t i = 0; i < 4; ++i) lanes[i] = std::rotl((lanes[i] ^ words[i]) * kMultiplier, 29);
  }
  std::array<uint64_t, 4> rest{};
  if (at < bytes.size()) std::memcpy(rest.data(), bytes.data() + at, bytes.size() - at);
  uint64_t sum = bytes.size();
  for (size_t i = 0; i < 4; ++i) sum = std::rotl((sum ^ lanes[i] ^ rest[i] * 3) * kMultiplier, 31);
  return sum;
}

uint64_t Combine(uint64_t sum, uint64_t next) { return std::rotl((sum ^ next) * 0xBF58476D1CE4E5B9, 27); }

// The numbers N of the directories step-N, the newest first.
std::vector<int64_t> StepsIn(const fs::path& directory) {
  std::vector<int64_t> steps;
  std::error_code error;
  for (auto it = fs::directory_iterator(directory, error); !error && it != fs::end(it); it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(kStep)) continue;
    int64_t step = 0;
    const char* begin = name.data() + kStep.size();
    const char* end = name.data() + name.size();
    if (const auto read = std::from_chars(begin, end, step); read.ec == std::errc() && read.ptr == end && step >= 0) {
      steps.push_back(step);
    }
  }
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

fs::path StepPath(const fs::path& directory, int64_t step) { return directory / fmt::format("{}{}", kStep, step); }

struct StoredCheckpoint {
  TrainingState state;
  MappedFile file;
  std::map<std::string, std::span<const std::byte>, std::less<>> tensors;
};

// Reads and checks one checkpoint without using it; an error means that it is torn.
Result<StoredCheckpoint> ReadCheckpoint(const fs::path& directory, int64_t step) {
  StoredCheckpoint stored;
  const std::string state_path = (directory / kStateFile).string(), tensor_path = (directory / kTensorFile).string();
  LODESTONE_ASSIGN_OR_RETURN(const Json json, ReadJsonFile(state_path, kMaxStateBytes));
  ObjectReader reader(json, state_path);
  const int64_t version = reader.RequireInt("version", 1, 1 << 20);
  stored.state.step = reader.RequireInt("step", 0, int64_t{1} << 60);
  const std::string checksum = reader.RequireString("checksum");
  if (const Json* settings = reader.Require("settings"); settings != nullptr) stored.state.settings = *settings;
  if (const Json* history = reader.Optional("history"); history != nullptr) stored.state.history = *history;
  if (reader.status().ok() && version != kVersion) {
    reader.Fail("version", fmt::format("found {}, expected {}", version, kVersion), ErrorCode::kUnsupported);
  }
  if (reader.status().ok() && stored.state.step != step) {
    reader.Fail("step", fmt::format("found {}, expected {} as its directory is named", stored.state.step, step));
  }
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  LODESTONE_ASSIGN_OR_RETURN(stored.file, MappedFile::Open(tensor_path));
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<TensorView> views, ParseSafetensors(stored.file.bytes(), tensor_path));
  for (const TensorView& view : views) stored.tensors.emplace(view.name, view.data);
  uint64_t sum = 0;
  for (const auto& [name, data] : stored.tensors) sum = Combine(sum, Checksum(data));
  if (const std::string found = fmt::format("{:016x}", sum); found != checksum) {
    return Invalid(fmt::format("{}: the checksum is {}, expected {}", tensor_path, found, checksum));
  }
  return stored;
}

// Copies the stored tensors into the three buffers, after all of them were found.
Status Restore(const StoredCheckpoint& stored, const fs::path& directory, Parameters& parameters, AdamW& optimizer) {
  const std::array<std::span<float>, 3> buffers = {parameters.all_values(), optimizer.first_moments(),
                                                   optimizer.second_moments()};
  size_t expected = 0;
  for (const Parameter& p : parameters.list()) {
    for (size_t i = 0; i < buffers.size(); ++i, ++expected) {
      const std::string name = TensorName(p, i);
      const auto found = stored.tensors.find(name);
      const auto bytes = static_cast<size_t>(p.count()) * sizeof(float);
      if (found == stored.tensors.end() || found->second.size() != bytes) {
        return Invalid(
            fmt::format("{}: found {} bytes of tensor '{}', expected {}: the checkpoint is of another model; name "
                        "another checkpoint directory",
                        directory.string(), found == stored.tensors.end() ? 0 : found->second.size(), name, bytes));
      }
    }
  }
  if (expected != stored.tensors.size()) {
    return Invalid(
        fmt::format("{}: found {} tensors, expected {}: the checkpoint is of another model; name another "
                    "checkpoint directory",
                    directory.string(), stored.tensors.size(), expected));
  }
  for (const Parameter& p : parameters.list()) {
    for (size_t i = 0; i < buffers.size(); ++i) {
      const std::span<const std::byte> bytes = stored.tensors.find(TensorName(p, i))->second;
      std::memcpy(buffers[i].data() + p.offset, bytes.data(), bytes.size());
    }
  }
  return {};
}

void RemoveQuietly(const fs::path& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

}  // namespace

std::string SettingsDifference(const Json& stored, const Json& now) {
  std::string text;
  const auto differs = [&text](const std::string& key, const std::string& before, const std::string& after) {
    if (before == after) return;
    text += fmt::format("{}{} is {} in the checkpoint and {} now", text.empty() ? "" : "; ", key, before, after);
  };
  const auto dump = [](const Json* value) { return value == nullptr ? std::string("absent") : value->Dump(-1); };
  if (stored.as_object() == nullptr || now.as_object() == nullptr) return "the checkpoint has no settings";
  for (const auto& [key, value] : *now.as_object()) differs(key, dump(stored.Find(key)), value.Dump(-1));
  for (const auto& [key, value] : *stored.as_object()) {
    if (now.Find(key) == nullptr) differs(key, value.Dump(-1), "absent");
  }
  return text;
}

Result<CheckpointFolder> CheckpointFolder::Open(const fs::path& directory, int keep, bool writes) {
  CheckpointFolder folder(directory, std::max(keep, 1));
  if (!writes) return folder;
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return IoError(fmt::format("{}: cannot make the directory: {}", directory.string(), error.message()));
  folder.lock_ = FileDescriptor(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.lock_.get() < 0) {
    return IoError(fmt::format("{}: cannot open: {}", directory.string(), std::generic_category().message(errno)));
  }
  if (::flock(folder.lock_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return Invalid(fmt::format("{}: another run writes its checkpoints here; wait for it, or name another directory",
                               directory.string()));
  }
  std::vector<fs::path> leftovers;
  for (auto it = fs::directory_iterator(directory, error); !error && it != fs::end(it); it.increment(error)) {
    if (it->path().filename().string().starts_with(kUnfinished)) leftovers.push_back(it->path());
  }
  for (const fs::path& path : leftovers) RemoveQuietly(path);
  return folder;
}

Status CheckpointFolder::Save(const TrainingState& state, const Parameters& parameters, AdamW& optimizer) {
  const fs::path target = StepPath(path_, state.step);
  RemoveQuietly(target);  // torn, or it would have been resumed from
  LODESTONE_ASSIGN_OR_RETURN(StagedDirectory staged, StagedDirectory::Create(target));
  LODESTONE_ASSIGN_OR_RETURN(
      SafetensorsWriter writer,
      SafetensorsWriter::Create(staged.path() / kTensorFile, SpecsOf(parameters), {{"format", "lodestone-training"}}));
  const std::array<std::span<const float>, 3> buffers = {parameters.all_values(), optimizer.first_moments(),
                                                         optimizer.second_moments()};
  // In the order of names, in which they are summed when they are read.
  std::map<std::string, uint64_t> sums;
  size_t index = 0;
  for (const Parameter& p : parameters.list()) {
    for (size_t i = 0; i < buffers.size(); ++i, ++index) {
      const auto bytes =
          std::as_bytes(buffers[i].subspan(static_cast<size_t>(p.offset), static_cast<size_t>(p.count())));
      LODESTONE_RETURN_IF_ERROR(writer.Write(index, 0, bytes));
      sums.emplace(TensorName(p, i), Checksum(bytes));
    }
  }
  LODESTONE_RETURN_IF_ERROR(writer.Finish());
  uint64_t sum = 0;
  for (const auto& [name, tensor_sum] : sums) sum = Combine(sum, tensor_sum);
  Json json;
  json.Set("version", kVersion).Set("step", state.step).Set("checksum", fmt::format("{:016x}", sum));
  json.Set("settings", state.settings).Set("history", state.history);
  LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(staged.path() / kStateFile, json.Dump() + "\n"));
  LODESTONE_RETURN_IF_ERROR(staged.Commit());
  const std::vector<int64_t> steps = StepsIn(path_);
  for (size_t i = static_cast<size_t>(keep_); i < steps.size(); ++i) {
    if (steps[i] < state.step) RemoveQuietly(StepPath(path_, steps[i]));
  }
  return {};
}

Result<std::optional<TrainingState>> CheckpointFolder::Load(const Json& settings, Parameters& parameters,
                                                            AdamW& optimizer) const {
  for (const int64_t step : StepsIn(path_)) {
    const fs::path directory = StepPath(path_, step);
    Result<StoredCheckpoint> stored = ReadCheckpoint(directory, step);
    if (!stored.ok()) {
      Log(LogLevel::kWarning,
          fmt::format("{}; the checkpoint is not whole and is passed over", stored.error().message));
      continue;
    }
    if (const std::string difference = SettingsDifference(stored->state.settings, settings); !difference.empty()) {
      return Invalid(
          fmt::format("{}: a run with other settings cannot go on from here: {}. Name another checkpoint "
                      "directory, or put the settings back",
                      directory.string(), difference));
    }
    LODESTONE_RETURN_IF_ERROR(Restore(*stored, directory, parameters, optimizer));
    return std::optional(std::move(stored->state));
  }
  return std::optional<TrainingState>();
}

}  // namespace lodestone
