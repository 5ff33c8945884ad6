// The ranks sweep: the same program under mpirun with 1, 2, … ranks, weak and strong.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "lab/study/plan.h"
#include "lab/study/rows.h"

namespace lodestone {

// One run of the sweep. A rank count that the batch cannot be shared among, or that this host has no cores for, has a
// reason and no command.
struct RanksRun {
  std::string scaling;
  int ranks = 1;
  StudyCase test;                  // the batch is each rank's
  std::vector<std::string> words;  // mpirun …
  std::string reason;
};

// Every rank is bound to a core of its own, so that one rank has what each of several has. `program` is this one.
// Refused: settings of the plan with more than one value.
Result<std::vector<RanksRun>> RanksRuns(const StudyPlan& plan, const std::string& program, int cores, bool root);

// Words as a line of a shell.
std::string ShellLine(const std::vector<std::string>& words);

// Where mpirun is, of PATH; none where it is not.
std::optional<std::string> FindMpirun();

// Runs the line and reads the row that rank 0 prints.
Result<StudyResult> RunRanks(const RanksRun& run);

}  // namespace lodestone
