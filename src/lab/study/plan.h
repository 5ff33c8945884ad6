// What the accelerator study's workloads run: which shapes, in which formats, over which sequence lengths, batches,
// accumulations, sparsities and ranks; from the command line or a text case.
//
//   kind = "study"
//   study = "gpt2"                 # "block", "gpt2" or "genslm"
//   sweep = "sequence"             # or "ranks", "sparsity", "gas"; may be left out
//   name = "gpt2-sequence"         description = "…"
//   model = "gpt2"                 # every setting of StudySettings(), a value or a list of them
//   sequence = [1024, 2048, 5120, 10240]
//   tokens_per_step = 10240
//
// A setting that is left out is as DefaultStudyPlan has it. Source of the workloads: M. Emani et al., Toward a holistic
// performance evaluation of large language models across diverse AI accelerators, IPDPSW 2024.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "learn/sparsity.h"
#include "model/config.h"

namespace lodestone {

enum class StudyKind : uint8_t { kBlock, kGpt2, kGenslm };
enum class StudySweep : uint8_t { kNone, kSequence, kRanks, kSparsity, kGas };
std::string_view ToString(StudyKind kind);    // "block", "gpt2", "genslm"
std::string_view ToString(StudySweep sweep);  // "", "sequence", "ranks", "sparsity", "gas"
Result<StudySweep> ParseStudySweep(std::string_view text);

struct StudyPlan {
  StudyKind kind = StudyKind::kGpt2;
  StudySweep sweep = StudySweep::kNone;
  std::string name, description;  // of a text case

  // Every combination runs, sparsity varying fastest; a list that the workload does not have is empty.
  std::vector<std::string> models;
  std::vector<int64_t> hidden;
  std::vector<std::string> recipes;
  std::vector<int64_t> sequences, batches, accumulations, recompute;
  std::vector<std::string> patterns;
  std::vector<double> levels;
  // Of a ranks sweep, whose other lists have one value each.
  std::vector<int64_t> ranks;
  std::vector<std::string> scaling;  // "weak": the batch is each rank's; "strong": it is shared among them

  std::vector<int64_t> tokens_per_step{0};  // batch × sequence, which then replaces the batch; 0: as listed
  std::vector<int64_t> warmup{1}, repetitions{3}, tile{32}, seed{1};
};

// One setting, as a key of a text case and as an option of the commands.
struct StudySetting {
  std::string_view name;   // "tokens_per_step"
  std::string_view value;  // in the help: "T"
  std::string_view help;
  std::variant<std::vector<std::string> StudyPlan::*, std::vector<int64_t> StudyPlan::*,
               std::vector<double> StudyPlan::*>
      target;
  double min = 0, max = 0;  // of a number, both inclusive
  bool list = true;         // several values; otherwise one
};
std::span<const StudySetting> StudySettings();
// Whether the workload has it: a block has no model, the others no width.
bool HasSetting(StudyKind kind, const StudySetting& setting);

// Replaces the values of one setting. The message says what was expected of it.
Status SetStudySetting(StudyPlan& plan, const StudySetting& setting, std::span<const Json> values);

// What the workload does when nothing is said; refused: a sweep that it does not have.
Result<StudyPlan> DefaultStudyPlan(StudyKind kind, StudySweep sweep);

// Refused with file, key and line: unknown keys, values of another type or out of range, and another workload than
// `kind`.
Result<StudyPlan> ParseStudyPlan(const Json& toml, const std::string& file, StudyKind kind);
// A name in catalog/experiments/ or a path.
Result<StudyPlan> LoadStudyPlan(const std::string& name_or_path, StudyKind kind);

inline constexpr const char* kBlockModel = "block";

// One run.
struct StudyCase {
  std::string model;   // of the catalogue, or kBlockModel
  ModelConfig config;  // its positions widened where the sequence is longer
  std::string recipe;
  int64_t sequence = 0, batch = 0, accumulation = 1;  // batch: sequences of a micro-batch, on one rank
  bool recompute = false;
  SparsitySettings sparsity;
  std::string note;  // what differs from the shape of that name; empty where nothing does

  int64_t tokens_per_step() const { return sequence * batch * accumulation; }  // of one rank
  bool integer() const;  // a recipe whose linear layers multiply integers
};

inline constexpr int64_t kMaxStudyCases = 10'000;
inline constexpr int64_t kMaxStudyTokens = int64_t{1} << 30;  // of a micro-batch

// Refused: shapes and recipes that do not exist, a width that is no multiple of a head's 64, more than kMaxStudyCases
// runs or kMaxStudyTokens, and settings that would do nothing (a sparsity without a pattern, ranks without their
// sweep).
Result<std::vector<StudyCase>> CasesOf(const StudyPlan& plan);

// The block of `hidden` as a model: one GPT-2 layer with heads of 64 between an embedding and an output layer of
// kBlockVocab entries: 32 h operations a token, less than a thousandth of the block's at h = 1600.
inline constexpr int kBlockVocab = 16;
Result<ModelConfig> BlockConfig(int64_t hidden, int64_t sequence);

}  // namespace lodestone
