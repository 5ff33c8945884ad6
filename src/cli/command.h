// A command of the program: its options and what it does.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/args.h"

namespace lodestone::cli {

class Command {
 public:
  virtual ~Command() = default;
  // Options bound to members of this object, so that it must stay where it is until `Run`.
  virtual CommandLine Line() = 0;
  // Results on standard output, everything else on standard error.
  virtual Status Run() = 0;
};

std::unique_ptr<Command> MakeDemo();
std::unique_ptr<Command> MakeGenerate();
std::unique_ptr<Command> MakePlan();
std::unique_ptr<Command> MakeSimulate();
std::unique_ptr<Command> MakeTraffic();
std::unique_ptr<Command> MakeSweep();
std::unique_ptr<Command> MakeEstimate();
std::unique_ptr<Command> MakeCompare();
std::unique_ptr<Command> MakeValidate();
std::unique_ptr<Command> MakeTrain();
std::unique_ptr<Command> MakePerplexity();
std::unique_ptr<Command> MakeCompareLogits();
std::unique_ptr<Command> MakeQuantize();
std::unique_ptr<Command> MakeBenchInference();
std::unique_ptr<Command> MakeBenchLimits();
std::unique_ptr<Command> MakeBenchPredict();
std::unique_ptr<Command> MakeBenchBlock();
std::unique_ptr<Command> MakeBenchGpt2();
std::unique_ptr<Command> MakeBenchGenslm();
std::unique_ptr<Command> MakeTokenizerTrain();
std::unique_ptr<Command> MakeTokenizerEncode();
std::unique_ptr<Command> MakeTokenizerShow();
std::unique_ptr<Command> MakeGenomeMake();
std::unique_ptr<Command> MakeGenomeCheck();
std::unique_ptr<Command> MakeEvalNgram();
std::unique_ptr<Command> MakeEvalHumaneval();
std::unique_ptr<Command> MakeModels();
std::unique_ptr<Command> MakeHardware();
std::unique_ptr<Command> MakePublished();
std::unique_ptr<Command> MakeKernels();
std::unique_ptr<Command> MakeVersion();

// In the order of the help. A name is one word, or two of which several commands share the first ("bench limits"); no
// command has a shared first word alone as its name.
std::vector<std::unique_ptr<Command>> AllCommands();

// The whole program: 0, 1 for refused input or a failed run, 2 for a command line that cannot be understood.
int Main(const std::vector<std::string>& words);

}  // namespace lodestone::cli
