// The estimator against everything published that it can model.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "lab/validate/accuracy.h"
#include "lab/validate/calibration.h"
#include "lab/validate/case.h"
#include "lab/validate/training.h"

namespace lodestone {

// A row beside its estimate.
struct CheckedRow {
  const PublishedRow* row = nullptr;
  Comparison comparison;
  std::string reason;  // why it is far off, where that is known
};

struct NamedAccuracy {
  std::string name;
  Accuracy accuracy;
};

// A machine estimated from its data sheet and the factors of its class's other machines.
struct LeftOutMachine {
  std::string machine;
  std::vector<std::string> teachers;        // whose factors its class then has
  std::vector<std::string> unknown_stacks;  // that only this machine has: what is assumed of the class
  Accuracy known, all;                      // rows of stacks that another machine has; all rows
  int refused = 0;                          // rows that then do not fit in memory
};

struct Validation {
  // The inference study: dense models, batches to 64, nothing known against the row. What the factors are fitted on.
  std::vector<NamedAccuracy> machines, machine_stacks, models;
  std::vector<NamedAccuracy> machines_kept;  // the same with flagged rows kept, but those of llama.cpp
  std::map<std::string, double> class_mape;  // mean over the machines of a class
  std::vector<LeftOutMachine> left_out;
  std::vector<CheckedRow> worst;  // of those rows, worst first
  // Everything else that can be asked: "survey-2410.04466", "llm-inference-bench: ttft", …
  std::vector<NamedAccuracy> beside;
  std::vector<CheckedRow> survey, northpole;  // row by row
  std::map<std::string, int> unmodelled;      // rows by reason
  int rows = 0;                               // of inference, modelled or not
  std::vector<TrainingCheck> training;        // of accelerators, row by row
  std::vector<NamedAccuracy> training_gpus;   // by machine and model
  std::vector<std::string> training_refused;
};

// Errors: a catalogue that cannot be read, an estimate that fails where its plan did not.
Result<Validation> Validate();

std::string ValidationText(const Validation& validation);
std::string ValidationMarkdown(const Validation& validation);  // docs/accuracy.md
Json ValidationJson(const Validation& validation);

}  // namespace lodestone
