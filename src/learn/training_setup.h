// Everything that a training file names, opened and checked against one another: what a run needs before its first
// step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/status.h"
#include "host/thread_pool.h"
#include "learn/differentiator.h"
#include "learn/parameters.h"
#include "learn/sparsity.h"
#include "learn/train_config.h"
#include "learn/training_data.h"
#include "model/config.h"
#include "model/recipe.h"
#include "text/tokenizer.h"

namespace lodestone {

struct Training {
  TrainConfig config;
  ModelConfig model;
  Recipe recipe;
  int64_t steps = 0;

  std::shared_ptr<const Tokenizer> tokenizer;  // null where the data are ids and no tokenizer is named
  // Files of the tokenizer, to copy into the trained model's directory; or its text where it is built in, and neither
  // where there is no tokenizer.
  std::filesystem::path tokenizer_path;
  std::string tokenizer_json;

  std::unique_ptr<TokenData> train, validation;  // validation null: none
  std::optional<BatchOrder> order, validation_order;
  int64_t validation_sequences = 0;

  std::unique_ptr<Parameters> parameters;  // as training begins
  std::optional<SparsityMasks> masks;
  std::unique_ptr<Differentiator> differentiator;

  std::unique_ptr<Parameters> teacher_parameters;
  std::unique_ptr<Differentiator> teacher;

  bool integers() const;  // whether the recipe's weights are codes, so that step sizes are trained

  // What must be the same for a run to go on from a checkpoint, as one object of plain values: the shape, where
  // training began, the data, the order of sequences, the recipe, the optimizer and, where the rate follows a cosine,
  // the number of steps.
  Json Settings() const;
};

// `threads` outlives the result. Reads data and weights. Refused, beside what each part refuses by itself: a sequence
// longer than the model's positions, a tokenizer with more ids than the model or, for FASTA, with other ids than
// codons have, too little data, memory that this machine does not have (with the arithmetic).
Result<std::unique_ptr<Training>> OpenTraining(const TrainConfig& config, ThreadPool& threads);

}  // namespace lodestone
