// Models handed to PyTorch: the folders that the scripts beside this file read, and how those are started.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "learn/differentiator.h"
#include "learn/parameters.h"

namespace lodestone::testing {

inline const std::string kPython = "/usr/bin/python3";
inline const std::string kNoTorch = kPython + " has no PyTorch (Debian: python3-torch)";

inline Json RowsOf(const Batch& batch, std::span<const int32_t> ids) {
  const auto length = static_cast<size_t>(batch.length);
  Json::Array rows;
  for (size_t begin = 0; begin < ids.size(); begin += length) {
    Json::Array row;
    for (const int32_t id : ids.subspan(begin, length)) row.emplace_back(id);
    rows.emplace_back(std::move(row));
  }
  return rows;
}

// What model.json holds: the configuration, the place of each tensor in values.f32, and the ids.
inline Json TorchModel(const ModelConfig& c, const Parameters& parameters, const Batch& batch) {
  Json json;
  json.Set("architecture", ToString(c.architecture)).Set("layers", c.layers).Set("head_dim", c.head_dim);
  json.Set("norm_eps", c.norm_eps).Set("qk_norm", c.qk_norm).Set("rotary_dim", c.rope.rotary_dim);
  json.Set("theta", c.rope.theta).Set("attention_scale", c.attention_scale).Set("sliding_window", c.sliding_window);
  json.Set("embedding_multiplier", c.embedding_multiplier).Set("residual_multiplier", c.residual_multiplier);
  json.Set("logits_multiplier", c.logits_multiplier);
  Json::Array tensors;
  for (const Parameter& p : parameters.list()) {
    tensors.emplace_back(Json::Array{ToString(p.id), p.rows, p.columns, p.offset});
  }
  json.Set("tensors", std::move(tensors));
  json.Set("tokens", RowsOf(batch, batch.tokens)).Set("targets", RowsOf(batch, batch.targets));
  return json;
}

inline void WriteTorchFolder(const std::filesystem::path& path, const Json& model, std::span<const float> values) {
  std::filesystem::create_directory(path);
  const std::string bytes(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  EXPECT_TRUE(WriteFileAtomically(path / "model.json", model.Dump()).ok());
  EXPECT_TRUE(WriteFileAtomically(path / "values.f32", bytes).ok());
}

// Runs a script of this folder on `folders`; false where there is no PyTorch. -B: nothing is written beside the
// sources.
inline bool RunTorch(const std::string& script, std::span<const std::filesystem::path> folders) {
  constexpr int kScriptFoundNone = 77, kShellFoundNoPython = 127;
  std::string command = kPython + " -B '" LODESTONE_SOURCE_DIR "/tests/learn/" + script + "'";
  for (const std::filesystem::path& folder : folders) command += " '" + folder.string() + "'";
  const int status = std::system(command.c_str());
  EXPECT_TRUE(WIFEXITED(status)) << command;
  const int code = WEXITSTATUS(status);
  if (code == kScriptFoundNone || code == kShellFoundNoPython) return false;
  EXPECT_EQ(code, 0) << command;
  return true;
}

template <typename Real>
std::vector<Real> ReadReals(const std::filesystem::path& path) {
  const Result<std::string> bytes = ReadFile(path, size_t{1} << 28);
  EXPECT_TRUE(bytes.ok()) << bytes.error().message;
  if (!bytes.ok()) return {};
  std::vector<Real> values(bytes->size() / sizeof(Real));
  std::memcpy(values.data(), bytes->data(), bytes->size());
  return values;
}

}  // namespace lodestone::testing
