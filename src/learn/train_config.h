// The file that says what is trained: `lodestone train FILE.toml`. Every key is explained in
// catalog/experiments/train-tiny.toml.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "learn/optimizer.h"
#include "learn/sparsity.h"

namespace lodestone {

enum class DataKind : uint8_t { kText, kTokens, kFasta };
const char* ToString(DataKind kind);  // "text", "tokens", "fasta", as the file says it

struct TrainConfig {
  std::string name, description;

  struct Model {
    std::string shape;    // a name of the catalogue or FILE.toml; empty: `initial` has it
    std::string initial;  // a model's directory that training begins with; empty: weights from `seed`
    // tokenizer.json or a directory with one; empty: that of `initial`, the codons of FASTA, or bytes.
    std::string tokenizer;
    uint64_t seed = 1;
  } model;

  struct Data {
    DataKind kind = DataKind::kText;
    std::vector<std::filesystem::path> train, validation;
    double validation_fraction = 0;  // held out of `train` where `validation` is empty
    std::string suffix;              // of the files in directories; empty: every file
    std::vector<std::string> exclude;
  } data;

  struct Run {
    int64_t steps = 0;  // 0: `epochs` decide
    double epochs = 0;
    int sequence = 0;  // tokens
    // A step trains on micro_batch × gradient_accumulation sequences, over all ranks together; a rank computes at most
    // micro_batch of its share at a time.
    int micro_batch = 1, gradient_accumulation = 1;
    std::string recipe = "f32";
    bool recompute = false;
    uint64_t seed = 1;           // of the order of the data
    int64_t evaluate_every = 0;  // steps; 0: after the last step alone
    int64_t evaluate_sequences = 64;

    int64_t sequences_a_step() const { return int64_t{micro_batch} * gradient_accumulation; }
  } run;

  OptimizerSettings optimizer;  // with [schedule], and [quantization]'s rates of step sizes

  struct Checkpoint {
    std::filesystem::path directory;  // empty: none is written
    int64_t every = 0;                // steps; 0: at the end and on a signal alone
    int keep = 2;
  } checkpoint;

  struct Distillation {
    std::string teacher;  // a model's directory; empty: none
    double weight = 0.5, temperature = 1;
  } distillation;

  SparsitySettings sparsity;

  struct Output {
    std::filesystem::path directory;  // of the trained model; empty: none is written
    std::filesystem::path record, report;
  } output;
};

// Refused, with file, line and key: unknown keys and sections, values of another type or out of range, what excludes
// one another (shape without initial, steps and epochs), a recipe or pattern that does not exist. What needs other
// files (a vocabulary, positions) is checked by OpenTraining (training_setup.h).
Result<TrainConfig> ParseTrainConfig(const Json& toml, const std::string& file);

// Replaces or adds one value before the file is read: "run.steps=200", "data.train=['book.txt']"; the value as TOML
// writes it, or plain words where that is no TOML ("model.shape=gpt2").
Status SetTrainOption(Json& toml, std::string_view assignment);

// A file or a name in catalog/experiments/, with `options` set.
Result<TrainConfig> LoadTrainConfig(const std::string& name_or_path, std::span<const std::string> options);

}  // namespace lodestone
